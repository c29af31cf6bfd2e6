"""Rows mirror the schema: name by name, null by null."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import duckdb
import pytest

from storage.process.migrate import migrate
from storage.rows import Row

TYPES = {"str": "VARCHAR", "int": "INTEGER BIGINT", "float": "DOUBLE", "datetime": "TIMESTAMP", "bool": "BOOLEAN"}


@pytest.mark.parametrize("row", Row.__subclasses__(), ids=lambda row: row.__name__)
def test_a_row_has_the_columns_of_its_table(row: type[Row], tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "x.duckdb")) as connection:
        migrate(connection)
        columns = connection.execute(
            "select column_name, data_type, is_nullable from duckdb_columns() "
            "where table_name = ? order by column_index",
            [row.table],
        ).fetchall()
    hints = {name: hint for name, hint in get_type_hints(row).items() if name != "table"}
    assert list(hints) == [name for name, _, _ in columns]
    for name, data_type, is_nullable in columns:
        said = str(hints[name])
        assert ("None" in said) == is_nullable, name
        plain = said.replace(" | None", "").replace("<class '", "").replace("'>", "").split(".")[-1]
        assert data_type in TYPES.get(plain, "VARCHAR[]"), name
