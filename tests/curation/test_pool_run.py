"""The pool run on a real store: what is appended, what is not done twice, and what a killed run leaves to the next."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curation.ingest import doc_id_of, pair_id_of, query_id_of
from curation.lineage import why
from curation.pool_config import PoolConfig
from curation.pool_run import PoolPlan, PoolReport, pool_pairs
from curation.query_frequency import read_frequencies
from storage.clock import now
from storage.errors import UserError
from storage.grades import parse_scale
from storage.ids import content_id
from storage.progress import Stage, unwatched
from storage.store import Store
from tests.conftest import Afrel

SCALE = parse_scale("0-3")
STAMP = {"run_id": "run_source", "created_at": now()}
SMALL = PoolConfig(top=2, strata=(6, 12), per_stratum=1, hard=2, hard_depth=12)
COLOURS = ("red", "blue", "green", "black", "white", "brown", "grey", "pink", "gold", "teal")
THINGS = ("sofa", "lamp", "rug", "chair")
# Each adds words of its own, so that no two docs are nearly the same.
DOCS = [
    (f"{colour} {thing}", f"of maker{n} in finish{n} by hand{n}", {"colour": colour})
    for n, (colour, thing) in enumerate((colour, thing) for colour in COLOURS for thing in THINGS)
]
QUERIES = ["red sofa", "blue lamp", "rug", "green chair without finish3", "grey lamp"]


def bring(store: Store, queries: list[str], docs: list[tuple[str, str, dict[str, str]]], split: str = "train") -> None:
    store.append(
        {
            "queries": [
                {"query_id": query_id_of(text), "text": text, "root_query_id": query_id_of(text), "split": split}
                | {"source": "shop"} | STAMP
                for text in queries
            ],
            "docs": [
                {"doc_id": doc_id_of(title, body, fields), "title": title, "body": body, "source": "shop"}
                | {"fields": json.dumps(fields)} | STAMP
                for title, body, fields in docs
            ],
        }
    )  # fmt: skip


def judge(store: Store, query: str, doc: tuple[str, str, dict[str, str]], grade: int) -> str:
    """Pair a query with a doc as a source does, and judge it; return the pair's id."""
    query_id, doc_id = query_id_of(query), doc_id_of(*doc)
    pair_id = pair_id_of(query_id, doc_id)
    pair = {"pair_id": pair_id, "query_id": query_id, "doc_id": doc_id, "split": "train", "origin": "import"}
    judgment = {"judgment_id": content_id("j", "import", "shop", pair_id), "pair_id": pair_id, "grade": grade}
    judgment |= {"origin": "import:shop", "response_ids": [], "is_replayed": False}
    store.append({"pairs": [pair | {"source": "shop"} | STAMP], "judgments": [judgment | STAMP]})
    return pair_id


def pool(store: Store, *, is_dry: bool = False, watch: Any = unwatched, **plan: Any) -> PoolReport:
    config = plan.pop("config", SMALL)
    plan.setdefault("per_query", config.per_query)
    return pool_pairs(store, PoolPlan(config, **plan), scale=SCALE, account=None, is_dry=is_dry, watch=watch)


def pooled(store: Store) -> pl.DataFrame:
    return store.frame("pool_pairs").filter(pl.col("source").is_not_null())


def docs_of(store: Store, query: str) -> dict[str, str]:
    """Return title -> source of a query's pooled pairs."""
    places = store.frame("pool_queries")
    place = places.row(by_predicate=pl.col("text") == query, named=True)["place"]
    titles = store.frame("pool_docs", first=0, last=10_000)["title"].to_list()
    rows = pooled(store).filter(pl.col("query_place") == place)
    return {titles[row["doc_place"]]: row["source"] for row in rows.iter_rows(named=True)}


@pytest.fixture
def shop(store: Store) -> Store:
    bring(store, QUERIES, DOCS)
    return store


def test_a_query_gets_its_best_docs_a_draw_from_below_and_hard_negatives(shop: Store) -> None:
    """`red sofa` is in 1 doc whole, 4 are red, 10 sofas: 13 docs share a word, the whole one is first."""
    report = pool(shop)
    found = docs_of(shop, "red sofa")
    assert found["red sofa"] == "pool:top"
    kinds = Counter(source.removeprefix("pool:").split()[0] for source in found.values())
    assert kinds == {"top": 2, "ranks": 2, "hard": 2}
    assert all("red" in title or "sofa" in title for title in found)
    assert report.n_pairs == len(pooled(shop)) == sum(report.sources.values())
    # the colour asked for is a field's value, so another colour of sofa conflicts
    assert "pool:hard conflict" in found.values()


def test_pairs_come_with_features_split_origin_and_run(store: Store) -> None:
    bring(store, QUERIES[:2], DOCS)
    bring(store, ["pink rug"], [], split="test")
    pool(store)
    features = store.frame("all_features")
    pairs = pooled(store)
    assert len(features) == len(pairs) and features["term_overlap"].min() > 0
    assert store.read("pairs_without_features", n=10).num_rows == 0
    by_split = {row["which"]: row["n"] for row in store.read("counts").to_pylist() if row["what"] == "pairs"}
    assert by_split == {"train": 12, "test": 6}
    query_id, doc_id = query_id_of("pink rug"), doc_id_of(*DOCS[30])
    (text,) = [link.text for link in why(store, pair_id_of(query_id, doc_id)) if link.kind == "pair"]
    assert DOCS[30][0] == "pink rug" and "test, from pool pool:top" in text


def test_run_twice_the_second_has_nothing_to_do(shop: Store) -> None:
    first = pool(shop)
    (run,) = shop.read("finished_run", verb="pool", input_digest=_digest(shop)).to_pylist()
    second = pool(shop)
    assert first.n_pairs > 0 and second.n_pairs == 0 and second.finished_before == run["run_id"]
    counts = json.loads(shop.read("run", run_id=run["run_id"]).to_pylist()[0]["counts"])
    assert counts == first.counts()


def _digest(store: Store) -> str:
    (run,) = [row for row in _runs(store) if row["verb"] == "pool"]
    return str(run["input_digest"])


def _runs(store: Store) -> list[dict[str, Any]]:
    ids = set(pooled_run_ids(store))
    return [row for run_id in sorted(ids) for row in store.read("run", run_id=run_id).to_pylist()]


def pooled_run_ids(store: Store) -> list[str]:
    query_ids = store.frame("pool_queries")["query_id"].to_list()
    doc_ids = store.frame("pool_docs", first=0, last=10_000)["doc_id"].to_list()
    pair_ids = [
        pair_id_of(query_ids[row["query_place"]], doc_ids[row["doc_place"]])
        for row in pooled(store).iter_rows(named=True)
    ]
    return [store.read("why_pair", id=pair_id).to_pylist()[0]["run_id"] for pair_id in pair_ids]


def test_the_same_store_gives_the_same_pairs(store: Store, tmp_path: Path) -> None:
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    with Store.embedded(other_folder, sees_test=True) as other:
        for one in (store, other):
            bring(one, QUERIES, DOCS)
            pool(one)
        assert pooled(store).equals(pooled(other))


class _KilledError(Exception):
    pass


def test_what_a_killed_run_left_undone_the_next_one_does_and_nothing_more(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.pool_run.QUERIES_AT_A_TIME", 2)

    def die(stage: Stage, done: int, _total: int) -> None:
        if (stage, done) == (Stage.WRITING, 2):
            raise _KilledError

    whole_folder = tmp_path / "whole"
    whole_folder.mkdir()
    with Store.embedded(whole_folder, sees_test=True) as whole:
        for one in (store, whole):
            bring(one, QUERIES, DOCS)
        pool(whole)
        with pytest.raises(_KilledError):
            pool(store, watch=die)
        n_left = len(pooled(store))
        assert 0 < n_left < len(pooled(whole))
        report = pool(store)
        assert report.n_supplied == 2 and report.n_pairs == len(pooled(whole)) - n_left
        assert pooled(store).equals(pooled(whole))
        assert pool(store).finished_before is not None


def test_judged_docs_and_what_is_nearly_one_are_left_out(shop: Store) -> None:
    judged = DOCS[0]
    twin = (judged[0].upper(), f"{judged[1]}!", judged[2])
    bring(shop, [], [twin])
    judge(shop, "red sofa", judged, 3)
    report = pool(shop)
    assert not {"red sofa", "RED SOFA"} & set(docs_of(shop, "red sofa"))
    assert report.n_near_duplicates >= 1


def test_raising_the_bound_adds_and_a_query_never_has_more(shop: Store) -> None:
    pool(shop, per_query=3)
    held = pooled(shop)
    assert held.group_by("query_place").len()["len"].to_list() == [3] * 5
    pool(shop, per_query=6)
    more = pooled(shop)
    assert more.group_by("query_place").len()["len"].max() == 6
    assert held.join(more, on=["query_place", "doc_place", "source"], how="anti").is_empty()
    assert pool(shop, per_query=3).n_pairs == 0


def test_a_share_beyond_the_strata_is_filled_from_the_ranking_as_far_as_it_goes(shop: Store) -> None:
    """`red sofa` shares a word with 13 docs, `rug` with 10."""
    pool(shop, per_query=30)
    assert (len(docs_of(shop, "red sofa")), len(docs_of(shop, "rug"))) == (13, 10)


def test_a_limit_is_for_all_runs_together(shop: Store) -> None:
    assert pool(shop, limit=8).n_pairs == 8
    assert pool(shop, limit=8).n_pairs == 0
    pool(shop, limit=11)
    assert len(pooled(shop)) == 11


def test_queries_that_come_later_do_not_push_the_whole_over_a_limit(shop: Store) -> None:
    """5 queries share 20: 4 each. With 5 more it is 2 each, but 15 of 20 are gone when 15 were the limit before."""
    assert pool(shop, limit=15).n_pairs == 15
    bring(shop, ["white sofa", "black rug", "teal lamp", "gold chair", "pink lamp"], [])
    assert pool(shop, limit=20).n_pairs == 5
    assert len(pooled(shop)) == 20
    assert pool(shop, limit=20).n_pairs == 0


def test_frequent_queries_get_more_of_a_limit(shop: Store, tmp_path: Path) -> None:
    """ln(1 + 7) is three times ln(1 + 1): of 10 pairs `rug` gets 10 · 3/7, the four others 10 · 1/7 each."""
    (tmp_path / "log.csv").write_text("query,frequency\nrug,5\n  Ｒug ,1\nrug ,2\nnever seen,9\n", encoding="utf-8")
    frequencies = read_frequencies(tmp_path / "log.csv")
    assert frequencies[query_id_of("rug")] == 7
    report = pool(shop, limit=10, frequencies=frequencies)
    assert report.n_pairs == 10 and report.n_unlisted == 4
    per_query = [len(docs_of(shop, query)) for query in QUERIES]
    assert per_query[2] == 4 and sorted(per_query) == [1, 1, 2, 2, 4]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("query,count\nrug,1\n", "no column frequency"),
        ("query,frequency\nrug,many\n", "line 2: 'many' is no frequency"),
        ("query,frequency\nrug,-1\nrug,nan\n", "line 3: 'nan' is no frequency"),
        ("query,frequency\n ,1\n", "line 2: the query is empty"),
        ("query,frequency\nrug,1,2\n", "line 2: wrong number of cells"),
        ("", "no header line"),
    ],
)
def test_a_frequency_file_is_read_whole_or_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"log\.csv") as raised:
        read_frequencies(tmp_path / "log.csv")
    assert said in str(raised.value)


def test_a_dry_run_counts_what_the_run_then_writes(shop: Store) -> None:
    dry = pool(shop, is_dry=True)
    assert dry.n_pairs > 0 and pooled(shop).is_empty()
    assert pool(shop).counts() == dry.counts()


def test_a_query_that_matches_no_doc_is_counted(shop: Store) -> None:
    bring(shop, ["xylophone", "🔥🔥", "…"], [])
    report = pool(shop)
    assert report.n_without_match == 3 and docs_of(shop, "xylophone") == {}


def test_predictions_make_docs_like_one_a_model_graded_low_hard_negatives(store: Store) -> None:
    """The model expects .1 of `red oak table`; `red oak chair` shares 2 of 4 words with it. Others share none."""
    docs = [(title, "", {}) for title in ("red oak table", "red oak chair", "red wool", "red pan", "red cup")]
    bring(store, ["red"], docs)
    pair_id = judge(store, "red", docs[0], 0)
    prediction = {"prediction_id": "pr_1", "pair_id": pair_id, "train_run_id": "run_t", "grade": 0}
    store.append({"predictions": [prediction | {"probabilities": [0.9, 0.1, 0.0, 0.0]} | STAMP]})
    pool(store, config=PoolConfig(top=0, strata=(), per_stratum=0, hard=2, hard_depth=5))
    assert docs_of(store, "red")["red oak chair"] == "pool:hard predicted low"
    assert sorted(docs_of(store, "red").values()) == ["pool:hard predicted low", "pool:top"]


def test_docs_and_queries_of_every_kind_are_pooled_and_nothing_is_lost(store: Store) -> None:
    kinds = [
        "",
        "שולחן עץ ארוך",
        "🛋️ sofa",
        "cafe\u0301 table",
        "红色运动鞋",
        "مصباح أرضي",
        "word " * 2_000_000 + "lamp",
    ]
    bring(store, ["שולחן", "sofa 🛋️", "caf\u00e9", "运动鞋", "مصباح", "lamp"], [(text, "", {}) for text in kinds])
    report = pool(store)
    assert report.n_pairs == 6 and report.n_without_match == 0
    assert pooled(store).sort("query_place")["doc_place"].to_list() == [1, 2, 3, 4, 5, 6]


def test_an_erased_query_takes_the_docs_that_came_with_it_and_not_those_it_was_pooled_with(shop: Store) -> None:
    """`red sofa` came with doc 0; the pool gives it other docs, and `rug` doc 0 as well."""
    judge(shop, "red sofa", DOCS[0], 3)
    pool(shop)
    query_id, doc_id = query_id_of("rug"), doc_id_of(*DOCS[0])
    pair = {"pair_id": pair_id_of(query_id, doc_id), "query_id": query_id, "doc_id": doc_id, "split": "train"}
    shop.append({"pairs": [pair | {"origin": "pool", "source": "pool:top"} | STAMP]})
    done = shop.erase(kind="query", value="red sofa", account="root", reason=None, run_id="run_source", is_dry=True)
    assert (done["n_rows"]["queries"], done["n_rows"]["docs"]) == (1, 1)


def test_a_mutated_query_gets_no_pairs_of_its_own(shop: Store) -> None:
    mutated = {"query_id": "q_m", "text": "crimson sofa", "root_query_id": query_id_of("red sofa"), "split": "train"}
    shop.append({"queries": [mutated | {"source": "mutation:x"} | STAMP]})
    assert pool(shop).n_queries == len(QUERIES)


def test_a_store_without_docs_or_queries_says_what_to_bring(store: Store) -> None:
    with pytest.raises(UserError, match=r"no docs .* afrel ingest"):
        pool(store)
    bring(store, [], DOCS)
    with pytest.raises(UserError, match=r"no queries .* afrel ingest"):
        pool(store)


@pytest.mark.slow
def test_the_verb_pools_says_so_and_then_has_nothing_to_do(afrel: Afrel, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    afrel("init", folder)
    empty = afrel("pool", workspace=folder, ok=False)
    assert empty.returncode == 2 and "afrel ingest" in empty.stderr and "Traceback" not in empty.stderr
    rows = ["query,title,split"] + [f"{QUERIES[n % 5]},{title},train" for n, (title, _, _) in enumerate(DOCS)]
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    afrel("ingest", tmp_path / "pairs.csv", "--map", "query=query,title=title,split=split", workspace=folder)
    dry = afrel("pool", "--dry-run", "--json", workspace=folder)
    done = afrel("pool", "--json", workspace=folder)
    assert json.loads(done.stdout) == json.loads(dry.stdout) and json.loads(done.stdout)["pairs"] > 0
    assert "nothing to do" in afrel("pool", workspace=folder).stdout
    refused = afrel("pool", "--per-query", "0", workspace=folder, ok=False)
    assert refused.returncode == 2 and "below 1" in refused.stderr
