"""Ingest: what is good goes in once, what is not is set aside with line, reason and record."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from curation.ingest import (
    Ingested,
    Known,
    doc_id_of,
    ingest_rows,
    pair_id_of,
    parse_grade_map,
    parse_map,
    query_id_of,
    rationale_to_steps,
)
from curation.ingest_files import LINE, read_file
from storage.errors import UserError
from storage.grades import parse_scale

SCALE = parse_scale("0-2")
MAP = "query=query,query_id=qid,title=title,doc_id=did,grade=grade,split=split"


def take(rows: list[dict[str, str]], columns: str = MAP, grades: str = "", known: Known | None = None) -> Ingested:
    names = sorted({name for row in rows for name in row} | {p.split("=")[1] for p in columns.split(",")})
    frame = pl.DataFrame(
        [{LINE: n, **{name: row.get(name) for name in names}} for n, row in enumerate(rows, start=2)],
        schema={LINE: pl.UInt32, **dict.fromkeys(names, pl.String)},
    )
    return ingest_rows(
        frame,
        parse_map(columns, names),
        scale=SCALE,
        grade_map=parse_grade_map(grades, SCALE),
        source="shop",
        known=known or Known(),
    )


def reasons(result: Ingested) -> list[tuple[int, str]]:
    return sorted((reject.line, reject.reason) for reject in result.rejects)


def row(**more: str) -> dict[str, str]:
    return {"query": "red sofa", "qid": "q1", "title": "Sofa", "did": "d1", "grade": "2", "split": "train", **more}


def test_a_graded_row_becomes_query_doc_pair_and_judgment() -> None:
    result = take([row()])
    query_id, doc_id = query_id_of("red sofa"), doc_id_of("Sofa", "", {})
    assert list(result.queries) == [query_id] and list(result.docs) == [doc_id]
    assert list(result.pairs) == [pair_id_of(query_id, doc_id)]
    assert [j["grade"] for j in result.judgments.values()] == [2]
    assert result.queries[query_id]["split"] == "train"


def test_ids_do_not_depend_on_unicode_form_or_spaces() -> None:
    assert query_id_of("cafe\u0301  noir ") == query_id_of("caf\u00e9 noir")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"query": "  "}, "empty_query"),
        ({"title": ""}, "empty_doc"),
        ({"grade": "7"}, "unmapped_grade"),
        ({"grade": "-1"}, "unmapped_grade"),
        ({"grade": "1.5"}, "unmapped_grade"),
        ({"grade": "good"}, "unmapped_grade"),
        ({"split": "holdout"}, "unknown_split"),
        ({"qid": "q0", "query": "other text"}, "one_id_with_two_texts"),
        ({"did": "d0", "title": "Other"}, "one_id_with_two_texts"),
        ({"query": "blue sofa", "qid": "q9", "split": "test"}, "split_conflict"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_line_and_the_others_go_in(bad: dict[str, str], reason: str) -> None:
    first = row(query="blue sofa", qid="q0", title="Blue", did="d0")
    result = take([first, row(**bad)])
    assert reasons(result) == [(3, reason)]
    assert len(result.judgments) == 1
    assert json.loads(result.rejects[0].record or "")["grade"] == {**row(), **bad}["grade"]


def test_contradicting_judgments_are_all_set_aside_and_the_pair_stays_unjudged() -> None:
    result = take([row(grade="2"), row(grade="0"), row(query="lamp", qid="q2", title="Lamp", did="d2")])
    assert reasons(result) == [(2, "conflicting_judgments"), (3, "conflicting_judgments")]
    assert len(result.pairs) == 2 and len(result.judgments) == 1


def test_a_judgment_that_contradicts_the_store_is_set_aside() -> None:
    pair_id = pair_id_of(query_id_of("red sofa"), doc_id_of("Sofa", "", {}))
    assert reasons(take([row()], known=Known(grades={pair_id: 0}))) == [(2, "conflicting_judgments")]
    assert reasons(take([row()], known=Known(grades={pair_id: 2}))) == []


def test_a_repeated_row_counts_once() -> None:
    result = take([row(), row()])
    assert result.n_repeated == 1 and len(result.judgments) == 1 and not result.rejects


def test_grades_are_mapped_only_as_told() -> None:
    result = take([row(grade="4"), row(grade="3", title="B", did="d2")], grades="4=2")
    assert [j["grade"] for j in result.judgments.values()] == [2]
    assert reasons(result) == [(3, "unmapped_grade")]


def test_an_empty_grade_is_a_pair_without_judgment() -> None:
    result = take([row(grade="")])
    assert len(result.pairs) == 1 and not result.judgments and result.n_ungraded == 1


def test_judgments_may_come_after_the_texts_by_id_alone() -> None:
    known = Known(query_ids={"q1": "q_1"}, doc_ids={"d1": "d_1"}, splits={"q_1": "dev"})
    only_ids = [{"qid": "q1", "did": "d1", "grade": "1"}, {"qid": "q2", "did": "d1", "grade": "1"}]
    result = take(only_ids, "query_id=qid,doc_id=did,grade=grade", known=known)
    assert result.pairs[pair_id_of("q_1", "d_1")]["split"] == "dev"
    assert reasons(result) == [(3, "unknown_query_id")]


def test_without_a_split_the_query_is_hashed_and_every_spelling_of_it_lands_together() -> None:
    rows = [row(query=q, qid=f"q{n}", split="") for n, q in enumerate(["Red Sofa", "red sofa!", "RED  SOFA"])]
    assert len({q["split"] for q in take(rows).queries.values()}) == 1


def test_fields_belong_to_the_doc() -> None:
    columns = "query=query,title=title,field.brand=brand"
    result = take([{"query": "sofa", "title": "Sofa", "brand": "Nordli"}], columns)
    assert [json.loads(doc["fields"]) for doc in result.docs.values()] == [{"brand": "Nordli"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("query", "'query' is not ROLE=COLUMN"),
        ("colour=title", "unknown role 'colour'"),
        ("query=nothing", "no column 'nothing'"),
        ("grade=grade", "a grade needs query or query_id; a grade needs doc, title or doc_id"),
        ("", "it maps nothing"),
        ("query=a,query=b", "no column 'a'; no column 'b'"),
    ],
)
def test_a_wrong_map_is_told_whole(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        parse_map(text, ["query", "title", "grade"])


def test_a_map_to_a_grade_off_the_scale_is_refused() -> None:
    with pytest.raises(UserError, match="4=3"):
        parse_grade_map("4=3", SCALE)


def test_an_imported_rationale_keeps_labelled_steps_and_takes_prose_as_one() -> None:
    assert rationale_to_steps("intent: a sofa\nverdict: fully") == '[["intent", "a sofa"], ["verdict", "fully"]]'
    assert rationale_to_steps("It is a sofa.\nNice.") == '[["attributes", "It is a sofa. Nice."]]'
    assert rationale_to_steps("verdict: x\nintent: y") == '[["attributes", "verdict: x intent: y"]]'
    assert rationale_to_steps(" ") is None


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_jsonl_lines_that_cannot_be_read_are_set_aside(tmp_path: Path) -> None:
    lines = [
        b'{"q": "a", "n": 1}',
        b"{broken",
        b'["list"]',
        b'{"q": "\xff\xfe"}',
        b'{"q": "\\ud800"}',
        b"",
        b'{"q": null}',
    ]
    rows = read_file(write(tmp_path / "a.jsonl", b"\n".join(lines)))
    assert rows.frame.to_dicts() == [{LINE: 1, "q": "a", "n": "1"}, {LINE: 7, "q": None, "n": None}]
    assert [(r.line, r.reason) for r in rows.rejects] == [
        (2, "not_json"),
        (3, "not_an_object"),
        (4, "bad_encoding"),
        (5, "bad_encoding"),
    ]


def test_csv_keeps_quoted_breaks_and_tells_the_line_a_record_starts_on(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbfq,t\n"two\nlines",x\nshort\nbad\xff,y\nlast,z\n'
    rows = read_file(write(tmp_path / "a.csv", content))
    assert rows.frame.to_dicts() == [{LINE: 2, "q": "two\nlines", "t": "x"}, {LINE: 6, "q": "last", "t": "z"}]
    assert [(r.line, r.reason) for r in rows.rejects] == [(4, "wrong_number_of_cells"), (5, "bad_encoding")]


def test_qrels_are_four_columns(tmp_path: Path) -> None:
    rows = read_file(write(tmp_path / "a.qrels", b"q1 0 d1 2\nq1 d1\n"))
    assert rows.frame.select("query_id", "doc_id", "grade").rows() == [("q1", "d1", "2")]
    assert [(r.line, r.reason) for r in rows.rejects] == [(2, "wrong_number_of_cells")]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "no header line"),
        ("a.csv", b"q,t\n", "holds no rows"),
        ("a.jsonl", b"", "holds no rows"),
        ("a.parquet", b"not parquet", "not a readable Parquet file"),
        ("a.xlsx", b"x", "no known extension"),
    ],
)
def test_an_empty_or_foreign_file_is_told(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        read_file(write(tmp_path / name, content))


def test_a_quote_that_is_never_closed_stops_the_file_and_loses_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", b'query,grade,title\nq1,3,"t1\nq2,2,t2\nq3,1,t3\n')
    with pytest.raises(UserError, match="perhaps a quote is never closed"):
        read_file(path)


def test_a_column_named_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"names the columns \['grade'\] more than once"):
        read_file(write(tmp_path / "a.csv", b"query,grade,grade\nq,1,2\n"))


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_column_named_line_is_a_column_like_any_other(tmp_path: Path, name: str) -> None:
    content = b"q,line\nred,hello\n" if name == "a.csv" else b'{"q": "red", "line": "hello"}\n'
    assert read_file(write(tmp_path / name, content)).frame["line"].to_list() == ["hello"]


def test_json_no_parser_can_take_is_set_aside(tmp_path: Path) -> None:
    lines = [b'{"q": ' + b"[" * 100_000, b'{"q": ' + b"9" * 5000 + b"}", b'{"q": "good"}']
    rows = read_file(write(tmp_path / "a.jsonl", b"\n".join(lines)))
    assert [r.reason for r in rows.rejects] == ["not_json", "not_json"] and len(rows.frame) == 1


def test_a_utf16_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not UTF-8"):
        read_file(write(tmp_path / "a.csv", "q,t\na,b\n".encode("utf-16")))


def test_two_sources_may_both_count_from_one() -> None:
    known = Known(other_query_ids={"q1": "q_other"}, other_doc_ids={"d1": "d_other"})
    assert reasons(take([row()], known=known)) == []


def test_ids_alone_are_looked_up_among_the_sources_own_first() -> None:
    only_ids = [{"qid": "q1", "did": "d1", "grade": "1"}]
    columns = "query_id=qid,doc_id=did,grade=grade"
    elsewhere = Known(other_query_ids={"q1": "q_o"}, other_doc_ids={"d1": "d_o"}, splits={"q_o": "train"})
    assert list(take(only_ids, columns, known=elsewhere).pairs) == [pair_id_of("q_o", "d_o")]
    own = Known(query_ids={"q2": "q_2"}, other_query_ids={"q1": "q_o"}, other_doc_ids={"d1": "d_o"})
    assert reasons(take(only_ids, columns, known=own)) == [(2, "unknown_query_id")]


def test_the_split_of_a_judgment_by_ids_is_held_against_the_querys() -> None:
    known = Known(query_ids={"q1": "q_1"}, doc_ids={"d1": "d_1"}, splits={"q_1": "train"})
    rows = [{"qid": "q1", "did": "d1", "grade": "1", "split": split} for split in ("train", "test", "nonsense")]
    result = take(rows, "query_id=qid,doc_id=did,grade=grade,split=split", known=known)
    assert reasons(result) == [(3, "split_conflict"), (4, "unknown_split")]
