"""An order of the records for each user: stable, different for two users, and one expression for SQLite.

Each record holds a number below the prime P by its id; a user multiplies and adds numbers of their own, modulo P. That
is a bijection of the numbers, so no two records meet that did not, and products stay below 2^62, within an integer.
"""

from __future__ import annotations

import hashlib

P = 2**31 - 1


def record_number(record_id: str) -> int:
    """Return a record's number, 0 to P - 1."""
    return int.from_bytes(hashlib.blake2b(record_id.encode(), digest_size=8).digest()) % P


def user_order(user_id: str) -> str:
    """Return the expression by which a user's records are ordered."""
    digest = hashlib.blake2b(user_id.encode(), digest_size=16).digest()
    factor = 1 + int.from_bytes(digest[:8]) % (P - 1)
    offset = int.from_bytes(digest[8:]) % P
    return f"(r.shuffle * {factor} + {offset}) % {P}, r.n"
