from datetime import datetime

import pytest

from storage.errors import UserError
from storage.store import Store
from tests.trainers.conftest import RULE
from trainers.evaluation.measure import evaluate_run, evaluation_rows
from trainers.runs.directory import RunDirectory


def evaluate(trained, **changed):
    settings = {"split": "dev", "proposals": {"p_dev0": 1, "p_dev1": 2}, "device": "cpu", "n_explanations": 5} | changed
    return evaluate_run(trained.run, trained.snapshot.directory, **settings)


def values(evaluation, model):
    return {one.metric: one for one in evaluation.measures[model]}


def test_a_trained_run_beats_the_majority_on_dev(trained) -> None:
    evaluation = evaluate(trained)
    run, majority = values(evaluation, "run"), values(evaluation, "majority")
    assert run["accuracy"].n == majority["accuracy"].n == 12
    assert run["accuracy"].value > majority["accuracy"].value
    assert run["macro_f1"].value > majority["macro_f1"].value
    assert "ece" in run and "ece" not in majority


def test_the_lexical_baseline_counts_only_pairs_it_graded(trained) -> None:
    """Of its two proposals, pair 1 (grade 2: same thing, same material) is right; pair 0 is a 0, not a 1."""
    lexical = values(evaluate(trained), "lexical")
    assert (lexical["accuracy"].value, lexical["accuracy"].n) == (1 / 2, 2)
    assert "lexical" not in evaluate(trained, proposals={}).measures


def test_rule_recall_counts_the_rows_that_cite_the_rule(trained) -> None:
    """Of 12 dev rows, numbers 0, 5 and 10 carry no rationale, so 9 cite the rule."""
    (recall,) = evaluate(trained).rule_recalls
    assert (recall.rule_id, recall.n) == (RULE, 9)
    assert 0 <= recall.low <= recall.recall <= recall.high <= 1


def test_every_metric_of_the_methods_is_there_with_n_and_interval(trained) -> None:
    """METHODS §7, but for pass@N, which `rollout` measures, and retention, which is of two runs."""
    run = values(evaluate(trained), "run")
    assert set(run) == {
        "accuracy", "macro_f1", "qwk", "adjacent_error", "non_adjacent_error", "f1_grade_0", "f1_grade_1", "f1_grade_2",
        "auc", "auc_grade_0", "auc_grade_1", "auc_grade_2", "ece", "ndcg@10", "badcase@5", "unparsed_rate",
        "discriminative_hallucination", "first_token_ms_p50", "first_token_ms_p99",
    }  # fmt: skip
    assert all(one.value is None or one.low <= one.value <= one.high for name, one in run.items() if name != "ece")
    assert run["unparsed_rate"].n == 5 and run["badcase@5"].n == 6
    assert 0 < run["first_token_ms_p50"].value <= run["first_token_ms_p99"].value


def test_a_model_is_asked_for_no_reasons_when_none_are_wanted(trained) -> None:
    assert "unparsed_rate" not in values(evaluate(trained, n_explanations=0), "run")


def test_test_rows_are_scored_when_asked_for(trained) -> None:
    assert sorted(evaluate(trained, split="test").pair_ids) == [f"p_test{at}" for at in range(6)]


def test_predictions_and_measures_fit_the_store_and_stand_there_once(trained, store: Store) -> None:
    rows = evaluation_rows(evaluate(trained), run_id="run_e", at=datetime(2026, 1, 1))
    assert store.append(rows)["predictions"] == 12
    assert store.append(rows).get("predictions", 0) == 0
    again = evaluation_rows(evaluate(trained), run_id="run_f", at=datetime(2026, 1, 2))
    new = store.append(again)
    assert new.get("predictions", 0) == 0  # the model says the same
    assert new["evaluations"] == len(rows["evaluations"])
    assert sum(rows["predictions"][0]["probabilities"]) == pytest.approx(1)


def test_an_unfinished_run_is_not_evaluated(trained, tmp_path) -> None:
    run = RunDirectory(tmp_path / "run_1")
    run.describe(status="running")
    with pytest.raises(UserError, match="is running, not finished"):
        evaluate_run(run, trained.snapshot.directory, split="dev", proposals={}, n_explanations=0)
