"""Roles, what each may do, and pins: which public key is whose.

The table is data and the only place that says who may act. A pin ties an account to its role, public key and
pseudonym; a signature counts only against pins, never against a key that travels with what was signed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from storage.errors import UserError

PINS_FORMAT = 1
_ACCOUNT = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")


class Role(StrEnum):
    REVIEWER = "reviewer"
    ADJUDICATOR = "adjudicator"
    CURATOR = "curator"
    ENGINEER = "engineer"
    ADMIN = "admin"


class Act(StrEnum):
    """What an account may be allowed to do. PREPARE is ingest, pool, evolve, mine, mutate, label, screen, export."""

    REVIEW = "review"
    ADJUDICATE = "adjudicate"
    APPROVE = "approve"
    PREPARE = "prepare"
    SQL = "sql"
    CUT = "cut"
    SIGN = "sign"
    REVOKE = "revoke"
    TRAIN = "train"
    ACCOUNTS = "accounts"
    ERASE = "erase"
    REPLAY = "replay"


ROLES_FOR: Mapping[Act, frozenset[Role]] = {
    Act.REVIEW: frozenset({Role.REVIEWER, Role.ADJUDICATOR, Role.CURATOR, Role.ADMIN}),
    Act.ADJUDICATE: frozenset({Role.ADJUDICATOR, Role.ADMIN}),
    Act.APPROVE: frozenset({Role.ADJUDICATOR, Role.CURATOR, Role.ADMIN}),
    Act.PREPARE: frozenset({Role.CURATOR, Role.ENGINEER, Role.ADMIN}),
    Act.SQL: frozenset({Role.CURATOR, Role.ENGINEER, Role.ADMIN}),
    Act.CUT: frozenset({Role.CURATOR, Role.ADMIN}),
    Act.SIGN: frozenset({Role.ADJUDICATOR, Role.ADMIN}),
    Act.REVOKE: frozenset({Role.ADJUDICATOR, Role.ADMIN}),
    Act.TRAIN: frozenset({Role.ENGINEER, Role.ADMIN}),
    Act.ACCOUNTS: frozenset({Role.ADMIN}),
    Act.ERASE: frozenset({Role.ADMIN}),
    Act.REPLAY: frozenset({Role.ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Pin:
    """An account as the workspace knows it. `public_key` is 64 hex digits; the pseudonym is what others read."""

    account: str
    role: Role
    public_key: str
    pseudonym: str


def may(role: Role, act: Act) -> bool:
    """Say whether a role may act."""
    return role in ROLES_FOR[act]


def require(pin: Pin, act: Act) -> None:
    """Return when the account's role may act; UserError says who may."""
    if not may(pin.role, act):
        able = " or ".join(sorted(ROLES_FOR[act]))
        raise UserError(
            f"account {pin.account!r} is {pin.role}, which may not {_VERB.get(act, act.value)}; {able} may. "
            "Name another account before the verb: afrel --as ACCOUNT …"
        )


_VERB = {Act.PREPARE: "prepare candidates", Act.SQL: "run SQL", Act.CUT: "cut snapshots", Act.ACCOUNTS: "keep accounts"}


def check_account(account: str) -> str:
    """Return an account name that is safe as a file name on any system; UserError otherwise."""
    if not _ACCOUNT.fullmatch(account) or ".." in account:
        raise UserError(
            f"account name {account!r} is not allowed: use 1 to 64 of a-z, 0-9, '.', '_', '-' and '@', starting and "
            "ending with a letter or digit, such as ana or ana.li@shop.example"
        )
    return account


def pins_to_json(pins: Iterable[Pin]) -> str:
    """Return pins as the JSON text that `pins_from_json` reads, in order of account."""
    accounts = [asdict(pin) for pin in sorted(pins, key=lambda pin: pin.account)]
    return json.dumps({"format": PINS_FORMAT, "accounts": accounts}, indent=2, ensure_ascii=False) + "\n"


def pins_from_json(text: str) -> dict[str, Pin]:
    """Read pins by account; UserError lists everything that is wrong with them."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UserError(f"the pins are not JSON: {error}. Write them anew: {_MEND}") from None
    if not isinstance(content, dict) or content.get("format") != PINS_FORMAT:
        raise UserError(f'the pins have not "format": {PINS_FORMAT}. Write them anew: {_MEND}')
    rows = content.get("accounts")
    if set(content) != {"format", "accounts"} or not isinstance(rows, list):
        raise UserError(f"the pins must hold `format` and a list `accounts`, not {sorted(content)}. {_MEND}")
    problems = [f"accounts[{place}]: {problem}" for place, row in enumerate(rows) for problem in _problems(row)]
    problems += [] if problems else _repeated(rows)
    if problems:
        raise UserError(f"the pins are wrong: {'; '.join(problems)}. Write them anew: {_MEND}")
    return {row["account"]: Pin(row["account"], Role(row["role"]), row["public_key"], row["pseudonym"]) for row in rows}


_MEND = "afrel --as ADMIN account pins > pins.json"


def _problems(row: Any) -> list[str]:
    names = set(Pin.__dataclass_fields__)
    if not isinstance(row, dict) or set(row) != names or not all(isinstance(value, str) for value in row.values()):
        return [f"must hold exactly the texts {', '.join(sorted(names))}"]
    problems = []
    if not _ACCOUNT.fullmatch(row["account"]) or ".." in row["account"]:
        problems.append(f"account {row['account']!r} is no account name")
    if row["role"] not in set(Role):
        problems.append(f"role {row['role']!r} is none of {', '.join(Role)}")
    if not _PUBLIC_KEY.fullmatch(row["public_key"]):
        problems.append(f"public_key {row['public_key']!r} is not 64 hex digits")
    if not row["pseudonym"]:
        problems.append("pseudonym is empty")
    return problems


def _repeated(rows: list[dict[str, str]]) -> list[str]:
    """Name what stands twice: with one key in two accounts, a cutter could sign their own cut."""
    problems = []
    for name in ("account", "public_key", "pseudonym"):
        values = [row[name] for row in rows]
        problems += [f"{name} {value!r} stands twice" for value in dict.fromkeys(values) if values.count(value) > 1]
    return problems
