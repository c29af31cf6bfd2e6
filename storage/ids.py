"""Two kinds of ids, never mixed: content is named by its hash, an act by who did it when.

The same content gets the same id on any machine, so writing it twice is harmless. Two equal acts (grade, undo,
grade again) are different acts, so their id comes from the account, the session and a counter, made by the client
before the first try: a retry carries the same id.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

ID_HEX_DIGITS = 16
# json.dumps makes an encoder anew for each call with settings of its own: half the cost of an id
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces, text as it is (not ASCII-escaped)."""
    return _CANONICAL.encode(value)


def digest(value: Any) -> str:
    """Return the SHA-256 hex digest of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def content_id(prefix: str, *parts: Any) -> str:
    """Return the id of content, e.g. `content_id("q", text)` -> `q_3fa9…` (16 hex digits)."""
    return f"{prefix}_{digest(list(parts))[:ID_HEX_DIGITS]}"


def action_id(account: str, session: str, sequence: int) -> str:
    """Return the id of one act of one account: unique by session and counter, the same on every retry."""
    return f"a_{digest([account, session, sequence])[:ID_HEX_DIGITS]}"


def new_session() -> str:
    """Return a fresh session name for acts that are not replayed."""
    return secrets.token_hex(8)


def new_run_id() -> str:
    """Return a fresh run id; a run is an act, so it is random."""
    return f"run_{secrets.token_hex(5)}"
