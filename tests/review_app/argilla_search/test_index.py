"""The index file: records in and out, pages, shuffles, progress, metrics, likeness; a file that vanishes or breaks."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from review_app.argilla_search import Document, Index, MissingDatasetError, Response, Suggestion
from review_app.argilla_search.filters import OfMetadata, OfResponse, OfSuggestion, Sort, Terms
from review_app.argilla_search.rows import MESSAGE_END

DATASET = "0f0f0f0f-0000-4000-8000-000000000001"
OTHER = "0f0f0f0f-0000-4000-8000-000000000002"


@pytest.fixture
def index(tmp_path: Path) -> Index:
    made = Index(tmp_path / "deep" / "index.sqlite")
    made.create_dataset(DATASET, ["query", "doc"])
    return made


def ids(index: Index, **asked: object) -> list[str]:
    return [hit.record_id for hit in index.search(DATASET, **asked).hits]  # type: ignore[arg-type]


def test_a_record_put_again_is_replaced_as_a_whole(index: Index) -> None:
    index.put(
        DATASET, [Document("a", {"query": "old"}, metadata={"m": 1}, responses=(Response("1", "u", "draft", {}),))]
    )
    index.put(DATASET, [Document("a", {"query": "new"}), Document("b", {"doc": "new"})])
    assert (ids(index, text="old"), ids(index, text="new")) == ([], ["a", "b"])
    assert (ids(index, text="new", field="doc"), ids(index, filter_=Terms(OfMetadata("m"), ("1",)))) == (["b"], [])
    assert index.user_statuses(DATASET, "u") == {}


def test_deleted_records_and_datasets_are_gone_and_deleting_again_is_no_error(index: Index) -> None:
    index.put(DATASET, [Document("a", {"query": "x"}, vectors={"v": [1, 0]}), Document("b", {"query": "x"})])
    index.delete(DATASET, ["a", "never"])
    assert (ids(index, text="x"), index.alike(DATASET, "v", [1, 0]).total) == (["b"], 0)
    index.delete_dataset(DATASET)
    index.delete_dataset(DATASET)
    with pytest.raises(MissingDatasetError, match=rf"{DATASET} is not in the search index. Build it: python -m"):
        index.search(DATASET)


def test_datasets_know_nothing_of_each_other(index: Index) -> None:
    index.create_dataset(OTHER, ["query"])
    index.put(OTHER, [Document("a", {"query": "x"})])
    assert (index.search(DATASET, text="x").total, index.search(OTHER, text="x").total) == (0, 1)


def test_pages_follow_each_other_and_tell_the_total(index: Index) -> None:
    index.put(DATASET, [Document(f"r{at}", {"query": "x"}) for at in range(7)])
    pages = [index.search(DATASET, text="x", offset=at, limit=3) for at in (0, 3, 6, 9)]
    assert [hit.record_id for page in pages for hit in page.hits] == [f"r{at}" for at in range(7)]
    assert [page.total for page in pages] == [7, 7, 7, 7]


def test_the_better_match_comes_first_with_its_score_unless_a_sort_says_otherwise(index: Index) -> None:
    index.put(
        DATASET,
        [
            Document("a", {"query": "sofa", "doc": "w " * 30}),
            Document("b", {"query": "sofa sofa"}),
            *(Document(f"n{at}", {"query": "lamp"}) for at in range(4)),
        ],
    )
    hits = index.search(DATASET, text="sofa").hits
    assert [hit.record_id for hit in hits] == ["b", "a"] and hits[0].score > hits[1].score > 0  # type: ignore[operator]
    assert [hit.score for hit in index.search(DATASET, text="sofa", sorts=[Sort(OfMetadata("m"))]).hits] == [None, None]
    assert [hit.score for hit in index.search(DATASET, user_id="ann").hits] == [1.0] * 6


def test_each_user_has_an_own_order_that_stays_when_records_come_and_go(index: Index) -> None:
    index.put(DATASET, [Document(f"r{at}", {}) for at in range(40)])
    ann, ben = ids(index, user_id="ann"), ids(index, user_id="ben")
    assert ann != ben and sorted(ann) == sorted(ben) == sorted(ids(index))
    index.set_status(DATASET, "r3", "completed")
    index.delete(DATASET, ["r7"])
    index.put(DATASET, [Document("late", {})])
    assert [one for one in ids(index, user_id="ann") if one != "late"] == [one for one in ann if one != "r7"]
    firsts = Counter(ids(index, user_id=f"user{at}", limit=1)[0] for at in range(400))
    assert len(firsts) > 30  # of 40 records: about every one is first for somebody


def test_a_chat_is_searched_by_what_is_said_and_no_phrase_reaches_over_two_messages(index: Index) -> None:
    index.put(DATASET, [Document("a", {"query": f"hello there{MESSAGE_END}old friend"})])
    assert (ids(index, text='"old friend"'), ids(index, text='"there old"'), ids(index, text="there old")) == (
        ["a"],
        [],
        ["a"],
    )


def test_responses_and_suggestions_change_one_by_one(index: Index) -> None:
    index.put(DATASET, [Document("a", {}), Document("b", {})])
    index.put_response(DATASET, "a", Response("1", "ann", "draft", {"grade": "0"}))
    index.put_response(DATASET, "a", Response("1", "ann", "submitted", {"grade": "1"}))
    index.put_response(DATASET, "b", Response("2", "ben", "submitted", {}))
    assert (index.user_statuses(DATASET, "ann"), index.user_statuses(DATASET, "ben")) == ({"submitted": 1},) * 2
    graded = [ids(index, filter_=Terms(OfResponse("grade"), (grade,))) for grade in "01"]
    assert graded == [[], ["a"]]
    index.delete_response(DATASET, "a", "1")
    assert ids(index, filter_=Terms(OfResponse(user_id="ann"), ("pending",))) == ["a", "b"]
    assert ids(index, filter_=Terms(OfResponse("grade"), ("1",))) == []
    index.put_suggestion(DATASET, "a", Suggestion("grade", ["x", "y"], [0.5, 0.25], "judge", "model"))
    index.put_suggestion(DATASET, "a", Suggestion("grade", "z"))
    told = [("value", "x"), ("value", "z"), ("agent", "judge"), ("score", "0.5")]
    assert [ids(index, filter_=Terms(OfSuggestion("grade", name), (value,))) for name, value in told] == [
        [],
        ["a"],
        [],
        [],
    ]
    index.delete_suggestion(DATASET, "a", "grade")
    assert ids(index, filter_=Terms(OfSuggestion("grade"), ("z",))) == []
    with pytest.raises(LookupError, match="record never is not in the search index"):
        index.put_response(DATASET, "never", Response("1", "ann", "draft", {}))


def test_progress_and_metrics_are_counted(index: Index) -> None:
    prices = [3, 5.5, -1, None, "free"]
    index.put(
        DATASET,
        [
            Document(
                f"r{at}",
                {},
                metadata={"price": price, "tags": ["x", "y"][: at % 3]},
                status="completed" if at else "pending",
            )
            for at, price in enumerate(prices)
        ],
    )
    assert index.statuses(DATASET) == {"completed": 4, "pending": 1}
    assert index.bounds(DATASET, "price") == (-1, 5.5)
    assert index.bounds(DATASET, "none") == (None, None)
    # tags by record: none, x, xy, none, x
    assert index.term_counts(DATASET, "tags", limit=9) == (4, [("x", 3), ("y", 1)])
    assert index.term_counts(DATASET, "tags", limit=1) == (4, [("x", 3)])
    assert index.term_counts(DATASET, "none", limit=9) == (0, [])


def test_the_most_alike_come_first_within_text_and_filter(index: Index) -> None:
    vectors = {
        "same": [3, 4],
        "near": [4, 3],
        "across": [-4, 3],
        "against": [-3, -4],
        "none": [0, 0],
        "long": [1, 2, 3],
    }
    index.put(
        DATASET,
        [
            Document(name, {"query": name[0]}, vectors={"v": vector}, metadata={"size": len(name)})
            for name, vector in vectors.items()
        ],
    )
    hits = index.alike(DATASET, "v", [30, 40])
    # cosines 25/25, 24/25, 0, -25/25; a vector of zeros and one of three dimensions are like nothing
    assert [hit.record_id for hit in hits.hits] == ["same", "near", "across", "against"]
    assert [hit.score for hit in hits.hits] == pytest.approx([1, 0.98, 0.5, 0], abs=1e-6)
    assert [hit.record_id for hit in index.alike(DATASET, "v", [3, 4], threshold=0.6, without="same").hits] == ["near"]
    assert [hit.record_id for hit in index.alike(DATASET, "v", [3, 4], text="a", n_best=1).hits] == ["across"]
    of_size_4 = Terms(OfMetadata("size"), ("4",))
    assert [hit.record_id for hit in index.alike(DATASET, "v", [3, 4], filter_=of_size_4).hits] == ["same", "near"]
    assert [index.alike(DATASET, *asked).total for asked in (("v", [0, 0]), ("w", [1, 2]), ("v", []))] == [0, 0, 0]  # type: ignore[arg-type]


@pytest.mark.parametrize("broken", [b"", b"not a database at all" * 100, None])
def test_a_lost_or_damaged_file_is_made_anew(tmp_path: Path, broken: bytes | None) -> None:
    path = tmp_path / "index.sqlite"
    if broken is not None:
        path.write_bytes(broken)
    index = Index(path)
    assert index.answers() and not index.has_dataset(DATASET)
    index.create_dataset(DATASET, ["query"])
    index.put(DATASET, [Document("a", {"query": "x"})])
    index.close()
    assert Index(path).search(DATASET, text="x").total == 1


def test_a_file_removed_under_an_open_index_is_noticed(index: Index) -> None:
    for path in index.path.parent.iterdir():
        path.unlink()
    with pytest.raises(MissingDatasetError):
        index.search(DATASET)
    index.create_dataset(DATASET, ["query"])
    assert index.search(DATASET).total == 0


def test_a_write_that_fails_leaves_nothing_of_it(index: Index) -> None:
    with pytest.raises(AttributeError):
        index.put(DATASET, [Document("a", {"query": "x"}), None])  # type: ignore[list-item]
    index.put(DATASET, [Document("b", {"query": "x"})])
    assert ids(index, text="x") == ["b"]


@pytest.mark.parametrize("n_indexes", [1, 2])
def test_many_threads_and_indexes_write_and_read_one_file_at_once_and_lose_nothing(
    index: Index, n_indexes: int
) -> None:
    indexes = [index, Index(index.path)][:n_indexes]
    wrong: list[BaseException] = []

    def work(thread: int) -> None:
        mine = indexes[thread % n_indexes]
        try:
            for at in range(10):
                mine.put(DATASET, [Document(f"{thread}-{at}", {"query": "x"})])
                mine.search(DATASET, text="x", user_id="u")
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and index.search(DATASET, text="x").total == 40


def test_empty_huge_and_odd_texts_are_indexed(index: Index) -> None:
    odd = "\ud800 \x00 مرحبا 😀"
    index.put(
        DATASET,
        [
            Document("empty", {"query": "", "doc": ""}),
            Document("huge", {"doc": "red 木头 " * 100_000}),
            Document("odd", {"query": odd}, metadata={"m": odd}, external_id=odd),
        ],
    )
    assert (ids(index, text="木头"), ids(index, text="😀"), index.search(DATASET).total) == (["huge"], ["odd"], 3)


def test_a_field_that_is_not_searched_is_named(index: Index) -> None:
    with pytest.raises(ValueError, match="no searched field 'image'; there are query, doc"):
        index.search(DATASET, text="x", field="image")
