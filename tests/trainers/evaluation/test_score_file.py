import json

import numpy as np
import polars as pl
import pytest

from storage.errors import UserError
from trainers.evaluation.score_file import read_pairs, score_pairs, trec_run, write_scores
from trainers.models.ranker import load_ranker

CSV = "query_id,doc_id,query,title,material\nq1,d1,oak chair,oak chair no 1,oak\nq1,d2,oak chair,canvas bag,canvas\n"


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_jsonl_and_parquet_say_the_same(tmp_path) -> None:
    from_csv = read_pairs(write(tmp_path / "a.csv", CSV), field_names=["material"])
    frame = pl.read_csv(tmp_path / "a.csv")
    frame.write_ndjson(tmp_path / "a.jsonl")
    frame.write_parquet(tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        read = read_pairs(tmp_path / name, field_names=["material"])
        assert [(p.query_id, p.doc_id, p.query, p.title, p.fields) for p in read] == [
            (p.query_id, p.doc_id, p.query, p.title, p.fields) for p in from_csv
        ]
    assert from_csv[0].fields == {"material": "oak"}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "query,title\noak,chair\n,bag\n", "line 3: query is ''"),
        ("a.csv", "query,name\noak,chair\n", "line 2: title is None"),
        ("a.csv", "query,title\noak,chair,extra\n", "line 2: more cells than columns"),
        ("a.csv", "query,title\n", "has no rows"),
        ("a.csv", "query,title,doc_id\noak,chair,d 1\n", "line 2: doc_id 'd 1' holds a space"),
        ("a.csv", "query,title\noak,chair\noak,chair\n", "line 3: .* stands on line 2 too"),
        ("a.jsonl", '{"query": "oak", "title": "chair"}\n{"query": \n', "cannot be read"),
        ("a.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("a.txt", "oak", "is none of .csv"),
    ],
)
def test_bad_input_is_told_with_line_and_value(tmp_path, name, text, told) -> None:
    with pytest.raises(UserError, match=told):
        read_pairs(write(tmp_path / name, text), field_names=[])


def test_a_missing_file_is_told(tmp_path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_pairs(tmp_path / "none.csv", field_names=[])


def test_a_trec_run_ranks_within_the_query_and_breaks_ties_by_doc(tmp_path) -> None:
    text = "query_id,doc_id,query,title\nq2,a,x,t\nq1,c,y,t1\nq1,b,y,t2\nq1,a,y,t3\n"
    pairs = read_pairs(write(tmp_path / "a.csv", text), field_names=[])
    assert trec_run(pairs, np.array([0.5, 1.0, 1.0, 2.0]), tag="run_1").splitlines() == [
        "q1 Q0 a 1 2.000000 run_1",
        "q1 Q0 b 2 1.000000 run_1",
        "q1 Q0 c 3 1.000000 run_1",
        "q2 Q0 a 1 0.500000 run_1",
    ]


def test_scores_are_written_with_their_probabilities(trained, tmp_path) -> None:
    path = write(tmp_path / "pairs.csv", CSV)
    ranker, pairs = load_ranker(trained.run), read_pairs(path, field_names=["material"])
    probabilities = score_pairs(ranker, pairs, path=path)
    write_scores(tmp_path / "out", ranker, pairs, probabilities)
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    assert scores.columns == [
        "query_id", "doc_id", "query", "title", "grade", "expected_grade",
        "probability_0", "probability_1", "probability_2",
    ]  # fmt: skip
    row = scores.row(0, named=True)
    assert row["probability_0"] + row["probability_1"] + row["probability_2"] == pytest.approx(1)
    assert row["expected_grade"] == pytest.approx(row["probability_1"] + 2 * row["probability_2"])
    assert pl.read_csv(tmp_path / "out" / "scores.csv").rows() == scores.rows()
    assert len((tmp_path / "out" / "run.trec").read_text().splitlines()) == 2


def test_a_query_too_long_to_score_is_told_with_its_line(trained, tmp_path) -> None:
    path = write(tmp_path / "pairs.csv", f"query,title\n{'oak ' * 300},chair\n")
    with pytest.raises(UserError, match=r"pairs\.csv line 2: its query alone fills"):
        score_pairs(load_ranker(trained.run), read_pairs(path, field_names=["material"]), path=path)


def test_an_altered_model_is_not_loaded(trained, tmp_path) -> None:
    import shutil

    from trainers.runs.directory import RunDirectory

    copy = RunDirectory(tmp_path / "run_copy")
    shutil.copytree(trained.run.path, copy.path)
    config = json.loads((copy.model_dir / "config.json").read_text())
    (copy.model_dir / "config.json").write_text(json.dumps({**config, "rope_theta": 1.0}))
    with pytest.raises(UserError, match="are not those"):
        load_ranker(copy)


def test_a_column_that_is_no_field_of_the_training_docs_never_reaches_the_prompt(tmp_path) -> None:
    """A file of judged pairs has the answer in a column of its own."""
    text = "query,title,material,label,split\noak chair,oak chair,oak,2,test\n"
    (pair,) = read_pairs(write(tmp_path / "a.csv", text), field_names=["material"])
    assert pair.fields == {"material": "oak"}


def test_columns_are_mapped_as_in_ingest(tmp_path) -> None:
    path = write(tmp_path / "a.csv", "q,name,maker,label\noak chair,oak chair 1,Nordli,2\n")
    (pair,) = read_pairs(path, field_names=[], mapped="query=q,doc=name,field.brand=maker")
    assert (pair.query, pair.title, pair.fields) == ("oak chair", "oak chair 1", {"brand": "Nordli"})
    with pytest.raises(UserError, match="no column 'qq'"):
        read_pairs(path, field_names=[], mapped="query=qq,title=name")
