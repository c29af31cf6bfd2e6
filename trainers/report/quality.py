"""How good a run is: figures beside the baselines, confusion, calibration, recall by rule, and pairs to look at."""

from __future__ import annotations

from collections.abc import Sequence

from trainers.evaluation.metrics import Measure
from trainers.evaluation.rule_recall import RuleRecall
from trainers.evaluation.text import MODELS, place_of
from trainers.report.charts import confusion_table, interval_bar, reliability_chart
from trainers.report.contents import Contents
from trainers.report.html import Html, join, tag
from trainers.report.measured import DevDetail, Measured, Sample

FEW = 10  # pairs, under which a figure says little
N_RULES_OPEN = 40
COLUMN_NAMES = {"run": "this run", "majority": "commonest grade", "lexical": "model-free labeller"}


def quality_section(contents: Contents) -> Html | None:
    """Return the tables of figures, the confusion matrix and calibration; None where nothing was measured."""
    if not contents.measured:
        return None
    return join([*(_table(one) for one in contents.measured), _confusion(contents)])


def _table(one: Measured) -> Html:
    columns = [name for name in MODELS if name in one.measures]
    held = {name: {measure.metric: measure for measure in one.measures[name]} for name in columns}
    metrics = sorted({metric for measures in held.values() for metric in measures}, key=place_of)
    head = tag(
        "tr", tag("th", ""), tag("th", "n", class_="number"), *(tag("th", COLUMN_NAMES[name]) for name in columns)
    )
    rows = []
    for metric in metrics:
        ns = [measures[metric].n for measures in held.values() if metric in measures]
        cells = [_cell(held[name].get(metric), ns[0]) for name in columns]
        rows.append(
            tag("tr", tag("th", metric, scope="row"), tag("td", ns[0], class_="number"), *cells,
                class_="few" if ns[0] < FEW else None)
        )  # fmt: skip
    what = "samples of" if one.verb == "rollout" else "on"
    hardware = f" First token: one pair a request, on {one.hardware}." if one.hardware else ""
    return join(
        [
            tag("h3", f"{what.capitalize()} {one.split}"),
            tag(
                "p", f"{one.snapshot_id}, measured by {one.measured_by} on {one.at:%Y-%m-%d}.{hardware}", class_="quiet"
            ),
            tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="wide"),
        ]
    )


def _cell(one: Measure | None, n: int) -> Html:
    if one is None:
        return tag("td", "")
    if one.value is None:
        return tag("td", "undefined", class_="quiet")
    own_n = f", n {one.n}" if one.n != n else ""
    return tag("td", f"{one.value:.3f} ", tag("small", interval_words(one) + own_n))


def interval_words(one: Measure) -> str:
    """Return an interval in words, empty where there is none."""
    return "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"


def _confusion(contents: Contents) -> Html | None:
    dev = contents.dev
    if dev is None:
        return None
    grades = list(_grade_names(dev).values())
    missing = f" {dev.n_missing} dev pairs were not graded." if dev.n_missing else ""
    return join(
        [
            tag("h3", f"Where it goes wrong, and whether it knows, on {dev.n} dev pairs"),
            tag(
                "div",
                reliability_chart(dev.bins),
                tag(
                    "div",
                    tag("div", confusion_table(dev.confusion, grades), class_="wide"),
                    tag("p", f"Shades are shares of a row. On the diagonal of the chart a model is as often right as "
                             f"it says; a dot's area goes with its n.{missing}", class_="quiet"),
                ),
                class_="pair",
            ),
        ]
    )  # fmt: skip


def rules_section(contents: Contents) -> Html | None:
    """Return recall by rule, the worst first; None where no dev pair was measured, or none cites a rule."""
    dev = contents.dev
    if dev is None or not dev.rules:
        return None
    shown, folded = dev.rules[:N_RULES_OPEN], dev.rules[N_RULES_OPEN:]
    n_few = sum(one.n < FEW for one in dev.rules)
    said = (
        f"Share of right grades among the dev pairs whose rationale cites a rule, the lowest first. {n_few} of "
        f"{len(dev.rules)} rules have fewer than {FEW} pairs and are grey: look at their interval."
    )
    more = (
        tag("details", tag("summary", f"{len(folded)} more rules"), _rule_table(contents, folded)) if folded else None
    )
    return join([tag("p", said), _rule_table(contents, shown), more])


def _rule_table(contents: Contents, rules: Sequence[RuleRecall]) -> Html:
    texts = contents.snapshot.rule_texts if contents.snapshot else {}
    citing = contents.snapshot.citing if contents.snapshot else {}
    names = ("rule", "what it says", "n dev", "n train", "recall", "95% interval", "")
    head = tag("tr", *(tag("th", name) for name in names))
    rows = [
        tag(
            "tr",
            tag("th", tag("code", one.rule_id), scope="row"),
            tag("td", tag("span", texts.get(one.rule_id, "not in this snapshot's rule book"), dir="auto")),
            tag("td", one.n, class_="number"),
            tag("td", citing.get(one.rule_id, 0), class_="number"),
            tag("td", f"{one.recall:.2f}", class_="number"),
            tag("td", f"{one.low:.2f} to {one.high:.2f}"),
            tag("td", interval_bar(one.recall, one.low, one.high, f"{one.rule_id}: {one.recall:.2f}, n {one.n}")),
            class_="few" if one.n < FEW else None,
        )
        for one in rules
    ]
    return tag("div", tag("table", tag("thead", head), tag("tbody", *rows)), class_="wide")


def samples_section(contents: Contents) -> Html | None:
    """Return dev pairs the run graded, wrong ones first; None where no dev pair was measured."""
    dev = contents.dev
    if dev is None or not dev.samples:
        return None
    wrong = [one for one in dev.samples if not one.is_right]
    right = [one for one in dev.samples if one.is_right]
    n_wrong = dev.n - sum(dev.confusion[at][at] for at in range(len(dev.confusion)))
    parts = [tag("p", "Dev pairs only. The reasons are the experts'.", class_="quiet")]
    if wrong:
        parts.append(tag("h3", f"Wrong: {len(wrong)} of {n_wrong}, the farthest off and surest first"))
        parts += [_sample(one, dev) for one in wrong]
    if right:
        parts.append(tag("h3", f"Right: {len(right)} of {dev.n - n_wrong}, the least sure of each grade"))
        parts += [_sample(one, dev) for one in right]
    return join(parts)


def _sample(one: Sample, dev: DevDetail) -> Html:
    names = _grade_names(dev)
    sure = ", ".join(f"{name} {p:.2f}" for name, p in zip(names.values(), one.probabilities, strict=True))
    fields = [part for name, value in one.fields.items() for part in (_strange("dt", name), _strange("dd", value))]
    return tag(
        "article",
        _strange("p", one.query, "query"),
        _strange("p", one.title),
        tag("dl", *fields) if fields else None,
        _strange("p", one.body, "quiet") if one.body else None,
        tag("p", *(part for reason in one.reasons for part in (_strange("span", reason), tag("br")))) if one.reasons
        else tag("p", "No reasons were given.", class_="quiet"),
        tag(
            "div",
            tag("span", "settled ", tag("b", names.get(one.grade, one.grade))),
            tag("span", "model ", tag("b", names.get(one.predicted, one.predicted))),
            tag("span", sure, class_="quiet"),
            tag("span", tag("code", one.pair_id), f" · tier {one.tier}", class_="quiet"),
            class_="verdict",
        ),
        class_=f"sample {'is-right' if one.is_right else 'is-wrong'}",
    )  # fmt: skip


def _strange(name: str, said: str, kind: str = "") -> Html:
    """Return a stranger's text: in its own direction, which reaches nothing around it."""
    return tag(name, said, dir="auto", class_=f"stranger {kind}".strip())


def _grade_names(dev: DevDetail) -> dict[int, str]:
    return {grade: f"{grade} {name}" for grade, name in dev.grades.items()}
