"""What an index lost is there again: once, whole, with what changed meanwhile, and with a word where it cannot be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from review_app.argilla_search import Document, Index
from review_app.argilla_search.healing import Healing, NotHealedError, Pace

DATASET = "0f0f0f0f-0000-4000-8000-000000000001"


class Shelf:
    """A database of records by id, which can do something while it is read."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self.n_read = 0
        self.before_reading: Callable[[], None] = lambda: None
        self.after_reading: Callable[[], None] = lambda: None

    async def fields(self, dataset_id: str) -> Sequence[str] | None:
        return ["query"] if dataset_id == DATASET else None

    async def record_ids(self, _: str) -> Sequence[str]:
        return list(self.texts)

    async def documents(self, record_ids: Sequence[str]) -> Sequence[Document]:
        self.before_reading()
        self.n_read += len(record_ids)
        found = [Document(one, {"query": self.texts[one]}) for one in record_ids if one in self.texts]
        await asyncio.sleep(0)
        self.after_reading()
        return found


@pytest.fixture
def index(tmp_path: Path) -> Index:
    return Index(tmp_path / "search.sqlite")


def done(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def found(index: Index, text: str) -> list[str]:
    return [hit.record_id for hit in index.search(DATASET, text=text).hits]


def test_a_lost_dataset_is_there_again_in_the_order_its_records_came(index: Index) -> None:
    shelf = Shelf({f"r{at}": "red sofa" for at in range(9)})
    done(Healing(index, shelf, Pace(at_once=4)).heal(DATASET))
    hits = index.search(DATASET, limit=1000)
    assert [hit.record_id for hit in hits.hits] == list(shelf.texts)


def test_ten_that_ask_at_once_start_one_rebuild(index: Index) -> None:
    shelf = Shelf({"a": "sofa", "b": "chair"})

    async def all_ask() -> None:
        healer = Healing(index, shelf)
        await asyncio.gather(*(healer.heal(DATASET) for _ in range(10)))

    done(all_ask())
    assert (shelf.n_read, found(index, "sofa")) == (2, ["a"])


def test_what_changes_while_it_is_read_is_found_as_it_is_at_the_end(index: Index) -> None:
    shelf = Shelf({"changed": "old", "deleted": "old", "same": "old"})
    healer = Healing(index, shelf)

    def once() -> None:
        # the walk has read the records and not yet indexed them; the server commits, then tells the index
        shelf.after_reading = lambda: None
        shelf.texts = {"changed": "new", "same": "old", "added": "new"}
        assert healer.note(DATASET, ["changed", "deleted", "added"])

    shelf.after_reading = once
    done(healer.heal(DATASET))
    assert (found(index, "new"), found(index, "old")) == (["changed", "added"], ["same"])
    assert not healer.note(DATASET, ["changed"])  # it is over


def test_a_long_rebuild_is_not_waited_for_and_goes_on(index: Index) -> None:
    shelf = Shelf({"a": "sofa", "b": "sofa"})

    async def ask() -> None:
        healer = Healing(index, shelf, Pace(at_once=1, most_waited=0.0))
        await healer.heal(DATASET)
        assert shelf.n_read < 2
        while healer.note(DATASET, []):
            await asyncio.sleep(0.005)

    done(ask())
    assert found(index, "sofa") == ["a", "b"]


def test_a_rebuild_that_fails_leaves_no_half_and_says_what_to_do(index: Index) -> None:
    shelf = Shelf({"a": "sofa", "b": "sofa"})

    def breaks() -> None:
        if shelf.n_read == 1:
            raise OSError("no space left on device")

    shelf.before_reading = breaks
    healer = Healing(index, shelf, Pace(at_once=1, no_sooner=0.5))
    said = rf"no space left on device.*python -m review_app.argilla_search {DATASET}"
    with pytest.raises(NotHealedError, match=said):
        done(healer.heal(DATASET))
    assert not index.has_dataset(DATASET)
    shelf.before_reading = lambda: None
    with pytest.raises(NotHealedError, match=said):  # not tried again at every question
        done(healer.heal(DATASET))
    time.sleep(0.5)
    done(healer.heal(DATASET))
    assert found(index, "sofa") == ["a", "b"]


def test_a_rebuild_whose_process_stops_waiting_leaves_no_half(index: Index) -> None:
    shelf = Shelf({"a": "sofa", "b": "sofa"})
    done(
        Healing(index, shelf, Pace(at_once=1, most_waited=0.0)).heal(DATASET)
    )  # the loop ends, as a job's does, and cancels the walk
    assert not index.has_dataset(DATASET)


def test_what_a_killed_rebuild_left_is_built_again_by_the_next_process(index: Index) -> None:
    shelf = Shelf({"a": "sofa", "b": "sofa"})
    index.begin_rebuild(DATASET, ["query"])
    index.put(DATASET, asyncio.run(shelf.documents(["a"])))
    index.close()
    again = Index(index.path)
    assert again.is_half(DATASET) and found(again, "sofa") == ["a"]
    healer = Healing(again, shelf)
    for _ in range(2):
        done(healer.look(DATASET))
    assert (again.is_half(DATASET), found(again, "sofa"), shelf.n_read) == (False, ["a", "b"], 3)


def test_a_dataset_that_is_not_in_use_is_not_made(index: Index) -> None:
    done(Healing(index, Shelf({})).heal("0f0f0f0f-0000-4000-8000-000000000002"))
    assert not index.has_dataset("0f0f0f0f-0000-4000-8000-000000000002")
