"""Tables that are read, never edited: sortable grids for figures, plain tables for a few rows of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from review_app.views.numbers import ABSENT, grey
from review_app.views.plain import plain


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, its values, how numbers in it are written, its width in pixels."""

    heading: str
    values: Sequence[Any]
    number: str | None = None
    width: int | None = None


def draw_table(columns: Sequence[Column], *, is_few: Sequence[bool] = (), height: int | None = None) -> None:
    """Draw a grid; `is_few` says of each row whether it rests on so few cases that it is grey."""
    frame = pd.DataFrame({str(place): _series(column.values) for place, column in enumerate(columns)})
    config: dict[str, Any] = {
        str(place): st.column_config.NumberColumn(column.heading, format=column.number, width=column.width)
        if column.number
        else st.column_config.Column(column.heading, width=column.width)
        for place, column in enumerate(columns)
    }
    st.dataframe(
        _greyed(frame, is_few) if any(is_few) else frame,  # styling a long table takes longer than all else of it
        hide_index=True,
        column_config=config,
        height=height or "auto",
        placeholder=ABSENT,
    )


def _greyed(frame: pd.DataFrame, is_few: Sequence[bool]) -> Any:
    styles = pd.DataFrame("", index=frame.index, columns=frame.columns)
    styles.loc[list(is_few)] = f"color: {grey()}"
    return frame.style.apply(lambda _: styles, axis=None)


def draw_words(columns: Sequence[Column]) -> None:
    """Draw a few rows of words, whole and on as many lines as they take; texts of others are shown as they are."""
    frame = pd.DataFrame({column.heading: [_word(value) for value in column.values] for column in columns})
    st.table(frame, border="horizontal", hide_index=True)


def _series(values: Sequence[Any]) -> Any:
    """Return values as a column in which an absent whole number does not make the others fractions."""
    present = [value for value in values if value is not None]
    is_whole = bool(present) and all(isinstance(value, int) for value in present)
    return pd.Series(list(values), dtype="Int64" if is_whole else None)


def _word(value: Any) -> Any:
    return plain(value) if isinstance(value, str) else value
