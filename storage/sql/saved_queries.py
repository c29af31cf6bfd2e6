"""Queries kept under a name: appended, never edited; the latest of a name is the query."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import datetime

from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id, new_session
from storage.store import Store

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class SavedQuery:
    """A saved query as it stands; `pseudonym` is of who saved it, None when nobody said who they were."""

    name: str
    sql: str
    pseudonym: str | None
    created_at: datetime


def saved_queries(store: Store) -> list[SavedQuery]:
    """Return the saved queries by name, the latest of each."""
    return [SavedQuery(**row) for row in store.read("saved_queries").to_pylist()]


def find_query(store: Store, name: str) -> SavedQuery:
    """Return a saved query; UserError with the nearest name when there is none."""
    saved = {query.name: query for query in saved_queries(store)}
    if name in saved:
        return saved[name]
    near = difflib.get_close_matches(name, saved, n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    raise UserError(f"there is no saved query {name!r}. {hint}List them: afrel sql --list")


def check_name(name: str) -> None:
    """Raise UserError for a name that a saved query cannot have."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"a saved query cannot be named {name!r}: small letters, digits, '_', '.' and '-', at most 64, the first a "
            "letter or digit. Choose another name: afrel sql --save NAME SQL"
        )


def save_query(store: Store, name: str, sql: str, *, account: str | None) -> bool:
    """Append a query under a name; return False when the name says just that already."""
    check_name(name)
    if any(query.name == name and query.sql == sql for query in saved_queries(store)):
        return False
    row = {
        "saved_query_id": action_id(account or "", new_session(), 0),
        "name": name,
        "sql": sql,
        "account": account,
        "created_at": now(),
    }
    store.append({"saved_queries": [row]})
    return True
