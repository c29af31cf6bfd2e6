"""No text gets past the doors that take predicates: a tier's, a rule's, a review cause's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
import pytest

from curation.review_policy import checked_causes
from curation.rules import make_rule
from curation.tiers import parse_tiers
from storage.errors import UserError
from storage.sql.predicates import check_predicate, matches
from tests.storage.sql.attacks_predicates import ATTACKS, HEAVY


@dataclass(frozen=True, slots=True)
class Door:
    """Where a predicate comes in, and what stands for an operand of each kind in its relation."""

    enter: Callable[[str], object]
    operands: Mapping[str, str]


def _tier(text: str) -> object:
    return parse_tiers([{"tier": 1, "name": "first", "where": text}])


def _cause(text: str) -> object:
    return checked_causes([{"cause": "mine", "predicate": text, "n_required": 2}])


DOORS = {
    "tier": Door(_tier, {"text": "source", "number": "n_answers", "flag": "is_unanimous", "list": "['a']"}),
    "rule": Door(
        lambda text: make_rule("a rule", text, 1),
        {"text": "'ab'", "number": "n_query_terms", "flag": "is_cjk_query", "list": "query_terms"},
    ),
    "cause": Door(_cause, {"text": "'ab'", "number": "n_vote_grades", "flag": "true", "list": "['a']"}),
}


def at_the(door: Door, text: str) -> str:
    for kind, operand in door.operands.items():
        text = text.replace(f"<{kind}>", operand)
    return text


def test_there_are_as_many_attacks_as_are_promised() -> None:
    assert len(ATTACKS) >= 150


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_refused_at_once(name: str, door: str) -> None:
    began = time.monotonic()
    with pytest.raises(UserError):
        DOORS[door].enter(at_the(DOORS[door], ATTACKS[name]))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("door", "text"),
    [
        ("tier", "source = 'shop' and n_answers > 1"),
        ("rule", "list_contains(query_terms, 'a') and n_query_terms > 1"),
        ("cause", "n_vote_grades > 1"),
    ],
)
def test_each_door_takes_what_is_allowed(door: str, text: str) -> None:
    assert DOORS[door].enter(text)


@pytest.mark.parametrize("name", HEAVY)
def test_the_heaviest_that_passes_ends_in_time(name: str) -> None:
    """3,000 rows with a text of 20,000 characters each: 60 MB that a predicate of 4,000 characters goes through."""
    words = pa.array(["a" * 20_000] * 3000)
    lists = pa.ListArray.from_arrays(pa.array(range(0, 3001), pa.int32()), words)
    rows = pa.table({"s": words, "l": lists, "m": lists})
    text = HEAVY[name] * ((4000 - len("false")) // len(HEAVY[name])) + "false"
    check_predicate(text, columns=["s", "l", "m"])
    began = time.monotonic()
    with suppress(UserError):  # that its time is up
        matches(rows, {"heavy": text}, seconds=0.5)
    assert time.monotonic() - began < 4
