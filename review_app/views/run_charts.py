"""The curves of a run, drawn so that a new point moves the line and nothing else.

The table of points goes beside the specification, not into it: while that stays the same the browser only takes in the
new rows. What the run stands against lies behind in grey; each line is labelled where it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import streamlit as st

from review_app.views.numbers import accent, faint, grey, is_dark
from storage.training.run_curves import Curve, SliceRecall

HEIGHT = 220
NAME_HEIGHT = 0.1  # of the scale of recall
_STEP = {"field": "step", "type": "quantitative", "axis": {"tickMinStep": 1, "format": "d"}}


@dataclass(frozen=True, slots=True)
class CurveWords:
    """What a chart says: what it shows, to who cannot see it, and the steps' axis."""

    title: str
    step: str


def alarm_colour() -> str:
    """Return the colour of an alarm: neither the accent nor a grade's."""
    return "#e0a458" if is_dark() else "#8a5a2f"


def draw_curve(curve: Curve, before: Curve | None, words: CurveWords, *, key: str) -> None:
    """Draw a metric over steps."""
    rows = [_points(curve, "now"), *([_points(before, "before")] if before is not None else [])]
    value = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}}
    x, y = {**_STEP, "title": words.step}, value
    told = [
        {"field": "step", "type": "quantitative", "title": words.step, "format": "d"},
        {"field": "value", "type": "quantitative", "title": curve.name, "format": ".4g"},
    ]
    spec = {
        "height": HEIGHT,
        "padding": {"right": 8, "left": 4, "top": 4, "bottom": 4},
        "layer": [
            {
                **_only("before"),
                "mark": {"type": "line", "color": faint(), "strokeWidth": 2},
                "encoding": {"x": x, "y": y},
            },
            {
                **_only("now"),
                "mark": {"type": "line", "color": accent(), "strokeWidth": 2, "point": {"size": 14, "color": accent()}},
                "encoding": {"x": x, "y": y, "tooltip": told},
            },
            {
                "transform": [*_only("now")["transform"], *_LAST],
                "mark": {"type": "text", "align": "left", "dx": 7, "color": accent(), "fontSize": 13, "clip": False},
                "encoding": {"x": x, "y": y, "text": {"field": "value", "type": "quantitative", "format": ".4g"}},
            },
        ],
        "config": _config(),
    }  # fmt: skip
    st.vega_lite_chart(pl.concat(rows), spec, alt=words.title, key=key)


def draw_recalls(slices: Sequence[SliceRecall], words: Mapping[str, str], *, key: str) -> None:
    """Draw recall over steps of a few slices; a mark where the alarm rang. `words` has title, step, alarm."""
    named = _apart(slices)
    rows = pl.concat([_recalls(one, is_named=one.name in named) for one in slices])
    x = {**_STEP, "title": words["step"]}
    y = {"field": "value", "type": "quantitative", "title": None, "scale": {"domain": [0, 1]}, "axis": {"format": "%"}}
    line = {"field": "name", "type": "nominal"}
    colour = {
        "condition": {"test": "datum.is_forgotten", "value": alarm_colour()},
        "value": grey(),
    }
    told = [
        {"field": "name", "type": "nominal", "title": " "},
        {"field": "step", "type": "quantitative", "title": words["step"], "format": "d"},
        {"field": "value", "type": "quantitative", "title": words["recall"], "format": ".0%"},
        {"field": "n", "type": "quantitative", "title": "n", "format": "d"},
    ]
    spec = {
        "height": HEIGHT,
        "padding": {"right": 8, "left": 4, "top": 4, "bottom": 4},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2, "point": {"size": 18}},
             "encoding": {"x": x, "y": y, "detail": line, "color": colour, "tooltip": told}},
            {"transform": [{"filter": "datum.is_alarm"}],
             "mark": {"type": "point", "shape": "triangle-down", "size": 110, "filled": True, "yOffset": -11,
                      "color": alarm_colour(), "opacity": 1},
             "encoding": {"x": x, "y": y, "tooltip": told}},
            {"transform": [{"filter": "datum.is_named"}, *_LAST_OF_EACH],
             "mark": {"type": "text", "align": "left", "dx": 7, "fontSize": 12, "clip": False},
             "encoding": {"x": x, "y": y, "text": line, "color": colour}},
        ],
        "config": _config(),
    }  # fmt: skip
    st.markdown(f"**{words['title']}** · ▼ {words['alarm']}")
    st.vega_lite_chart(rows, spec, alt=words["title"], key=key)


def _config() -> dict[str, Any]:
    """Return what all charts share; Streamlit's own grey of axes is too weak to read on white."""
    axis = {"labelColor": grey(), "titleColor": grey()}
    return {"aria": False, "view": {"strokeWidth": 0}, "axis": axis}


_LAST = [
    {"joinaggregate": [{"op": "max", "field": "step", "as": "last"}]},
    {"filter": "datum.step == datum.last"},
]
_LAST_OF_EACH = [
    {"joinaggregate": [{"op": "max", "field": "step", "as": "last"}], "groupby": ["name"]},
    {"filter": "datum.step == datum.last"},
]


def _only(which: str) -> dict[str, list[dict[str, Any]]]:
    return {"transform": [{"filter": f"datum.of == '{which}'"}]}


def _points(curve: Curve, which: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"step": curve.steps, "value": curve.values, "of": [which] * len(curve.steps)},
        schema={"step": pl.Int64, "value": pl.Float64, "of": pl.String},
    )


def _apart(slices: Sequence[SliceRecall]) -> set[str]:
    """Return the slices whose names can stand at the end of their lines without covering another's, the first first."""
    named: list[SliceRecall] = []
    for one in slices:
        if all(abs(one.last - other.last) >= NAME_HEIGHT for other in named):
            named.append(one)
    return {one.name for one in named}


def _recalls(one: SliceRecall, *, is_named: bool) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "step": one.curve.steps,
            "value": one.curve.values,
            "name": [one.name] * len(one.curve.steps),
            "n": [one.n] * len(one.curve.steps),
            "is_alarm": [step in one.alarm_steps for step in one.curve.steps],
            "is_forgotten": [one.is_forgotten] * len(one.curve.steps),
            "is_named": [is_named] * len(one.curve.steps),
        }
    )
