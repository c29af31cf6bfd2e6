"""Mask personal data in columns of rows, and count the texts that had any.

Asked of every text, the patterns cost more than all else. So a scan of the column finds the few texts that could hold
an address or a number at all; only those are read closely, each distinct one once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import polars as pl

from curation.personal_text import mask_personal

_MIN_DIGITS = 7  # no phone or id number has fewer
_SUSPECT = r"[@＠]|[A-ZＡ-Ｚ]{2}\d\d ?[A-Z0-9Ａ-Ｚ０-９]{4}"
JSON_COLUMNS = ("fields", "steps", "proposed_steps", "chosen", "rejected")


def mask_columns(rows: pl.DataFrame, columns: Sequence[str]) -> tuple[pl.DataFrame, int]:
    """Return rows with personal data masked in text columns, and the number of texts that were changed."""
    n_masked = 0
    for column in columns:
        suspects = rows[column].filter(could_be_personal(rows[column])).unique()
        mask: Callable[[str], str] = _mask_json if column in JSON_COLUMNS else mask_personal
        masked = {text: changed for text in suspects.to_list() if (changed := mask(text)) != text}
        if masked:
            n_masked += int(rows[column].is_in(list(masked)).sum())
            rows = rows.with_columns(pl.col(column).replace(list(masked), list(masked.values())))
    return rows, n_masked


def could_be_personal(texts: pl.Series) -> pl.Series:
    """Say of each text whether it could hold personal data; where this says no, `find_personal` finds none."""
    return (texts.str.contains(_SUSPECT) | (texts.str.count_matches(r"\d") >= _MIN_DIGITS)).fill_null(value=False)


def _mask_json(text: str) -> str:
    """Return stored fields or steps with every text inside masked; a name of a field and a label stay."""
    content = json.loads(text)
    masked = _masked_values(content)
    return text if masked == content else json.dumps(masked, ensure_ascii=False, sort_keys=True)


def _masked_values(value: Any) -> Any:
    if isinstance(value, str):
        return mask_personal(value)
    if isinstance(value, Mapping):
        return {name: _masked_values(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_masked_values(held) for held in value]
    return value
