"""Exports: what comes out is what went in, loaded by the tools it is for; a folder is there whole or not at all."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation.completion import Completion, parse
from curation.exports import writing
from curation.exports.formats import ALL, NAMES, find_formats
from curation.exports.made import make
from curation.exports.source import checked_splits
from curation.exports.writing import new_folder, put_in_place
from curation.prompt_parts import prompt_parts, render_completion
from storage.errors import UserError
from storage.snapshots.cutting import revoke
from tests.conftest import ROOT
from tests.curation.exports.small_snapshot import SCALE, Small, cut, row

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")
datasets = pytest.importorskip("datasets")


@pytest.fixture
def small(tmp_path: Path) -> Small:
    return cut(tmp_path)


Export = Callable[..., Path]


@pytest.fixture
def export(tmp_path: Path) -> Export:
    """Write an export away from any workspace; personal data stays unless told otherwise."""

    def write(small: Small, name: str, *, out: str = "out", keeps_personal: bool = True, **chosen: Any) -> Path:
        place = tmp_path / out
        with new_folder(place) as building:
            source = small.source(**chosen)
            make(building, source, find_formats(name), store=None, licences={}, keeps_personal=keeps_personal)
            put_in_place(building, place)
        return place

    return write


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    return lambda folder, *config: datasets.load_dataset(str(folder), *config, cache_dir=str(tmp_path / "cache"))


def rows_of(small: Small, split: str, *, tier: int | None = None) -> list[dict[str, Any]]:
    return [one for one in small.rows if one["split"] == split and tier in (None, one["tier"])]


def test_prompt_completion_holds_every_row_as_the_trainers_write_it(small: Small, export: Export, load: Any) -> None:
    loaded = load(export(small, "prompt-completion"))
    assert set(loaded) == {"train", "dev"}
    for split in loaded:
        assert loaded[split].column_names == ["prompt", "completion"]
        expected = Counter(
            (prompt_parts(one).render(), render_completion({**one, "row_hash": ""}, SCALE))
            for one in rows_of(small, split)
        )
        assert Counter((one["prompt"], one["completion"]) for one in loaded[split]) == expected
    grades = Counter(parse(text, SCALE).grade for text in loaded["dev"]["completion"])  # type: ignore[union-attr]
    assert grades == {0: 4, 1: 3, 2: 3}  # rows 0 to 9, grade at % 3


def test_one_export_of_all_has_a_config_for_each_format_and_tier(small: Small, export: Export, load: Any) -> None:
    folder = export(small, ALL)
    configs = datasets.get_dataset_config_names(str(folder))
    made = ("prompt-completion", "prompt-only", "cross-encoder", "cross-encoder-class", "listwise")
    assert sorted(configs) == sorted(name + tier for name in made for tier in ("", "-tier_1", "-tier_2"))
    assert load(folder, "prompt-only-tier_2")["train"].num_rows == 20
    assert load(folder, "prompt-only")["dev"].num_rows == 10
    assert load(folder, "cross-encoder")["train"].features["label"].dtype == "float32"


def test_cross_encoder_labels_are_places_on_the_scale(export: Export, load: Any, tmp_path: Path) -> None:
    small = cut(tmp_path, [row(at, grade=at) for at in range(3)])
    scored = {one["document"]: one["label"] for one in load(export(small, "cross-encoder"))["train"]}
    assert scored == {
        "Doc 0\nbrand: Nord & 0\ncolour: red": 0.0,
        "Doc 1\nbrand: Nord & 1\ncolour: red\nsoft <b>seat</b> & legs": 0.5,
        "Doc 2\nbrand: Nord & 2\ncolour: red\nfirst line\nsecond line": 1.0,
    }
    classed = load(export(small, "cross-encoder-class", out="classes"))["train"]
    assert sorted(zip(classed["query"], classed["label"], strict=True)) == sorted(
        (one["query"], one["grade"]) for one in small.rows
    )


def test_lists_hold_all_docs_of_a_query_with_their_labels(small: Small, export: Export, load: Any) -> None:
    loaded = load(export(small, "listwise", splits=("train",)), "listwise-tier_1")["train"]
    assert loaded.column_names == ["query", "docs", "labels"]
    got = {one["query"]: Counter(zip(one["docs"], one["labels"], strict=True)) for one in loaded}
    assert len(loaded) == 5 and sum(map(Counter.total, got.values())) == 20
    first_lines = {(text.split("\n")[0], label) for text, label in got["red sofa train"]}
    # tier 1 has the even rows; of these 0, 10, 20, 30 ask for query 0
    assert first_lines == {("Doc 0", 0), ("Doc 10", 1), ("Doc 20", 2), ("Doc 30", 0)}


def test_qrels_are_read_by_trec_eval_and_name_docs_that_lie_beside(small: Small, export: Export) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    folder = export(small, "qrels")
    with (folder / "train.qrels").open(encoding="utf-8") as file:
        qrels = pytrec_eval.parse_qrel(file)
    assert {(q, d): g for q, judged in qrels.items() for d, g in judged.items()} == {
        (one["query_id"], one["doc_id"]): one["grade"] for one in rows_of(small, "train")
    }
    perfect = {q: {d: float(g) for d, g in judged.items()} for q, judged in qrels.items()}
    measured = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg"}).evaluate(perfect)
    assert {one["ndcg"] for one in measured.values()} == {1.0}
    topics = {one["_id"]: one["text"] for one in map(json.loads, (folder / "queries.jsonl").read_text().splitlines())}
    assert topics["q_train1"] == "أريكة حمراء train" and len(topics) == 10
    docs = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {one["_id"]: one["text"] for one in docs}["d_train2"] == "first line\nsecond line" and len(docs) == 50


def test_quepid_rows_read_back_whatever_the_query_holds(small: Small, export: Export) -> None:
    with (export(small, "quepid") / "train.csv").open(encoding="utf-8", newline="") as file:
        read = [tuple(one.values()) for one in csv.DictReader(file)]
    expected = [(one["query"], one["doc_id"], str(one["grade"])) for one in rows_of(small, "train")]
    assert sorted(read) == sorted(expected)  # type: ignore[type-var]


def test_personal_data_is_masked_before_a_prompt_is_made_and_counted(small: Small, tmp_path: Path) -> None:
    with new_folder(tmp_path / "out") as building:
        source = small.source(splits=("train",))
        made = make(building, source, find_formats("prompt-completion"), store=None, licences={}, keeps_personal=False)
        text = pl.concat(pl.read_parquet(path) for path in building.rglob("*.parquet"))["prompt"].str.join("").item()
        card = (building / "README.md").read_text(encoding="utf-8")
    # queries and bodies 4, 9, 14 … 39 hold one each: 8 rows, two texts each
    assert made["masked"] == 16 and "16 texts (a text counts in each row and file it stands in) had e-mail" in card
    assert "ann@shop" not in text and "7946" not in text
    assert text.count("call &lt;email&gt; train") == 8 and text.count("ring &lt;phone&gt; now") == 8


def test_the_card_states_what_is_there_who_signed_and_what_is_missing(tmp_path: Path) -> None:
    small = cut(tmp_path)
    with new_folder(tmp_path / "out") as building:
        licences = {"shop": "CC-BY-4.0"}
        source = small.source()
        make(building, source, find_formats("prompt-only"), store=None, licences=licences, keeps_personal=True)
        card = (building / "README.md").read_text(encoding="utf-8")
    assert "| 1 clear | train | 20 | 10 | 7 of 0, 6 of 1, 7 of 2 | person-2 |" in card
    assert "| shop | 50 | CC-BY-4.0 |" in card
    assert "Unknown: this was exported away from the workspace" in card
    assert "- 13 rows have a grade and no reasons" in card  # at 0, 4, 8 … of 40 and of 10
    assert "- tier 1 has 7 train rows of grade 0" in card
    assert f"afrel verify {small.directory.name}" in card
    assert "test" not in json.dumps([line for line in card.splitlines() if line.startswith("|")])


def test_a_card_of_an_unsigned_snapshot_says_that_nobody_vouches(tmp_path: Path) -> None:
    small = cut(tmp_path, signed=False)
    with new_folder(tmp_path / "out") as building:
        make(building, small.source(), find_formats("quepid"), store=None, licences={}, keeps_personal=True)
        card = (building / "README.md").read_text(encoding="utf-8")
    assert "**Nobody has signed tier 1, 2**" in card and "| shop | 50 | not stated |" in card
    assert "configs" not in card and "0 of 10 queries and 0 of 50 docs go by the id their source gave" in card


def test_an_altered_or_revoked_snapshot_is_refused(small: Small) -> None:
    revoke(small.directory, small.signer, tier=2, reason="wrong size rule", pins=small.pins)
    with pytest.raises(UserError, match=r"tier 2 was revoked on .*wrong size rule"):
        small.source()
    assert small.source(tier=1).parts()[0][0].tier == 1
    path = next(small.directory.glob("data/tier_1/train-*"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match="is altered"):
        small.source(tier=1)


def test_test_rows_never_leave(small: Small, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a test grade that leaves the house"):
        checked_splits("test")
    source = small.source()
    for path in small.directory.glob("data/tier_*/test-*"):
        path.unlink()  # hashed when the snapshot was verified; nothing opens them for their rows
    folder = tmp_path / "out"
    folder.mkdir()
    make(folder, source, find_formats(ALL), store=None, licences={}, keeps_personal=True)
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b" test" not in written
    assert all(
        "test" not in str(value)
        for path in folder.rglob("*.parquet")
        for one in pl.read_parquet(path).iter_rows()
        for value in one
    )


def test_the_same_export_again_is_nothing_to_do_and_another_is_refused(small: Small, export: Export) -> None:
    folder = export(small, "quepid")
    written = {path: path.read_bytes() for path in folder.iterdir()}
    with new_folder(folder) as building:
        make(building, small.source(), find_formats("quepid"), store=None, licences={}, keeps_personal=True)
        assert put_in_place(building, folder) is False
    with pytest.raises(UserError, match="holds something else"):
        export(small, "quepid", tier=1)
    assert {path: path.read_bytes() for path in folder.iterdir()} == written
    assert [path.name for path in folder.parent.glob(".*export*")] == []


def test_a_failure_on_the_way_leaves_nothing(
    small: Small, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.durable, "sync_tree", full)
    with pytest.raises(UserError, match=r"No space left on device. Nothing was left there"):
        export(small, "qrels")
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_what_a_killed_export_left_is_cleared_but_not_what_is_being_written(tmp_path: Path) -> None:
    left = tmp_path / ".out.export-0123"
    left.mkdir()
    os.utime(left, (0, 0))
    with new_folder(tmp_path / "out") as building:
        os.utime(building, (0, 0))
        with new_folder(tmp_path / "out") as other:
            assert building.is_dir() and other.is_dir() and not left.exists()


def test_an_export_killed_on_the_way_is_not_there_and_the_next_one_clears_up(small: Small, export: Export) -> None:
    place = small.directory.parent.parent / "out"
    code = (
        "import sys, time; from pathlib import Path; from curation.exports.writing import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as folder:\n"
        "    (folder / 'train.csv').write_text('half'); print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, place], stdout=subprocess.PIPE, cwd=ROOT, text=True) as killed:
        assert killed.stdout is not None and killed.stdout.readline() == "ready\n"
        killed.kill()
    (left,) = place.parent.glob(".out.export-*")
    assert (left / "train.csv").read_text() == "half" and not place.exists()
    os.utime(left, (0, 0))
    assert export(small, "quepid") == place and not left.exists()
    assert sorted(path.name for path in place.iterdir()) == ["README.md", "dev.csv", "train.csv"]


def test_shards_are_numbered_and_hold_every_row(tmp_path: Path) -> None:
    from curation.exports.cross_encoder import PAIR
    from curation.exports.shards import Shards

    table = pl.DataFrame(
        {"query": [f"q{n}" for n in range(10)], "document": ["d"] * 10, "label": [0.5] * 10},
        schema_overrides={"label": pl.Float32},
    ).to_arrow()
    with Shards(tmp_path / "data", "train", PAIR, shard_rows=4) as shards:
        shards.add(table.slice(0, 7))
        shards.add(table.slice(7))
    names = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert names == [f"train-0000{n}-of-00003.parquet" for n in range(3)]
    assert pl.read_parquet(tmp_path / "data")["query"].to_list() == [f"q{n}" for n in range(10)]


def test_a_format_nobody_knows_and_a_file_in_the_way_are_told(small: Small, export: Export, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"there are {', '.join(NAMES)}"):
        find_formats("jsonl")
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        export(small, "quepid")
    assert (tmp_path / "out").read_text() == "mine"
    with pytest.raises(UserError, match="people's answers"):
        export(small, "preference", out="other")


def test_a_completion_is_the_grade_alone_where_there_are_no_reasons(export: Export, load: Any, tmp_path: Path) -> None:
    small = cut(tmp_path, [row(0)])
    (completion,) = load(export(small, "prompt-completion"))["train"]["completion"]
    assert parse(completion, SCALE) == Completion(0)
