"""What the store adds to an export: sources' ids, experts' edits, judged steps, agreement; no test pair among it."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from datasets import load_dataset

from curation.completion import Completion, Step, render
from curation.exports.external_names import external_names
from curation.exports.formats import find_formats
from curation.exports.given import given_by_store
from curation.exports.made import make
from curation.exports.masking import could_be_personal, mask_columns
from curation.personal_text import find_personal
from curation.prompt_parts import prompt_parts
from storage.errors import UserError
from storage.store import Store
from tests.curation.exports.small_snapshot import SCALE, Small, cut, row

AT = datetime(2025, 3, 1, 12)
STEPS = [["attributes", "red is asked for"], ["rules", "sofas are sofas"], ["verdict", "good"]]
EDITED = [["attributes", 'it is "blue" \\ 蓝 🛋️ & <b>'], ["verdict", "bad"]]
STAMP = {"run_id": "run_1", "created_at": AT}


@pytest.fixture
def small(tmp_path: Path) -> Small:
    """Six train pairs and a test pair, all settled as grade 2."""
    rows = [row(at, grade=2, tier=1) for at in range(6)]
    return cut(tmp_path, [*rows, row(0, split="test", grade=2, tier=1), row(1, split="dev", grade=2, tier=1)])


def response(at: int, account: str, *, split: str = "train", **said: Any) -> dict[str, Any]:
    return {
        "response_id": f"a_{split}{at}{account}",
        "candidate_id": f"c_{split}{at}",
        "pair_id": f"p_{split}{at}",
        "account": account,
        "act": "submitted",
        "grade": None,
        "steps": None,
        "first_wrong_step": None,
        "is_replayed": False,
        "session": account,
        "sequence": at,
        "created_at": AT,
    } | said


def fill(store: Store, responses: list[dict[str, Any]], preferences: list[dict[str, Any]] | None = None) -> None:
    """Put in the pairs of the snapshot, each with a suggestion of grade 2 and three steps, and what people did."""
    pairs = [("train", at) for at in range(6)] + [("test", 0), ("dev", 1)]
    store.append(
        {
            "queries": [
                {
                    "query_id": f"q_{split}{at % 5}", "text": f"{split} {at % 5}", "split": split,
                    "root_query_id": f"q_{split}{at % 5}", "source": "shop", **STAMP,
                }
                for split, at in pairs
            ],
            "pairs": [
                {
                    "pair_id": f"p_{split}{at}", "query_id": f"q_{split}{at % 5}", "doc_id": f"d_{split}{at}",
                    "split": split, "origin": "import", "source": "shop", **STAMP,
                }
                for split, at in pairs
            ],
            "candidates": [
                {
                    "candidate_id": f"c_{split}{at}", "pair_id": f"p_{split}{at}", "grade": 2,
                    "steps": json.dumps(STEPS), "rule_ids": [], "proposer": "lexical", **STAMP,
                }
                for split, at in pairs
            ],
            "responses": responses,
            "preferences": [{"run_id": "run_1", "created_at": AT} | one for one in preferences or []],
        }
    )  # fmt: skip


def edit(at: int, account: str, grade: int, steps: list[list[str]] | None, *, split: str = "train") -> dict[str, Any]:
    return {
        "preference_id": f"pf_{split}{at}{account}",
        "pair_id": f"p_{split}{at}",
        "chosen": json.dumps({"grade": grade, "steps": steps}),
        "rejected": json.dumps({"grade": 1, "steps": STEPS}),
        "response_id": f"a_{split}{at}{account}",
    }


def exported(small: Small, store: Store, name: str, folder: Path) -> tuple[dict[str, Any], pl.DataFrame]:
    folder.mkdir()
    made = make(folder, small.source(), find_formats(name), store=store, licences={}, keeps_personal=False)
    return made, pl.concat(pl.read_parquet(path) for path in sorted(folder.rglob("*.parquet")))


def written(grade: int, steps: list[list[str]]) -> str:
    return render(Completion(grade, tuple(Step(label, text) for label, text in steps)), SCALE)


def test_an_edit_of_the_settled_grade_is_chosen_over_the_suggestion(store: Store, small: Small, tmp_path: Path) -> None:
    edits = [
        edit(0, "ana", 2, EDITED),
        edit(1, "ana", 2, None),  # no reasons: grade beside grade
        edit(2, "ana", 0, EDITED),  # not the settled grade
        edit(3, "ana", 2, EDITED),  # withdrawn below
        edit(0, "ana", 2, EDITED, split="test"),
        edit(1, "ana", 2, EDITED, split="dev"),
    ]
    acts = [response(at, "ana", grade=2) for at in range(4)]
    acts += [response(0, "ana", split="test", grade=2), response(1, "ana", split="dev", grade=2)]
    acts += [response(3, "ana", response_id="a_w", act="withdrawn", target_id="a_train3ana", sequence=9)]
    fill(store, acts, edits)
    made, rows = exported(small, store, "preference", tmp_path / "out")
    assert made["rows"] == {"preference": {"train": 2, "dev": 1}}
    assert made["left_out"] == {"edits whose grade is not the settled one": 1}
    prompt_of = {one["pair_id"]: prompt_parts(one).render() for one in small.rows}
    got = {one["prompt"]: (one["chosen"], one["rejected"]) for one in rows.to_dicts()}
    assert got == {
        prompt_of["p_train0"]: (written(2, EDITED), written(1, STEPS)),
        prompt_of["p_train1"]: ("2", "1"),
        prompt_of["p_dev1"]: (written(2, EDITED), written(1, STEPS)),
    }


def test_the_first_wrong_step_and_all_after_it_are_wrong(store: Store, small: Small, tmp_path: Path) -> None:
    acts = [
        response(0, "ana", grade=2),  # taken as it was
        response(1, "ana", grade=2, first_wrong_step=2, steps=json.dumps(EDITED)),
        response(1, "bo", grade=2),  # another took it: the mark counts
        response(2, "ana", grade=1),  # another grade, no word on the steps
        response(3, "ana", grade=2, first_wrong_step=3),
        response(3, "bo", grade=2, first_wrong_step=1),
        response(0, "ana", split="test", grade=2),
    ]
    fill(store, acts)
    made, rows = exported(small, store, "stepwise", tmp_path / "out")
    loaded = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert (loaded.features["labels"].feature.dtype, loaded.features["completions"].feature.dtype) == ("bool", "string")
    prompt_of = {prompt_parts(one).render(): one["pair_id"] for one in small.rows}
    assert {prompt_of[one["prompt"]]: one["labels"] for one in rows.to_dicts()} == {
        "p_train0": [True, True, True, True],
        "p_train1": [True, True, False, False],
        "p_train3": [True, False, False, False],
    }
    assert made["left_out"] == {"suggestions whose steps nobody judged": 1}
    lines = rows["completions"].to_list()[0]
    assert lines == ["2", "attributes: red is asked for", "rules: sofas are sofas", "verdict: good"]


def test_agreement_counts_the_pairs_that_leave_and_two_people_answered(store: Store, small: Small) -> None:
    acts = [response(at, who, grade=at % 3) for at in range(4) for who in ("ana", "bo")]
    acts += [response(0, "ana", split="test", grade=0), response(0, "bo", split="test", grade=2)]
    fill(store, acts)
    agreement = given_by_store(small.source(), store, keeps_personal=True).agreement
    assert agreement is not None and (agreement.n, agreement.coefficient) == (4, 1.0)
    assert given_by_store(small.source(splits=("dev",)), store, keeps_personal=True).agreement.n == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["preference", "stepwise"])
def test_nothing_people_said_is_an_error_that_says_so(store: Store, small: Small, tmp_path: Path, name: str) -> None:
    fill(store, [])
    with pytest.raises(UserError, match=rf"nothing to export as {name} .*nobody answered"):
        exported(small, store, name, tmp_path / "out")


def test_personal_data_in_edits_is_masked(store: Store, small: Small, tmp_path: Path) -> None:
    mail = [["attributes", "ask bo@shop.example"]]
    fill(store, [response(0, "ana", grade=2)], [edit(0, "ana", 2, mail)])
    made, rows = exported(small, store, "preference", tmp_path / "out")
    assert rows["chosen"].to_list() == ["2\nattributes: ask <email>"] and made["masked"] >= 1


def ids(*rows: tuple[str, str, str, str]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["source", "kind", "external_id", "content_id"], orient="row")


def test_an_id_that_stands_for_two_texts_or_breaks_a_line_gives_way_to_ours() -> None:
    rows = pl.DataFrame(
        {
            "query_id": ["q_a", "q_b", "q_c", "q_d", "q_e"],
            "doc_id": ["d_a"] * 5,
            "source": ["one", "two", "one", "one", "one"],
        }
    )
    given = ids(
        ("one", "query", "1", "q_a"),
        ("two", "query", "1", "q_b"),  # both count from 1
        ("one", "query", "7\t8", "q_c"),
        ("two", "query", "0", "q_d"),  # another source's name of the same text
        ("one", "query", "5", "q_d"),
        ("one", "query", "ann@shop.example", "q_e"),
        ("one", "doc", "sku-9", "d_a"),
        ("one", "doc", "q_a", "d_x"),
    )
    names = external_names(rows, given, keeps_personal=False)
    assert dict(names.queries.sort("query_id").iter_rows()) == {
        "q_a": "q_a",
        "q_b": "q_b",
        "q_c": "q_c",
        "q_d": "5",
        "q_e": "q_e",
    }
    assert dict(names.docs.iter_rows()) == {"d_a": "sku-9"} and (names.n_own_queries, names.n_own_docs) == (1, 1)
    kept = external_names(rows, given, keeps_personal=True)
    assert dict(kept.queries.iter_rows())["q_e"] == "ann@shop.example"


@pytest.mark.parametrize(
    "text",
    [
        "write ann@shop.example",
        "+44 20 7946 0958",
        "(212) 555-0182",
        "138 1234 5678",
        "DE89 3704 0044 0532 0130 00",
        "4111 1111 1111 1111",
        "078-05-1120",
        "11010519491231002X",
        "ｃａｌｌ １３８１２３４５６７８",
    ],
)
def test_whatever_is_personal_is_looked_at_closely(text: str) -> None:
    assert find_personal(text)
    assert could_be_personal(pl.Series([text])).item()


def test_masking_keeps_json_readable_and_counts_texts() -> None:
    fields = json.dumps({"note": 'a\nann@shop.example "x"', "size": "200 cm"})
    rows, n_masked = mask_columns(pl.DataFrame({"fields": [fields, fields, "{}"]}), ["fields"])
    assert json.loads(rows["fields"][0]) == {"note": 'a\n<email> "x"', "size": "200 cm"}
    assert rows["fields"][2] == "{}" and n_masked == 2


def test_the_card_names_who_brought_a_text_not_who_paired_it(store: Store, tmp_path: Path) -> None:
    """Docs 0 to 5 are brought by `catalogue`; query 1 is a rewriting of one that `log` brought."""
    fill(store, [])
    store.append(
        {
            "queries": [
                {
                    "query_id": "q_root", "text": "root", "split": "dev", "root_query_id": "q_root",
                    "source": "log", **STAMP,
                },
                {
                    "query_id": "q_new", "text": "new", "split": "dev", "root_query_id": "q_root",
                    "source": "mutation:reword", **STAMP,
                },
            ],
            "docs": [
                {"doc_id": f"d_train{at}", "title": "t", "body": "", "fields": "{}", "source": "catalogue", **STAMP}
                for at in range(6)
            ],
        }
    )  # fmt: skip
    rows = [row(at, grade=2, tier=1) for at in range(6)]
    rows += [row(9, split="dev", grade=2, tier=1, query_id="q_new", doc_id="d_train0", source="pool:top")]
    folder = tmp_path / "out"
    folder.mkdir()
    source = cut(tmp_path / "other", rows).source()
    stated = {"catalogue": "CC0 | mine", "pool:top": "never asked for"}
    make(folder, source, find_formats("quepid"), store=store, licences=stated, keeps_personal=True)
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert "| catalogue | 0 | 6 | CC0 \\| mine |" in card
    assert "| log | 1 | 0 | not stated |" in card and "| shop | 5 | 0 | not stated |" in card
    assert "Pairs by where they came from: 6 shop, 1 pool:top." in card
