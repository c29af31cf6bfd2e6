"""How a run learnt: its metrics over steps, what it was measured at on held-back pairs, where the alarm rang."""

from __future__ import annotations

from collections.abc import Sequence

from storage.training.run_curves import Curve, HeldBack, SliceRecall
from trainers.report.charts import Mark, curve_chart, recall_chart
from trainers.report.contents import Contents
from trainers.report.html import Html, join, tag

# those that tell whether to stop; the others are folded away
FIRST = (
    "loss", "grade_loss", "rationale_loss", "perplexity", "reward", "rewards/exact_grade", "rewards/accuracies",
    "rewards/margins", "sft_loss", "kl", "entropy", "silent_rate", "group_accuracy",
)  # fmt: skip
LEFT_OUT = ("epoch", "tier")  # steps again


def curves_section(contents: Contents) -> Html | None:
    """Return the charts; None where no step was told."""
    curves = {name: curve for name, curve in contents.curves.items() if name not in LEFT_OUT}
    if not curves and contents.held_back is None:
        return None
    marks = [*_stages(contents), *_alarms(contents.held_back)]
    first = [curve_chart(curves[name], marks=marks) for name in FIRST if name in curves]
    rest = [curve_chart(curve, marks=marks) for name, curve in curves.items() if name not in FIRST]
    folded = (
        tag("details", tag("summary", f"{len(rest)} more curves"), tag("div", *rest, class_="charts")) if rest else None
    )
    return join([tag("div", *first, class_="charts"), folded, _held_back(contents.held_back)])


def _stages(contents: Contents) -> list[Mark]:
    return [
        Mark(stage["first_step"], f"tier {stage['tier']}", is_alarm=False)
        for stage in contents.record.get("stages") or ()
    ]


def _alarms(held_back: HeldBack | None) -> list[Mark]:
    rang: dict[int, list[str]] = {}
    for one in held_back.slices if held_back else ():
        for step in one.alarm_steps:
            rang.setdefault(step, []).append(f"{one.kind} {one.name}")
    return [Mark(step, f"forgetting alarm at step {step}: {', '.join(names)}", True) for step, names in rang.items()]


def _held_back(held_back: HeldBack | None) -> Html | None:
    if held_back is None:
        return None
    rules = [one for one in held_back.slices if one.kind == "rule"]
    others = [one for one in held_back.slices if one.kind != "rule"]
    forgotten = [one for one in held_back.slices if one.is_forgotten]
    charts = [curve_chart(Curve("reward on held-back pairs", held_back.reward.steps, held_back.reward.values))]
    if rules:
        charts.append(
            recall_chart([(one.curve, bool(one.alarm_steps)) for one in rules], f"recall, {len(rules)} rules")
        )
    if others:
        title = "recall by tier and grade"
        charts.append(recall_chart([(one.curve, bool(one.alarm_steps)) for one in others], title))
    said = (
        f"The alarm rang for {len(forgotten)} of {len(held_back.slices)} slices at the last measurement."
        if forgotten
        else "The alarm was silent at the last measurement. A rule on few pairs cannot ring: see its n."
    )
    return join(
        [
            tag("h3", f"What it forgot, on {held_back.n} held-back pairs"),
            tag("p", said),
            tag("div", *charts, class_="charts"),
            _forgotten_table(forgotten),
        ]
    )


def _forgotten_table(forgotten: Sequence[SliceRecall]) -> Html | None:
    if not forgotten:
        return None
    head = tag("tr", *(tag("th", name) for name in ("slice", "n", "recall at the start", "at the end")))
    rows = [
        tag(
            "tr", tag("th", f"{one.kind} {one.name}", scope="row"), tag("td", one.n), tag("td", f"{one.start:.2f}"),
            tag("td", f"{one.last:.2f}"),
        )
        for one in forgotten
    ]  # fmt: skip
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="wide")
