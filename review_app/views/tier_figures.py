"""Tiers in figures: rows by split, how reviewers agree on them with n and interval, and the grades of each."""

from __future__ import annotations

import altair as alt
import polars as pl
import streamlit as st

from curation.agreement import Agreement
from review_app.page import Page
from review_app.tier_desk import Outlook, Preview, TierView
from review_app.views.charts import show_chart
from review_app.views.grade_ramp import ramp_of
from review_app.views.numbers import ABSENT, grey, percent, span
from review_app.views.tables import Column, draw_table

FEW = 20


def draw_summary(page: Page, preview: Preview, *, is_changed: bool) -> None:
    """Draw a line a tier; what comes and goes only where something was changed."""
    views = preview.tiers
    columns = [
        Column(page.say("tiers.tier"), [f"{view.tier.tier} {view.tier.name}" for view in views]),
        Column(page.say("tiers.train"), [view.by_split["train"] for view in views], number="localized", width=90),
        Column(page.say("tiers.dev"), [view.by_split["dev"] for view in views], number="localized", width=90),
    ]
    if all(view.n_test is not None for view in views):
        columns.append(Column(page.say("tiers.test"), [view.n_test for view in views], number="localized", width=90))
    if is_changed:
        columns += [
            Column(page.say("tiers.coming"), [view.n_in for view in views], number="localized", width=90),
            Column(page.say("tiers.going"), [view.n_out for view in views], number="localized", width=90),
        ]
    columns += [
        Column(page.say("tiers.answered_twice"), [view.alpha.n for view in views], number="localized", width=150),
        Column(page.say("tiers.same_grade"), [_same_grade(view) for view in views], width=170),
        Column(page.say("tiers.alpha"), [alpha_text(view.alpha) for view in views], width=170),
    ]
    draw_table(columns, is_few=[view.alpha.n < FEW for view in views])
    st.caption(page.say("tiers.agreement_help", few=FEW))


def draw_grades(page: Page, preview: Preview, outlook: Outlook) -> None:
    """Draw the shares of the grades of each tier, in train and dev rows, their counts in the bars."""
    if outlook.stand is None or not any(view.n for view in preview.tiers):
        return
    scale = outlook.stand.scale
    names = [f"{grade} {scale.name(grade)}" for grade in scale.values]
    rows = pl.DataFrame(
        [
            {
                "tier": f"{view.tier.tier} {view.tier.name}",
                "grade": names[scale.position(grade)],
                "place": scale.position(grade),
                "n": view.grades.get(grade, 0),
                "share": view.grades.get(grade, 0) / view.n,
            }
            for view in preview.tiers
            if view.n
            for grade in scale.values
        ]
    )
    ramp = ramp_of(len(names))
    rows = rows.with_columns(
        pl.col("place").replace_strict({place: ink for place, (_, ink) in enumerate(ramp)}).alias("ink"),
        pl.when(pl.col("share") >= 0.04).then(pl.col("n").cast(pl.String)).otherwise(pl.lit("")).alias("told"),
    )
    y = alt.Y("tier:N", sort=None, title=None, axis=alt.Axis(ticks=False, labelLimit=200))
    axis = alt.Axis(format="%", tickCount=5)
    x = alt.X("share:Q", stack="zero", title=None, axis=axis, scale=alt.Scale(domain=[0, 1]))
    order = alt.Order("place:Q")
    bars = (
        alt.Chart(rows)
        .mark_bar(stroke=grey(), strokeWidth=0.5)
        .encode(
            y=y,
            x=x,
            order=order,
            color=alt.Color(
                "grade:N",
                sort=names,
                scale=alt.Scale(domain=names, range=[ground for ground, _ in ramp]),
                legend=alt.Legend(orient="top", title=None, symbolType="square", symbolStrokeWidth=0.5),
            ),
            tooltip=[
                alt.Tooltip("tier:N", title=page.say("tiers.tier")),
                alt.Tooltip("grade:N", title=page.say("tiers.grade")),
                alt.Tooltip("n:Q", title=page.say("tiers.rows")),
                alt.Tooltip("share:Q", format=".1%", title=page.say("tiers.share")),
            ],
        )
    )
    labels = (
        alt.Chart(rows)
        .mark_text(baseline="middle", fontSize=12)
        .encode(
            y=y,
            x=alt.X("share:Q", stack="zero", bandPosition=0.5, title=None),
            order=order,
            detail="grade:N",
            text="told:N",
            color=alt.Color("ink:N", scale=None),
        )
    )
    title = page.say("tiers.grades_title")
    st.markdown(f"**{title}**")
    show_chart((bars + labels).properties(height={"step": 34}), told=title)


def alpha_text(alpha: Agreement) -> str:
    """Return a coefficient with its interval, a dash where it is not defined."""
    if alpha.coefficient is None:
        return ABSENT
    between = "" if alpha.interval is None else f" ({alpha.interval.low:.2f} – {alpha.interval.high:.2f})"
    return f"{alpha.coefficient:.2f}{between}"


def _same_grade(view: TierView) -> str:
    if not view.alpha.n:
        return ABSENT
    return f"{percent(view.n_exact / view.alpha.n)} ({span(view.exact)})"
