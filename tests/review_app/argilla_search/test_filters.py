"""Filters and sorts against a plain evaluation in Python, on random records; and times, numbers and texts by hand."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from review_app.argilla_search import Document, Index, Response, Suggestion
from review_app.argilla_search.filters import (
    All,
    Filter,
    OfMetadata,
    OfRecord,
    OfResponse,
    OfSuggestion,
    Range,
    Sort,
    Terms,
    moment,
)

DATASET = "0f0f0f0f-0000-4000-8000-000000000001"
USERS = ("ann", "ben")
AGENTS = ("x", "y", None)


def random_document(chance: random.Random, at: int) -> Document:
    users = [user for user in USERS if chance.random() < 0.5]
    return Document(
        f"record-{at:03}",
        {"text": "a"},
        status=chance.choice(["pending", "completed"]),
        external_id=chance.choice([None, f"{at}"]),
        inserted_at=moment(f"2026-05-{1 + at % 28:02}"),
        metadata={
            "price": chance.choice([1, 2.5, 10, -3]),
            "colours": chance.sample(["red", "blue", "2.5"], chance.randrange(3)),
        },
        suggestions=(Suggestion("grade", chance.choice(["0", "1", "2"]), chance.random(), chance.choice(AGENTS)),)
        if chance.random() < 0.7
        else (),
        responses=tuple(
            Response(
                f"{at}-{user}",
                user,
                chance.choice(["draft", "submitted", "discarded"]),
                {"grade": chance.choice(["0", "1"]), "stars": chance.randrange(1, 6)} if chance.random() < 0.8 else {},
            )
            for user in users
        ),
    )


def random_filter(chance: random.Random) -> Filter:
    user = chance.choice([None, *USERS])
    return chance.choice(
        [
            Terms(OfMetadata("price"), ("1", "2.5")),
            Terms(OfMetadata("colours"), ("red", "2.5")),
            Range(OfMetadata("price"), chance.choice([None, 0, 2.5]), chance.choice([None, 3, 10])),
            Terms(OfSuggestion("grade"), (chance.choice("012"), "7")),
            Range(OfSuggestion("grade", "score"), chance.random() / 2, None),
            Terms(OfSuggestion("grade", "agent"), ("x",)),
            Terms(OfResponse("grade", user), ("1",)),
            Range(OfResponse("stars", user), 2, chance.choice([None, 4])),
            Terms(OfResponse(user_id=user), tuple(chance.sample(["pending", "draft", "submitted"], 2))),
            Terms(OfResponse(user_id=user), ("pending",)),
            Terms(OfRecord("status"), ("completed",)),
            Terms(OfRecord("external_id"), ("3", "7", "30")),
            Range(OfRecord("inserted_at"), "2026-05-05", "2026-05-20T00:00:00Z"),
        ]
    )


def values_of(document: Document, filter_: Terms | Range) -> list[object]:
    """Return the values of the scope that a filter looks at, response statuses left out."""
    match filter_.scope:
        case OfRecord(name):
            value = getattr(document, name)
            return [] if value is None else [value]
        case OfMetadata(name):
            value = (document.metadata or {})[name]
            return value if isinstance(value, list) else [value]
        case OfSuggestion(question, name):
            said = [getattr(one, name) for one in document.suggestions if one.question == question]
            return [value for value in said if value is not None]
        case OfResponse(question, user_id):
            given = [one for one in document.responses if user_id in (None, one.user_id)]
            return [one.answers[question] for one in given if question in one.answers]


def passes(document: Document, filter_: Filter) -> bool:
    if isinstance(filter_, All):
        return all(passes(document, one) for one in filter_.filters)
    if isinstance(filter_.scope, OfResponse) and filter_.scope.question is None:
        assert isinstance(filter_, Terms)
        statuses = {one.status for one in document.responses if filter_.scope.user_id in (None, one.user_id)}
        return bool(statuses & set(filter_.values)) or ("pending" in filter_.values and not statuses)
    values = values_of(document, filter_)
    if isinstance(filter_, Terms):
        return any(value == term or str(value) == term for value in values for term in filter_.values)
    if isinstance(filter_.scope, OfRecord):
        least, most = (None if bound is None else moment(bound) for bound in (filter_.ge, filter_.le))
        return any((least is None or v >= least) and (most is None or v <= most) for v in values)  # type: ignore[operator]
    numbers = [value for value in values if isinstance(value, int | float)]
    return any(
        (filter_.ge is None or value >= filter_.ge) and (filter_.le is None or value <= filter_.le)  # type: ignore[operator]
        for value in (numbers if (filter_.ge, filter_.le) != (None, None) else values)
    )


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, list[Document]]:
    chance = random.Random(5)
    documents = [random_document(chance, at) for at in range(60)]
    index = Index(tmp_path_factory.mktemp("filters") / "index.sqlite")
    index.create_dataset(DATASET, ["text"])
    index.put(DATASET, documents)
    return index, documents


def test_filters_keep_what_a_plain_evaluation_keeps(stocked: tuple[Index, list[Document]]) -> None:
    index, documents = stocked
    chance = random.Random(11)
    sizes = set()
    for _ in range(300):
        filters = All(tuple(random_filter(chance) for _ in range(chance.randrange(4))))
        expected = [one.record_id for one in documents if passes(one, filters)]
        for text in (None, "a"):
            hits = index.search(DATASET, filter_=filters, text=text, sorts=[Sort(OfRecord("id"))])
            assert ([hit.record_id for hit in hits.hits], hits.total) == (expected, len(expected)), filters
        sizes.add(len(expected))
    assert len(sizes) > 20  # the filters do tell records apart


def in_order(index: Index, *sorts: Sort) -> list[str]:
    return [hit.record_id for hit in index.search(DATASET, sorts=sorts).hits]


def test_sorts_order_numbers_texts_and_means_and_what_is_absent_comes_last(tmp_path: Path) -> None:
    index = Index(tmp_path / "index.sqlite")
    index.create_dataset(DATASET, [])
    index.put(
        DATASET,
        [
            Document("a", {}, metadata={"price": 10, "tags": ["m", "z"]}, status="pending"),
            Document("b", {}, metadata={"price": 9.5, "tags": ["n"]}, status="completed", external_id="1"),
            Document("c", {}, suggestions=(Suggestion("grade", "1", 0.5),)),
            Document(
                "d",
                {},
                responses=(Response("1", "ann", "draft", {"stars": 1}), Response("2", "ben", "draft", {"stars": 5})),
            ),
            Document("e", {}, responses=(Response("3", "ann", "draft", {"stars": 2}),)),
        ],
    )
    assert in_order(index, Sort(OfMetadata("price"))) == ["b", "a", "c", "d", "e"]
    assert in_order(index, Sort(OfMetadata("price"), "desc")) == ["a", "b", "c", "d", "e"]
    assert in_order(index, Sort(OfMetadata("tags")))[:2] == ["a", "b"]  # the least of several: m < n
    assert in_order(index, Sort(OfMetadata("tags"), "desc"))[:2] == ["a", "b"]  # the greatest: z > n
    assert in_order(index, Sort(OfSuggestion("grade", "score"), "desc"))[0] == "c"
    assert in_order(index, Sort(OfResponse("stars"), "desc"))[:2] == ["d", "e"]  # means 3 and 2
    assert in_order(index, Sort(OfResponse("stars", "ann"), "desc"))[:2] == ["e", "d"]  # ann's own: 2 and 1
    assert in_order(index, Sort(OfRecord("status")), Sort(OfRecord("id"), "desc")) == ["b", "e", "d", "c", "a"]
    assert in_order(index, Sort(OfRecord("external_id"), "desc"))[0] == "b"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026", "2026-01-01T00:00:00.000000"),
        ("2026-05", "2026-05-01T00:00:00.000000"),
        ("2026-05-20", "2026-05-20T00:00:00.000000"),
        ("2026-05-20T10:00:00+02:00", "2026-05-20T08:00:00.000000"),
        ("2026-05-20T10:00:00.5Z", "2026-05-20T10:00:00.500000"),
        (86_400_000, "1970-01-02T00:00:00.000000"),
        ("86400000000", "1972-09-27T00:00:00.000000"),  # 1000 days
    ],
)
def test_times_are_read_as_people_and_machines_write_them(given: float | str, expected: str) -> None:
    assert moment(given) == expected


def test_what_is_no_time_and_no_property_is_said(stocked: tuple[Index, list[Document]]) -> None:
    index, _ = stocked
    with pytest.raises(ValueError, match="'soon' is not a time"):
        index.search(DATASET, filter_=Range(OfRecord("inserted_at"), "soon"))
    with pytest.raises(ValueError, match="no property 'n'"):
        index.search(DATASET, filter_=Terms(OfRecord("n"), ("1",)))
    with pytest.raises(ValueError, match="no order"):
        index.search(DATASET, filter_=Range(OfResponse(), 1))


def test_values_that_look_like_statements_are_only_values(stocked: tuple[Index, list[Document]]) -> None:
    index, documents = stocked
    nasty = "x') or 1=1 --"
    filters = [
        Terms(OfMetadata(nasty), (nasty,)),
        Terms(OfResponse(nasty, nasty), ("\ud800", nasty)),
        Terms(OfSuggestion(nasty, nasty), ("nan", "1e999", "")),
        Terms(OfResponse(user_id=nasty), (nasty,)),
    ]
    assert [index.search(DATASET, filter_=one).total for one in filters] == [0, 0, 0, 0]
    assert index.search(DATASET).total == len(documents)
