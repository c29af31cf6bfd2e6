"""One run: where it stands, the alarms of forgetting, curves and recall by rule while it trains, what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import streamlit as st

from review_app.page import Page
from review_app.run_desk import RunCurves, RunRow, earlier_run, see_curves, see_run
from review_app.views.clock import shown_time
from review_app.views.numbers import ABSENT
from review_app.views.plain import plain
from review_app.views.run_acts import draw_acts
from review_app.views.run_charts import CurveWords, draw_curve, draw_recalls
from review_app.views.sentences import together
from review_app.views.tables import Column, draw_table
from storage.errors import UserError
from storage.training.run_curves import SliceRecall
from storage.training.run_list import RunStatus

LIVE_SECONDS = 2.0
N_LINES = 6  # of recall: more cannot be told apart
FEW = 20
TABLE_HEIGHT = 320


def draw_run(page: Page, row: RunRow, rows: Sequence[RunRow]) -> None:
    """Draw a run; what it tells keeps up with it by itself while it trains."""
    st.subheader(page.say("runs.of", run=row.run_id), anchor=False)
    acts, told = st.container(), st.container()
    with acts:
        draw_acts(page, row)
    before = earlier_run(rows, row)
    with told:
        _draw_live(page, row, before)


def _draw_live(page: Page, row: RunRow, before: RunRow | None) -> None:
    @st.fragment(run_every=LIVE_SECONDS if row.is_alive else None)
    def live() -> None:
        now = see_run(page.person, page.workspace, page.store, row.run_id)
        if now.line.status is not row.line.status:
            st.rerun()
        # each part has a place of its own: what is said in one moves, and so draws anew, nothing in another
        state, alarms, charts, recalls = (st.container() for _ in range(4))
        with state:
            _draw_state(page, now)
        try:
            curves = see_curves(page.person, page.workspace, page.store, row.run_id)
            behind = see_curves(page.person, page.workspace, page.store, before.run_id) if before is not None else None
        except UserError as error:
            st.error(plain(page.why_not(error)))
            return
        with alarms:
            _draw_alarms(page, curves)
        with charts:
            _draw_charts(page, row.run_id, curves, before, behind)
        with recalls:
            _draw_recalls(page, row.run_id, curves)

    live()


def _draw_state(page: Page, row: RunRow) -> None:
    line = row.line
    if line.problem is not None:
        st.error(plain(page.in_words(line.problem)))
        return
    facts = page.say(
        "runs.facts",
        method=line.method,
        snapshot=line.snapshot_id,
        model=plain(line.started_from or ABSENT),
        rows=f"{line.n_rows or 0:,}",
        at=shown_time(at) if (at := row.started_at) else ABSENT,
    )
    st.markdown(facts)
    said = [page.say(f"runs.state_{line.status.value}")]
    if line.seconds is not None:
        key = "runs.so_far" if line.status is RunStatus.RUNNING else "runs.took"
        said.append(page.say(key, time=duration(page, line.seconds)))
    if line.status is RunStatus.RUNNING and line.done and line.total:
        if line.seconds_left:  # of a resumed run, the seconds so far are not those of all its steps
            said.append(page.say("runs.rate", rate=f"{(line.total - line.done) / line.seconds_left:.2g}"))
        if line.seconds_left is not None:
            said.append(page.say("runs.left", time=duration(page, line.seconds_left)))
        st.progress(min(1.0, line.done / line.total), text=together(page, [_steps(page, row), *said]))
    else:
        st.markdown(together(page, [*said, *([_steps(page, row)] if line.done else [])]))
    measured = [_measured(page, row, split) for split in ("dev", "test")]
    if any(measured):
        st.markdown(together(page, [one for one in measured if one]))


def _steps(page: Page, row: RunRow) -> str:
    return page.say("runs.steps", done=f"{row.line.done or 0:,}", total=f"{row.line.total or row.line.done or 0:,}")


def _measured(page: Page, row: RunRow, split: str) -> str | None:
    """Return what was measured on a split as a sentence, None when nothing was."""
    found = {metric: row.on(split, metric) for metric in ("accuracy", "macro_f1")}
    told = {
        metric: ABSENT if one.value is None else f"{one.value:.3f} [{one.low or 0:.3f}, {one.high or 0:.3f}]"
        for metric, one in found.items()
        if one is not None
    }
    accuracy = found["accuracy"]
    if accuracy is None or len(told) < len(found):
        return None
    return page.say(f"runs.measured_{split}", n=f"{accuracy.n:,}", snapshot=accuracy.snapshot_id, **told)


def duration(page: Page, seconds: float) -> str:
    """Return a time span in words: seconds under two minutes, then minutes, then hours and minutes."""
    whole = timedelta(seconds=round(seconds))
    minutes = int(whole.total_seconds()) // 60
    if minutes < 2:
        return page.say("runs.seconds", n=int(whole.total_seconds()))
    if minutes < 120:
        return page.say("runs.minutes", n=minutes)
    return page.say("runs.hours", hours=minutes // 60, minutes=minutes % 60)


def _draw_alarms(page: Page, curves: RunCurves) -> None:
    held = curves.held_back
    if held is None:
        return
    rang = [one for one in held.slices if one.is_forgotten]
    rules = [one for one in rang if one.kind == "rule"]
    if rang:
        worst = min(rules or rang, key=lambda one: one.last - one.start)
        told = {"step": f"{worst.curve.steps[-1]:,}", "rules": len(rules), "slices": len(rang) - len(rules)}
        worst_told = {"before": f"{worst.start:.0%}", "after": f"{worst.last:.0%}", "n": worst.n}
        key = "runs.alarm" if len(rules) == len(rang) else "runs.alarm_both" if rules else "runs.alarm_slices"
        said = [
            page.say(key, **told),
            page.say("runs.alarm_worst", worst=plain(_named(page, worst)), **worst_told),
        ]
        st.warning(together(page, said))
    elif any(one.alarm_steps for one in held.slices):
        last = max(one.alarm_steps[-1] for one in held.slices if one.alarm_steps)
        st.caption(page.say("runs.alarm_before", step=f"{last:,}"))


def _draw_charts(page: Page, run_id: str, curves: RunCurves, before: RunRow | None, behind: RunCurves | None) -> None:
    if not curves.curves:
        st.caption(page.say("runs.no_curves"))
        return
    left, right = st.columns(2, vertical_alignment="bottom")
    name = before.run_id if before is not None else None
    words = page.say("runs.behind", run=name) if name else None
    old = behind.curves if behind is not None else {}
    if "loss" in curves.curves:
        with left:
            st.markdown(f"**{page.say('runs.curve_loss')}**" + (f" · {words}" if words and "loss" in old else ""))
            told = CurveWords(page.say("runs.curve_loss"), page.say("runs.step"))
            draw_curve(curves.curves["loss"], old.get("loss"), told, key=f"runs.loss.{run_id}")
    others = [metric for metric in curves.curves if metric not in ("loss", "step", "epoch", "tier")]
    if curves.watched is None or not others:
        return
    with right:
        metric = st.selectbox(
            page.say("runs.metric"),
            others,
            index=others.index(curves.watched),
            key=f"runs.metric.{run_id}",
            label_visibility="collapsed",
        )
        chosen = metric if metric in curves.curves else curves.watched
        told = CurveWords(chosen, page.say("runs.step"))
        draw_curve(curves.curves[chosen], old.get(chosen), told, key=f"runs.curve.{run_id}.{chosen}")


def _draw_recalls(page: Page, run_id: str, curves: RunCurves) -> None:
    """Draw recall by rule: a few lines, and all slices in a table, those that fell most first."""
    held = curves.held_back
    if held is None:
        return
    # by pairs lost, not by share: a rule on one pair falls from all to nothing by chance
    fallen = sorted(held.slices, key=lambda one: (not one.is_forgotten, one.n * (one.last - one.start), one.name))
    drawn = ([one for one in fallen if one.kind == "rule"] or fallen)[:N_LINES]
    words = {name: page.say(f"runs.{name}") for name in ("step", "alarm_mark", "recall")}
    title = page.say("runs.recall_title", n=f"{held.n:,}")
    chart, table = st.columns([4, 5])
    with chart:
        draw_recalls(
            drawn,
            {"title": title, "step": words["step"], "alarm": words["alarm_mark"], "recall": words["recall"]},
            key=f"runs.recall.{run_id}",
        )
        st.caption(page.say("runs.recall_help"))
    with table:
        _draw_slices(page, fallen, curves)


def _draw_slices(page: Page, slices: Sequence[SliceRecall], curves: RunCurves) -> None:
    draw_table(
        [
            Column(page.say("runs.slice"), [_named(page, one) for one in slices], width=170),
            Column("n", [one.n for one in slices], width=45),
            Column(page.say("runs.recall_start"), [100 * one.start for one in slices], number="%.0f%%", width=62),
            Column(page.say("runs.recall_now"), [100 * one.last for one in slices], number="%.0f%%", width=62),
            Column(page.say("runs.fell"), [100 * (one.last - one.start) for one in slices], number="%+.0f", width=62),
            Column(page.say("runs.alarm_told"), [_alarm(page, one) for one in slices], width=90),
            Column(page.say("runs.rule_text"), [curves.texts.get(one.name, "") for one in slices], width=360),
        ],
        is_few=[one.n < FEW for one in slices],
        height=TABLE_HEIGHT,
    )


def _named(page: Page, one: SliceRecall) -> str:
    return one.name if one.kind == "rule" else page.say(f"runs.slice_{one.kind}", name=one.name)


def _alarm(page: Page, one: SliceRecall) -> str:
    if one.is_forgotten:
        return page.say("runs.forgotten_now")
    return page.say("runs.rang_at", step=f"{one.alarm_steps[-1]:,}") if one.alarm_steps else ""
