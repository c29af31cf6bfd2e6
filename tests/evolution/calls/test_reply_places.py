"""Where each reply lies is found again, however many merges lie between."""

from __future__ import annotations

from random import Random

from evolution.calls.reply_places import MERGED_AT, ReplyPlaces


def test_every_place_is_found_whatever_was_merged_when() -> None:
    chance = Random(3)
    names = [f"call_{chance.getrandbits(64):016x}" for _ in range(2 * MERGED_AT + 100)]
    places = ReplyPlaces()
    for place, name in enumerate(names):
        assert places.find(name) is None
        places.add(name, place)
        assert places.find(name) == place
    assert [places.find(name) for name in names] == list(range(len(names)))
    assert places.find("call_ffffffffffffffff") is None
    assert places.find("call_0000000000000000") is None


def test_the_least_and_the_greatest_name_are_found() -> None:
    places = ReplyPlaces()
    places.add("call_ffffffffffffffff", 7)
    for number in range(1, MERGED_AT + 1):
        places.add(f"call_{number:016x}", number)
    places.add("call_0000000000000000", 9)
    assert places.find("call_ffffffffffffffff") == 7
    assert places.find("call_0000000000000000") == 9
    assert places.find(f"call_{MERGED_AT:016x}") == MERGED_AT
