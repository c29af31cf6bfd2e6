"""Roles, what each may do, and pins: which public key is whose.

The table is data and the only place that says who may act. A pin ties an account to its role, public key and
pseudonym; a signature counts only against pins, never against a key that travels with what was signed. A retired
account keeps its pin and the role it had, so that what it signed stays signed, and may do nothing new.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.errors import UserError

PINS_FORMAT = 1
_RETIRED = "retired "  # stands before the role in the account's latest row
_ACCOUNT = re.compile(r"[a-z0-9](?:[a-z0-9._@-]{0,62}[a-z0-9])?")
_PUBLIC_KEY = re.compile(r"[0-9a-f]{64}")


class Role(StrEnum):
    REVIEWER = "reviewer"
    ADJUDICATOR = "adjudicator"
    CURATOR = "curator"
    ENGINEER = "engineer"
    ADMIN = "admin"


class Act(StrEnum):
    """What an account may be allowed to do. PREPARE is ingest, pool, evolve, mine, mutate, label, screen, export.

    PULL is to take in what people answered elsewhere, in their names.
    """

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
    PULL = "pull"


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
    Act.PULL: frozenset({Role.CURATOR, Role.ADMIN}),
}


@dataclass(frozen=True, slots=True)
class Pin:
    """An account as the workspace knows it. `public_key` is 64 hex digits; the pseudonym is what others read.

    `retired_at` is UTC, ISO 8601; a retired account's `role` is the one it had last, for judging what it did before.
    """

    account: str
    role: Role
    public_key: str
    pseudonym: str
    retired_at: str | None = None


def may(role: Role, act: Act) -> bool:
    """Say whether a role may act."""
    return role in ROLES_FOR[act]


def require(pin: Pin, act: Act) -> None:
    """Return when the account may act now; UserError says why not and who may."""
    if pin.retired_at is not None:
        raise UserError(
            f"account {pin.account!r} was retired on {pin.retired_at[:10]} and may do nothing any more. "
            f"An admin can add it again: afrel --as ADMIN account add {pin.account} --role ROLE"
        )
    if not may(pin.role, act):
        able = " or ".join(sorted(ROLES_FOR[act]))
        raise UserError(
            f"account {pin.account!r} is {pin.role}, which may not {in_words(act)}; {able} may. "
            "Name another account before the verb: afrel --as ACCOUNT …"
        )


def in_words(act: Act) -> str:
    """Return an act as words that follow `may`."""
    return _VERB.get(act, act.value)


_VERB = {
    Act.PREPARE: "prepare candidates",
    Act.SQL: "run SQL",
    Act.CUT: "cut snapshots",
    Act.ACCOUNTS: "keep accounts",
    Act.PULL: "pull people's answers",
}


def is_account_name(text: str) -> bool:
    """Say whether a text can be an account's name: one that is safe as a file name on any system."""
    return _ACCOUNT.fullmatch(text) is not None and ".." not in text


def check_account(account: str) -> str:
    """Return an account name; UserError for what can be none."""
    if not is_account_name(account):
        raise UserError(
            f"account name {account!r} is not allowed: use 1 to 64 of a-z, 0-9, '.', '_', '-' and '@', starting and "
            "ending with a letter or digit, such as ana or ana.li@shop.example"
        )
    return account


def pin_from_row(row: Mapping[str, Any]) -> Pin:
    """Return the pin that the latest row of an account makes."""
    role = str(row["role"])
    retired_at = row["created_at"].isoformat() if role.startswith(_RETIRED) else None
    return Pin(row["account"], Role(role.removeprefix(_RETIRED)), row["public_key"], row["pseudonym"], retired_at)


def retired(role: Role) -> str:
    """Return what stands as role in the row that retires an account."""
    return f"{_RETIRED}{role}"


def pins_to_json(pins: Iterable[Pin]) -> str:
    """Return pins as the JSON text that `pins_from_json` reads, in order of account.

    `retired_at` stands only with the retired: a reader that does not know of retirement then refuses the pins, instead
    of taking a retired account for an active one.
    """
    accounts = [
        {name: value for name, value in asdict(pin).items() if value is not None}
        for pin in sorted(pins, key=lambda pin: pin.account)
    ]
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
    return {row["account"]: Pin(**{**row, "role": Role(row["role"])}) for row in rows}


_MEND = "afrel --as ADMIN account pins > pins.json"


def _problems(row: Any) -> list[str]:
    names = set(Pin.__dataclass_fields__) - {"retired_at"}
    is_of_texts = isinstance(row, dict) and all(isinstance(value, str) for value in row.values())
    if not is_of_texts or set(row) - {"retired_at"} != names:
        return [f"must hold exactly the texts {', '.join(sorted(names))}, and retired_at if retired"]
    problems = []
    if not is_account_name(row["account"]):
        problems.append(f"account {row['account']!r} is no account name")
    if row["role"] not in set(Role):
        problems.append(f"role {row['role']!r} is none of {', '.join(Role)}")
    if not _PUBLIC_KEY.fullmatch(row["public_key"]):
        problems.append(f"public_key {row['public_key']!r} is not 64 hex digits")
    if not row["pseudonym"]:
        problems.append("pseudonym is empty")
    if "retired_at" in row and not _is_time(row["retired_at"]):
        problems.append(f"retired_at {row['retired_at']!r} is no time such as 2031-05-04T09:30:00")
    return problems


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


def _repeated(rows: list[dict[str, str]]) -> list[str]:
    """Name what stands twice: with one key in two accounts, a cutter could sign their own cut."""
    problems = []
    for name in ("account", "public_key", "pseudonym"):
        values = [row[name] for row in rows]
        problems += [f"{name} {value!r} stands twice" for value in dict.fromkeys(values) if values.count(value) > 1]
    return problems
