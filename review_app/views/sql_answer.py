"""What a query gave: a table, a chart of columns that are chosen, and files to take away."""

from __future__ import annotations

from collections.abc import Callable

import altair as alt
import polars as pl
import streamlit as st

from review_app import sql_desk
from review_app.page import Page
from review_app.sql_desk import Answer
from review_app.views.charts import show_chart
from review_app.views.clock import shown_time
from review_app.views.numbers import accent
from review_app.views.sentences import together
from storage.errors import UserError
from storage.sql.query_results import EXPLAINED

MOST_POINTS = 2_000
FLAT_LABELS = 12  # so many names stand beside each other without being turned
# The grid's own download writes cells as they are: a spreadsheet would run those that are formulas. Ours does not.
_NO_RAW_CSV = """<style>
.st-key-af_sql_table [data-testid="stElementToolbarButton"]:has(button[aria-label^="Download"]) { display: none; }
</style>"""
KINDS = ("bars", "line", "points")


def draw_answer(page: Page, answer: Answer, seconds: float) -> None:
    """Draw an answer."""
    result = answer.result
    said = [page.say("sql.rows", n=f"{result.table.num_rows:,}", columns=len(result.columns), seconds=f"{seconds:.2f}")]
    if answer.copy_at is not None:
        said.append(page.say("sql.of_copy", at=shown_time(answer.copy_at)))
    st.caption(together(page, said))
    if result.is_truncated:
        st.warning(page.say("sql.truncated", n=f"{result.table.num_rows:,}"))
    if result.columns == EXPLAINED:
        st.code("\n".join(str(row[EXPLAINED[1]]) for row in result.table.to_pylist()), language=None)
        return
    st.html(_NO_RAW_CSV)
    with st.container(key="af_sql_table"):
        st.dataframe(result.table, hide_index=True, key="sql.table", alt=page.say("sql.answer"))
    _draw_files(page, answer)
    _draw_chart(page, answer)


def _draw_files(page: Page, answer: Answer) -> None:
    csv, json, parquet, _ = st.columns([1, 1, 1, 5])
    _offer(csv, "CSV", lambda: sql_desk.as_csv(page.person, answer), "text/csv")
    _offer(json, "JSON", lambda: sql_desk.as_json(page.person, answer), "application/json")
    if answer.result.is_truncated:
        parquet.button("Parquet", disabled=True, help=page.say("sql.no_parquet"), key="sql.parquet", width="stretch")
    else:
        _offer(parquet, "Parquet", lambda: sql_desk.as_parquet(page.person, answer), "application/vnd.apache.parquet")


def _offer(place: st.delta_generator.DeltaGenerator, kind: str, content: Callable[[], bytes], mime: str) -> None:
    """Offer a file that is made when it is asked for; what cannot be made is a file that says why."""

    def made() -> bytes:
        try:
            return content()
        except UserError as error:
            return f"{error}\n".encode()

    place.download_button(
        kind, made, f"answer.{kind.lower()}", mime, on_click="ignore", key=f"sql.{kind.lower()}", width="stretch"
    )


def _draw_chart(page: Page, answer: Answer) -> None:
    along, numbers = sql_desk.chartable(answer)
    if not numbers or len(along) < 2 or answer.result.table.num_rows < 2:
        return
    with st.expander(page.say("sql.chart")):
        x_column, y_column, kind_column = st.columns(3)
        x = x_column.selectbox(page.say("sql.x"), along, key="sql.x")
        others = [name for name in numbers if name != x] or numbers
        y = y_column.selectbox(page.say("sql.y"), others, key="sql.y")
        kind = kind_column.segmented_control(
            page.say("sql.kind"),
            list(KINDS),
            format_func=lambda one: page.say(f"sql.kind_{one}"),
            default="bars",
            required=True,
            key="sql.kind",
        )
        rows = pl.DataFrame(
            [
                {"x": row[x] if x in numbers else _word(page, row[x]), "y": row[y]}
                for row in sql_desk.chart_rows(answer, [x, y], most=MOST_POINTS)
            ],
            infer_schema_length=None,
        )
        marks = {
            "bars": lambda chart: chart.mark_bar(color=accent()),
            "line": lambda chart: chart.mark_line(color=accent(), point={"color": accent()}),
            "points": lambda chart: chart.mark_circle(color=accent(), size=50),
        }
        is_number = x in numbers and kind != "bars"
        is_narrow = is_number or rows["x"].n_unique() <= FLAT_LABELS
        chart = marks[kind or "bars"](alt.Chart(rows)).encode(
            x=alt.X(
                "x:Q" if is_number else "x:N",
                title=x,
                sort=None,
                axis=alt.Axis(labelLimit=160, labelAngle=0 if is_narrow else -45),
            ),
            y=alt.Y("y:Q", title=y),
            tooltip=[alt.Tooltip("x", title=x), alt.Tooltip("y:Q", title=y)],
        )
        show_chart(chart.properties(height=320), told=f"{y} / {x}")
        if answer.result.table.num_rows > MOST_POINTS:
            st.caption(page.say("sql.first_points", n=f"{MOST_POINTS:,}"))


def _word(page: Page, value: object) -> str:
    return page.say("sql.null") if value is None else str(value)
