from datetime import datetime

import pytest

from storage.errors import UserError
from storage.store import Store
from tests.trainers.conftest import SCALE
from trainers.models.ranker import load_ranker
from trainers.rollouts.completions import Sampling
from trainers.rollouts.run import Asked, Summary, asked_of, require_known, roll_out, rollout_rows, summarise
from trainers.rows.snapshot_rows import load

SAMPLING = Sampling(n_samples=32, temperature=1.2, top_k=0, max_tokens=4)  # 4 pairs are sampled together


@pytest.fixture(scope="module")
def ranker(trained):
    return load_ranker(trained.run, device="cpu")


@pytest.fixture(scope="module")
def asked(trained, ranker):
    return asked_of(load(trained.snapshot.directory, splits=["dev"])["dev"], ranker, limit=10)


def in_store(store: Store):
    rows = store.read("train_rollouts", train_run_id="run_0000000001").to_pylist()
    return sorted((row["pair_id"], row["completion"]) for row in rows)


def roll(store, ranker, asked, *, held=(), tell=lambda *_: None):
    roll_out(store, ranker, asked, SAMPLING, key="k", run_id="run_r", seed=0, held=held, tell=tell)


def told(store, asked):
    """Tell a store of the pairs, as train pairs, so that rollouts on them can be read back."""
    shared = {"split": "train", "source": "s", "run_id": "r", "created_at": datetime(2026, 1, 1)}
    pairs = [{"pair_id": one.pair_id, "query_id": "q", "doc_id": "d", "origin": "import", **shared} for one in asked]
    store.append({"queries": [{"query_id": "q", "text": "q", "root_query_id": "q", **shared}], "pairs": pairs})


def test_answers_are_judged_by_their_grade_and_counted_without_bias() -> None:
    """Of four answers to a pair of grade 2 one is right, one another grade, one no completion, one right in substance
    but not in form."""
    rows = rollout_rows(
        [Asked("p", "…", 2)], [["2\nverdict: fully", "1", "two", "2\nnonsense"]], SCALE,
        key="k", train_run_id="run_t", run_id="run_r",
    )  # fmt: skip
    assert [(row["sample"], row["grade"], row["is_right"]) for row in rows["rollouts"]] == [
        (0, 2, True), (1, 1, False), (2, None, False), (3, None, False),
    ]  # fmt: skip
    (score,) = rows["difficulty_scores"]
    assert (score["pair_id"], score["pass_rate"], score["n"]) == ("p", 1 / 4, 4)
    assert len({row["rollout_id"] for row in rows["rollouts"]}) == 4


def test_the_longest_prompts_come_first_and_a_limit_draws_the_same_pairs(trained, ranker, asked) -> None:
    rows = load(trained.snapshot.directory, splits=["dev"])["dev"]
    lengths = [len(one.prompt) for one in asked]
    assert lengths == sorted(lengths, reverse=True) and len(asked) == 10
    again = asked_of(rows.select(reversed(range(len(rows)))), ranker, limit=10)
    assert again == asked
    assert {one.pair_id for one in asked_of(rows, ranker, limit=4)} < {one.pair_id for one in asked}


def test_what_was_killed_goes_on_to_the_same_rows(store: Store, ranker, asked, tmp_path) -> None:
    (tmp_path / "whole").mkdir()
    with Store.embedded(tmp_path / "whole") as whole:
        told(whole, asked)
        roll(whole, ranker, asked)
        wanted = in_store(whole)
    assert len(wanted) == 10 * 32
    told(store, asked)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        roll(store, ranker, asked, tell=killed)
    held = {pair_id for pair_id, _ in in_store(store)}
    assert len(held) == 4
    roll(store, ranker, asked, held=held)
    assert in_store(store) == wanted
    roll(store, ranker, asked)  # the same ids: nothing is there twice
    assert in_store(store) == wanted


def test_pairs_of_another_workspace_are_refused_before_anything_is_sampled(store: Store, asked) -> None:
    with pytest.raises(UserError, match=r"snapshot snap_1 has pairs that are not in this workspace, such as p_dev"):
        require_known(store, asked, "snap_1")
    told(store, asked)
    require_known(store, asked, "snap_1")


def test_the_summary_parts_pairs_by_how_often_they_are_right() -> None:
    counts = [{"n_right": n, "n_unparsed": at} for at, n in enumerate((4, 4, 3, 1, 0))]
    assert summarise(counts, n_samples=4) == Summary(n_pairs=5, n_always=2, n_sometimes=2, n_never=1, n_unparsed=10)
