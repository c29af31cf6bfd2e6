"""The page: one HTML file without scripts, links to elsewhere or anything to fetch, the same for the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files

from trainers.evaluation.metrics import Measure
from trainers.report.contents import Contents
from trainers.report.curves import curves_section
from trainers.report.html import Html, join, tag
from trainers.report.making import configuration_section, data_section, lineage_section
from trainers.report.quality import interval_words, quality_section, rules_section, samples_section

# nothing may be fetched and nothing may run, whatever stands in a text
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
HEADLINES = ("macro_f1", "accuracy", "qwk")

SECTIONS: Sequence[tuple[str, str, Callable[[Contents], Html | None]]] = (
    ("quality", "How good it is", quality_section),
    ("rules", "Rule by rule", rules_section),
    ("samples", "Pairs it got wrong and right", samples_section),
    ("curves", "How it learnt", curves_section),
    ("data", "What it learnt from", data_section),
    ("configuration", "Configuration", configuration_section),
    ("lineage", "Where it comes from, and how to make it again", lineage_section),
)


def page(contents: Contents) -> str:
    """Return the page of a run as HTML."""
    drawn = [(name, title, section) for name, title, draw in SECTIONS if (section := draw(contents)) is not None]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{contents.run_id} · afrel"),
        tag("style", _style()),
    )
    body = tag(
        "body",
        tag("header", tag("h1", contents.run_id), tag("p", _summary(contents), class_="quiet"), _headline(contents)),
        tag("nav", *(tag("a", title, href=f"#{name}") for name, title, _ in drawn), aria_label="Sections"),
        _gaps(contents.gaps),
        *(tag("section", tag("h2", title), section, id=name) for name, title, section in drawn),
        tag("footer", "Made by afrel report. Test pairs are told as figures only; intervals are 95%, over queries."),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


@cache
def _style() -> Html:
    return Html(files("trainers.report").joinpath("page.css").read_text(encoding="utf-8"))


def _summary(contents: Contents) -> Html:
    record = contents.record
    if not record:
        return join([contents.status])
    begun = record.get("started_from", {}).get("run_id") or record["config"]["model"]
    parts = [
        f"{record['method']} from {begun}",
        f"on {record['snapshot_id']}",
        str(contents.status),
        *([f"{record['n_steps']} steps in {_duration(record['seconds'])}"] if "n_steps" in record else []),
        f"started {_moment(record['started_at'])}",
    ]
    return join([" · ".join(parts)])


def _headline(contents: Contents) -> Html | None:
    told = []
    for one in contents.measured:
        held = {measure.metric: measure for measure in one.measures.get("run", ())}
        beside = {measure.metric: measure for measure in one.measures.get("majority", ())}
        for metric in HEADLINES[: 2 if one.split == "test" else 3]:
            if one.verb == "evaluate" and metric in held and held[metric].value is not None:
                told.append(_figure(f"{metric} on {one.split}", held[metric], beside.get(metric)))
    return tag("div", *told, class_="headline") if told else None


def _figure(name: str, one: Measure, majority: Measure | None) -> Html:
    floor = "" if majority is None or majority.value is None else f" · commonest grade {majority.value:.3f}"
    return tag(
        "div", tag("span", name, class_="quiet"), tag("b", f"{one.value:.3f}"),
        tag("small", f"{interval_words(one)} · n {one.n}{floor}"),
    )  # fmt: skip


def _gaps(gaps: Sequence[str]) -> Html | None:
    return tag("div", *(tag("p", gap) for gap in gaps), class_="gaps") if gaps else None


def _moment(told: str) -> str:
    return f"{datetime.fromisoformat(told):%Y-%m-%d %H:%M} UTC"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
