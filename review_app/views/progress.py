"""How the work stands: what is left, when it is done, the tiers, agreement, and people as far as one may see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import streamlit as st

from review_app.answer_work import Work
from review_app.figures import figures_of
from review_app.pace import WINDOW_DAYS, Finish, Pace, needed_per_day
from review_app.page import Page
from review_app.progress import CauseLine, Progress, read_figures, read_progress
from review_app.views.charts import draw_days
from review_app.views.clock import minutes_ahead, shown_time
from review_app.views.numbers import decimal_span
from review_app.views.progress_agreement import draw_agreement
from review_app.views.progress_people import draw_own, draw_people
from review_app.views.sentences import together
from review_app.views.tables import Column, draw_table


def draw(page: Page) -> None:
    """Draw the page."""
    st.title(page.say("progress.title"), anchor=False)
    found = read_progress(
        page.person, page.store, page.workspace, figures_of(page.workspace.root), minutes_ahead=minutes_ahead()
    )
    if not _is_begun(found):
        st.info(page.say("progress.nothing"))
        return
    _draw_left(page, found)
    _draw_tiers(page, found)
    draw_agreement(page, found)
    if found.is_lead:
        draw_people(page, found.people)
    else:
        draw_own(page, found)
    if found.taken.is_coming:
        _look_again(page)


@st.fragment(run_every=1.0)
def _look_again(page: Page) -> None:
    """Draw the page again when the figures are there."""
    if not read_figures(page.store, page.workspace, figures_of(page.workspace.root)).is_coming:
        st.rerun()


def _is_begun(found: Progress) -> bool:
    """Say whether anything waits, was answered or stands in a tier."""
    has_rows = any(tier.n_now for tier in found.tiers)
    return bool(
        found.open.n_pairs or found.open.n_disputed or found.open.n_ready or found.people or found.own or has_rows
    )


def _draw_left(page: Page, found: Progress) -> None:
    st.header(page.say("progress.left"), anchor=False)
    work, team = found.open, found.team
    waits = [
        page.say("progress.waiting", pairs=f"{work.n_pairs:,}", asked=f"{work.n_asked:,}")
        if work.n_pairs
        else page.say("progress.waiting_none")
    ]
    if work.n_disputed:
        waits.append(page.say("progress.disputed", n=f"{work.n_disputed:,}"))
    if work.n_ready:
        waits.append(page.say("progress.ready", n=f"{work.n_ready:,}"))
    told, asked = st.columns([4, 1])
    with told:
        st.markdown(f"**{together(page, waits)}**")
        if found.is_hidden:
            st.write(page.say("progress.hidden"))
        elif team is None:
            st.caption(page.say("progress.counting"))
        elif work.n_asked:
            st.write(together(page, [*_hours(page, work.n_asked, team), _end(page, found.pace, found.finish)]))
    if work.n_asked and team is not None:
        with asked:
            _draw_target(page, found)
    chart, causes = st.columns([3, 2])
    with chart:
        _draw_chart(page, found)
    with causes:
        _draw_causes(page, work.causes)
    if found.pace is not None:
        st.caption(page.say("progress.model"))


def _hours(page: Page, n_asked: int, team: Work) -> list[str]:
    speed = team.speed
    if speed.per_hour is None:
        return []
    return [
        page.say(
            "progress.hours" if team.is_timed_recent else "progress.hours_all",
            hours=f"{n_asked / speed.per_hour:,.1f}",
            per_hour=f"{speed.per_hour:,.0f}",
            n=f"{speed.n:,}",
            replayed=f"{team.n_replayed:,}",
            all=f"{team.n_answers:,}",
        )
    ]


def _end(page: Page, pace: Pace | None, finish: Finish | None) -> str:
    if pace is None or finish is None:
        return page.say("progress.pace_none")
    told = {"per_day": f"{pace.per_day:,.0f}", "n_days": pace.n_days, "n": f"{pace.n_answers:,}"}
    if finish.by is None:
        return page.say("progress.done_never", **told)
    interval = pace.interval
    told |= {
        "low": f"{max(0.0, interval.low if interval else pace.per_day):,.0f}",
        "high": f"{interval.high if interval else pace.per_day:,.0f}",
        "by": f"{finish.by}",
        "earliest": f"{finish.earliest}",
    }
    if finish.latest is None:
        return page.say("progress.done_by_open", **told)
    return page.say("progress.done_by", latest=f"{finish.latest}", **told)


def _draw_target(page: Page, found: Progress) -> None:
    """Ask for a day, and say what it takes."""
    target = st.date_input(
        page.say("progress.target"), value=None, min_value=found.today, key="progress.target", format="YYYY-MM-DD"
    )
    needed = needed_per_day(found.open.n_asked, found.today, target) if isinstance(target, date) else None
    if needed is None:
        return
    if found.pace is None:
        st.caption(page.say("progress.target_needs_only", needed=f"{needed:,.0f}"))
    else:
        pace = f"{found.pace.per_day:,.0f}"
        st.caption(page.say("progress.target_needs", needed=f"{needed:,.0f}", per_day=pace))


def _draw_chart(page: Page, found: Progress) -> None:
    by_day = found.team.by_day if found.is_lead and found.team else found.own.work.by_day if found.own else {}
    if not any(by_day.values()):
        replayed = found.team.n_replayed if found.team else 0
        st.caption(
            page.say("progress.chart_none_replayed", n=f"{replayed:,}") if replayed else page.say("progress.chart_none")
        )
    else:
        mean = found.pace.per_day if found.pace and found.is_lead else None
        draw_days(
            by_day,
            found.today,
            n_days=WINDOW_DAYS,
            mean=mean,
            words={
                "title": page.say("progress.chart_team" if found.is_lead else "progress.chart_own"),
                "before": page.say("progress.chart_before"),
                "mean": page.say("progress.chart_mean", n=f"{mean or 0:,.0f}"),
                "day": page.say("progress.day"),
                "answers": page.say("progress.answers"),
            },
        )
    if not found.is_lead and found.team is not None and found.team.n_recent:
        own = found.own.work.n_recent if found.own else 0
        st.caption(page.say("progress.team_total", n=f"{found.team.n_recent:,}", own=f"{own:,}"))


def _draw_causes(page: Page, causes: Sequence[CauseLine]) -> None:
    if not causes:
        return
    draw_table(
        [
            Column(page.say("progress.cause"), [_cause(page, line.cause) for line in causes], width=240),
            Column(page.say("progress.pairs"), [line.n_pairs for line in causes]),
            Column(page.say("progress.asked"), [line.n_asked for line in causes]),
        ]
    )
    st.caption(page.say("progress.causes_overlap"))


def _cause(page: Page, cause: str) -> str:
    """Return a cause in words; one that the workspace made has its own name."""
    known = ("revised", "rule_conflict", "low_confidence", "blind_audit", "another_look")
    return page.say(f"progress.cause_{cause or 'first'}") if not cause or cause in known else cause


def _draw_tiers(page: Page, found: Progress) -> None:
    st.header(page.say("progress.tiers"), anchor=False)
    if found.taken.stand is None:
        st.caption(page.say("progress.counting"))
        return
    share = _share_in_a_week(found)
    tiers = found.tiers
    columns = [
        Column(page.say("progress.tier"), [f"{tier.tier} {tier.name}" for tier in tiers]),
        Column(page.say("progress.tier_now"), [tier.n_now for tier in tiers]),
        Column(page.say("progress.tier_more"), [None if tier.n_more is None else round(tier.n_more) for tier in tiers]),
        Column(page.say("progress.tier_interval"), [decimal_span(tier.interval, 0) for tier in tiers]),
    ]
    if share is not None:
        in_a_week = [None if tier.n_more is None else tier.n_now + round(share * tier.n_more) for tier in tiers]
        columns.append(Column(page.say("progress.tier_week"), in_a_week))
    draw_table(columns)
    said = [page.say("progress.tiers_model", at=shown_time(found.taken.stand.taken_at))]
    if any(tier.n_more is None for tier in tiers):
        said = [
            page.say("progress.taken", at=shown_time(found.taken.stand.taken_at)),
            page.say("progress.tiers_unknown"),
        ]
    elif found.finish is not None and found.finish.by is not None and found.open.n_asked:
        said.append(page.say("progress.tiers_done", by=f"{found.finish.by}"))
    if found.taken.stand.is_coming:
        said.append(page.say("progress.counting_again"))
    st.caption(together(page, said))


def _share_in_a_week(found: Progress) -> float | None:
    """Return how much of what waits is done in a week at the present pace."""
    if found.pace is None or not found.open.n_asked:
        return None
    return min(1.0, timedelta(weeks=1).days * found.pace.per_day / found.open.n_asked)
