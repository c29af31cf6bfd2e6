"""The few charts of the app: labelled where the eye is, with what they are compared to behind in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import altair as alt
import polars as pl
import streamlit as st

from curation.intervals import Interval
from review_app.views.numbers import accent, faint, grey

DAYS_HEIGHT = 230  # with the axis
AXIS_HEIGHT, MARK_HEIGHT = 62, 30


@dataclass(frozen=True, slots=True)
class Mark:
    """One point with its interval, named on the chart; `is_few` draws it grey."""

    name: str
    value: float
    interval: Interval | None
    is_few: bool


def show_chart(chart: alt.Chart | alt.LayerChart | alt.FacetChart, *, told: str) -> None:
    """Draw a chart without a frame; `told` is what it is to who cannot see it.

    Vega's own words for axes and marks are English whatever the page's language, so they are not said.
    """
    st.altair_chart(chart.configure(aria=False, view=alt.ViewConfig(strokeWidth=0)), alt=told)


def draw_days(
    by_day: Mapping[date, int], today: date, *, n_days: int, mean: float | None, words: Mapping[str, str]
) -> None:
    """Draw a bar for each of the last days, behind it the same weekday `n_days` before, and a line at the mean.

    `words` has title, day, answers, before and mean.
    """
    days = [today - timedelta(days=back) for back in range(n_days, -1, -1)]
    rows = pl.DataFrame(
        {
            "day": [f"{day:%m-%d}" for day in days],
            "now": [by_day.get(day, 0) for day in days],
            "before": [by_day.get(day - timedelta(days=n_days), 0) for day in days],
        }
    )
    order = [*rows["day"].to_list(), ""]  # the last place is for the words on the line
    scale = alt.Scale(domain=order)
    axis = alt.Axis(labelAngle=0, labelOverlap=True, ticks=False)
    x = alt.X("day:N", scale=scale, title=None, axis=axis)
    y_title = words["answers"]
    told = [alt.Tooltip("day:N", title=words["day"]), alt.Tooltip("now:Q", title=words["answers"])]
    layers: list[alt.Chart] = [
        alt.Chart(rows).mark_bar(color=faint(), size=28).encode(x=x, y=alt.Y("before:Q", title=y_title)),
        alt.Chart(rows).mark_bar(color=accent(), size=14).encode(x=x, y=alt.Y("now:Q", title=y_title), tooltip=told),
    ]
    if mean is not None:
        line = pl.DataFrame({"mean": [mean], "told": [words["mean"]], "day": [order[-1]]})
        layers.append(alt.Chart(line).mark_rule(color=grey(), strokeDash=[4, 3]).encode(y="mean:Q"))
        layers.append(
            alt.Chart(line)
            .mark_text(align="center", dy=-7, color=grey(), fontSize=13)
            .encode(y="mean:Q", x=x, text="told:N")
        )
    st.markdown(f"**{words['title']}** · {words['before']}")
    show_chart(alt.layer(*layers).properties(height=DAYS_HEIGHT), told=words["title"])


def draw_intervals(marks: Sequence[Mark], *, title: str, axis: str) -> None:
    """Draw each mark as a point on its interval, one below the other, against a line at nought."""
    rows = pl.DataFrame(
        {
            "name": [mark.name for mark in marks],
            "value": [mark.value for mark in marks],
            "low": [mark.interval.low if mark.interval else mark.value for mark in marks],
            "high": [mark.interval.high if mark.interval else mark.value for mark in marks],
            "colour": [grey() if mark.is_few else accent() for mark in marks],
        }
    )
    y = alt.Y(
        "name:N",
        sort=rows["name"].to_list(),
        title=None,
        axis=alt.Axis(labelLimit=320, labelOverlap=False, ticks=False),
    )
    colour = alt.Color("colour:N", scale=None)
    reach = max(0.5, *(abs(value) for value in (*rows["low"], *rows["high"])))
    scale = alt.Scale(domain=[-reach, reach])
    nought = alt.Chart(pl.DataFrame({"at": [0.0]})).mark_rule(color=faint(), strokeWidth=2).encode(x="at:Q")
    spans = (
        alt.Chart(rows)
        .mark_rule(strokeWidth=2)
        .encode(y=y, x=alt.X("low:Q", title=axis, scale=scale), x2="high:Q", color=colour)
    )
    points = (
        alt.Chart(rows)
        .mark_point(filled=True, size=70, opacity=1)
        .encode(y=y, x=alt.X("value:Q", title=axis, scale=scale), color=colour)
    )
    st.markdown(f"**{title}**")
    height = 40 + 26 * len(marks)
    show_chart(alt.layer(nought, spans, points).properties(height=height), told=title)
