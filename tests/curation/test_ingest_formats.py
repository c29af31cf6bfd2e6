"""Sources in forms that others agreed on go the way of every file: checked, set aside with a line, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from curation.ingest import Ingested, doc_id_of, pair_id_of, parse_grade_map, query_id_of
from curation.ingest_commands import Asked, ingest_part
from curation.ingest_files import LINE
from curation.ingest_formats import read_parts
from storage.clock import now
from storage.errors import UserError
from storage.grades import parse_scale
from storage.rows import GradeRow
from storage.store import Store
from tests.curation.exports.small_snapshot import cut

SCALE = parse_scale("0-2")
Take = Callable[..., list[Ingested | None]]


@pytest.fixture
def take(store: Store) -> Take:
    """Ingest a source as the verb does, into a store of this process; what each part gave, None when it was idle."""
    grades = [
        GradeRow(grade_id=f"g_{value}", grade=value, name=name, created_at=now())
        for value, name in zip(SCALE.values, SCALE.names, strict=True)
    ]
    store.append({"grades": grades})

    def ingest(
        path: Path,
        name: str | None,
        *,
        columns: str | None = None,
        grades: str = "",
        source: str = "shop",
        dry: bool = False,
    ) -> list[Ingested | None]:
        asked = Asked(source, grades, parse_grade_map(grades, SCALE), SCALE, None)
        taken: list[Ingested | None] = []
        for part in read_parts(path, name, columns=columns):
            unwritten = [read for read in taken if read is not None] if dry else []
            taken.append(ingest_part(store, part, asked, unwritten=unwritten, dry_run=dry))
        return taken

    return ingest


def beir(folder: Path, *, docs: list[dict[str, object]], queries: list[dict[str, object]], **judged: str) -> Path:
    (folder / "qrels").mkdir(parents=True)
    for name, rows in (("corpus", docs), ("queries", queries)):
        lines = [json.dumps(one, ensure_ascii=False) for one in rows]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for split, lines_of in judged.items():
        text = "query-id\tcorpus-id\tscore\n" + lines_of
        (folder / "qrels" / f"{split}.tsv").write_text(text, encoding="utf-8")
    return folder


def reasons(read: Ingested | None) -> list[tuple[int, str]]:
    assert read is not None
    return sorted((reject.line, reject.reason) for reject in read.rejects)


LONG = "long " * 2000
DOCS: list[dict[str, object]] = [
    {"_id": "d1", "title": "Red sofa", "text": "soft", "metadata": {}},
    {"_id": "d2", "title": "", "text": "أريكة 🛋️ cafe\u0301"},
    {"_id": "d3", "title": "Big", "text": LONG},
    {"_id": "d4", "title": "", "text": ""},
]
QUERIES: list[dict[str, object]] = [
    {"_id": f"q{n}", "text": text} for n, text in enumerate(("sofa", "أريكة", "lamp 💡"))
]


def test_beir_gives_each_query_the_split_of_its_judgments(take: Take, store: Store, tmp_path: Path) -> None:
    train, test = "q0\td1\t2\nq1\td2\t1\nq0\td4\t1\nq0\td9\t1\nq2\td3\t0\nq2\td1\n", "q2\td3\t2\n"
    folder = beir(tmp_path / "b", docs=DOCS, queries=QUERIES, train=train, test=test)
    corpus, queries, in_test, in_train = take(folder, "beir")
    assert reasons(corpus) == [(4, "empty_doc")] and reasons(queries) == [] and reasons(in_test) == []
    # the empty doc and the doc of no file have no text; q2 is judged in test.tsv, which comes first
    assert reasons(in_train) == [
        (4, "unknown_doc_id"),
        (5, "unknown_doc_id"),
        (6, "split_conflict"),
        (7, "wrong_number_of_cells"),
    ]
    splits = {row["query_id"]: row["split"] for row in store.read("query_splits").to_pylist()}
    assert splits == {query_id_of("sofa"): "train", query_id_of("أريكة"): "train", query_id_of("lamp 💡"): "test"}
    held = {row["pair_id"]: row["grade"] for row in store.read("import_grades").to_pylist()}
    assert held == {
        pair_id_of(query_id_of("sofa"), doc_id_of("Red sofa", "soft", {})): 2,
        pair_id_of(query_id_of("أريكة"), doc_id_of("", "أريكة 🛋️ caf\u00e9", {})): 1,
        pair_id_of(query_id_of("lamp 💡"), doc_id_of("Big", LONG, {})): 2,
    }
    # again: idle but for the file whose rows name a doc that might have come meanwhile
    assert [part is None for part in take(folder, "beir")] == [True, True, True, False]


def test_a_dry_run_of_a_folder_counts_as_a_real_one_and_writes_nothing(
    take: Take, store: Store, tmp_path: Path
) -> None:
    long = {"_id": "d5", "title": "Big", "text": LONG * 1000}  # 10 MB
    folder = beir(tmp_path / "b", docs=[DOCS[0], long], queries=QUERIES[:1], train="q0\td5\t2\n")
    (_, _, judged) = take(folder, "beir", dry=True)
    assert judged is not None and len(judged.judgments) == 1 and not judged.rejects
    assert store.read("query_splits").num_rows == 0


@pytest.mark.parametrize(
    ("missing", "said"),
    [("corpus.jsonl", "no corpus.jsonl"), ("queries.jsonl", "no queries"), ("qrels/train.tsv", "qrels/")],
)
def test_a_folder_that_is_not_beir_is_told_what_it_lacks(take: Take, tmp_path: Path, missing: str, said: str) -> None:
    folder = beir(tmp_path / "b", docs=DOCS[:1], queries=QUERIES[:1], train="q0\td1\t2\n")
    (folder / missing).unlink()
    with pytest.raises(UserError, match=said):
        take(folder, "beir")


def test_quepid_ratings_join_docs_that_came_before(take: Take, tmp_path: Path) -> None:
    docs = tmp_path / "docs.csv"
    docs.write_text("id,title\n1,Red sofa\n2,Rug\n")
    take(docs, None, columns="doc_id=id,title=title")
    ratings = tmp_path / "ratings.csv"
    ratings.write_text('Query,DocID,Rating\n"sofa, ""red""",1,3\nsofa,2,\nsofa,7,1\nsofa,1,9\n', encoding="utf-8-sig")
    (read,) = take(ratings, "quepid", grades="3=2")
    assert read is not None
    assert reasons(read) == [(4, "unknown_doc_id"), (5, "unmapped_grade")]
    assert next(iter(read.judgments.values()))["pair_id"] == pair_id_of(
        query_id_of('sofa, "red"'), doc_id_of("Red sofa", "", {})
    )
    assert [one["grade"] for one in read.judgments.values()] == [2] and read.n_ungraded == 1


def test_two_sources_that_disagree_on_a_pair_are_told_and_neither_wins(
    take: Take, store: Store, tmp_path: Path
) -> None:
    texts = tmp_path / "texts.csv"
    texts.write_text("qid,query,did,title\nq1,sofa,d1,Red sofa\n")
    take(texts, None, columns="query_id=qid,query=query,doc_id=did,title=title")
    for name, grade in (("one", 2), ("two", 0)):
        (tmp_path / f"{name}.txt").write_text(f"q1 0 d1 {grade}\n")
    (first,) = take(tmp_path / "one.txt", "qrels")
    (second,) = take(tmp_path / "two.txt", "qrels", source="other")
    assert reasons(first) == [] and reasons(second) == [(1, "conflicting_judgments")]
    assert store.read("import_grades").column("grade").to_pylist() == [2]


def test_a_dataset_saved_to_disk_brings_its_splits(take: Take, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"text": ["sofa", "rug"], "passage": ["Red sofa", "A rug"], "label": [2, 5], "more": [["x"], ["y"]]}
    features = datasets.Features(
        {name: datasets.Value("string") for name in ("text", "passage")}
        | {"label": datasets.Value("int64"), "more": datasets.List(datasets.Value("string"))}
    )
    train = datasets.Dataset.from_dict(rows, features=features)
    validation = datasets.Dataset.from_dict({name: held[:1] for name, held in rows.items()}, features=features)
    validation = validation.map(lambda one: {"text": one["text"] + " dev"})
    shuffled = datasets.concatenate_datasets([train] * 3).select([1, 0])
    datasets.DatasetDict(train=shuffled, validation=validation).save_to_disk(tmp_path / "saved")
    columns = "query=text,doc=passage,grade=label"
    first, second = take(tmp_path / "saved", "hf", columns=columns)
    assert first is not None and second is not None
    assert reasons(first) == [(1, "unmapped_grade")]
    assert [(one["text"], one["split"]) for one in first.queries.values()] == [("sofa", "train")]
    assert [(one["text"], one["split"]) for one in second.queries.values()] == [("sofa dev", "dev")]
    assert take(tmp_path / "saved", "hf", columns=columns) == [None, None]


def test_parquet_shards_of_a_split_are_one_part(take: Take, tmp_path: Path) -> None:
    (tmp_path / "d" / "data").mkdir(parents=True)
    for place in range(2):
        frame = pl.DataFrame({"q": [f"q{place}"], "d": ["doc"], "g": [place]})
        frame.write_parquet(tmp_path / "d" / "data" / f"dev-0000{place}-of-00002.parquet")
    (read,) = take(tmp_path / "d", "hf", columns="query=q,doc=d,grade=g")
    assert read is not None and {one["split"] for one in read.queries.values()} == {"dev"} and read.n_rows == 2


@pytest.mark.parametrize("damage", ["cut", "state", "empty"])
def test_a_dataset_that_is_none_is_an_error_that_names_the_file(take: Take, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    if damage == "cut":
        pl.DataFrame({"q": ["a"]}).write_parquet(folder / "train.parquet")
        (folder / "train.parquet").write_bytes((folder / "train.parquet").read_bytes()[:-9])
    elif damage == "state":
        (folder / "state.json").write_text("{}")
    said = {"cut": "not a readable shard", "state": "state.json", "empty": "holds no dataset"}[damage]
    with pytest.raises(UserError, match=said):
        take(folder, "hf", columns="query=q")


def test_what_qrels_and_a_hugging_face_export_hold_comes_back_as_it_was(
    take: Take, store: Store, tmp_path: Path
) -> None:
    """Out and in again: queries, docs with their fields, grades, splits."""
    from curation.exports.formats import find_formats
    from curation.exports.made import make

    small = cut(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    make(out, small.source(), find_formats("qrels"), store=None, licences={}, keeps_personal=True)
    (out / "qrels").mkdir()
    for split in ("train", "dev"):
        lines = (line.split(" ") for line in (out / f"{split}.qrels").read_text().splitlines())
        table = "".join(f"{query}\t{doc}\t{grade}\n" for query, _, doc, grade in lines)
        (out / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + table)
    assert [reasons(part) for part in take(out, "beir")] == [[], [], [], []]
    expected = {
        pair_id_of(query_id_of(one["query"]), doc_id_of(one["title"], one["body"], json.loads(one["fields"]))): one[
            "grade"
        ]
        for one in small.rows
        if one["split"] != "test"
    }
    assert {row["pair_id"]: row["grade"] for row in store.read("import_grades").to_pylist()} == expected


@pytest.mark.parametrize(
    ("name", "content", "format_name", "columns", "said"),
    [
        ("a.csv", "q,d\nx,y\n", "quepid", None, "no Quepid export"),
        ("a.csv", "query,docid,rating\n", "quepid", None, "holds no rows"),
        ("a.txt", "", "qrels", None, "holds no rows"),
        ("a.csv", "query\nx\n", "csv", None, "none of quepid, qrels, beir, hf"),
        ("a.csv", "query\nx\n", "beir", None, "not the layout of BEIR"),
        ("a.csv", "query\nx\n", "beir", "query=query", "no place with --format beir"),
    ],
)
def test_what_is_not_of_the_form_is_told(
    tmp_path: Path, name: str, content: str, format_name: str, columns: str | None, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        list(read_parts(tmp_path / name, format_name, columns=columns))


def test_a_folder_without_a_format_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--format beir"):
        list(read_parts(tmp_path, None, columns=None))


def test_rows_of_a_part_have_numbers(tmp_path: Path) -> None:
    pl.DataFrame({"q": ["a", "b"]}).write_parquet(tmp_path / "train.parquet")
    (part,) = read_parts(tmp_path / "train.parquet", "hf", columns="query=q")
    assert part.rows.frame[LINE].to_list() == [1, 2] and part.columns == "query=q,split=split"
