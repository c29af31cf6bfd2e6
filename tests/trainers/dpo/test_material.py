import json

import pytest
from datasets import Dataset

from storage.clock import now
from storage.store import Store
from tests.trainers.conftest import SCALE
from trainers.dpo.material import Material, choose_pairs, encode_pairs, read_material
from trainers.models.tiny_model import train_tokenizer
from trainers.objectives.preference_pairs import PairOrigin, PreferencePair
from trainers.objectives.rewards import Gold
from trainers.order.planned_order import plan_order

WEIGHTS = {"grade": 1.0, "grounding": 1.0, "coherence": 1.0, "rule_adherence": 1.0, "brevity": 0.5}


def rows(*pair_ids, grade=2):
    return Dataset.from_list(
        [
            {"pair_id": pair_id, "prompt": "oak chair\n", "completion": f"{grade}\nverdict: {SCALE.name(grade)}"}
            for pair_id in pair_ids
        ]
    )


def choose(of, samples, edits=(), *, grade=2, n_most=1):
    golds = [Gold(grade, {})] * len(of)
    return choose_pairs(of, golds, Material(samples, list(edits)), SCALE, weights=WEIGHTS, n_most=n_most)


def edit(pair_id, chosen_grade, chosen_steps, rejected_grade, rejected_steps):
    return (
        pair_id,
        json.dumps({"grade": chosen_grade, "steps": chosen_steps}),
        json.dumps({"grade": rejected_grade, "steps": rejected_steps}),
    )


def test_the_best_right_answer_is_set_over_a_wrong_one_and_the_expert_s_where_none_is_right() -> None:
    samples = {
        "a": ["2\nverdict: partly", "2\nverdict: fully", "1\nverdict: partly"],  # the first contradicts itself
        "b": ["0", "0"],
        "c": ["2"],
    }
    assert choose(rows("a", "b", "c", "never sampled"), samples) == [
        PreferencePair("a", "2\nverdict: fully", "1\nverdict: partly", PairOrigin.OWN),
        PreferencePair("b", "2\nverdict: fully", "0", PairOrigin.EXPERT),
    ]


def test_a_served_model_s_right_answer_with_reasons_stands_in_where_the_expert_gave_none() -> None:
    """Of pair a the expert gave the grade alone: chosen is the best right answer with reasons. Of b there are some; of
    c no served answer is right and has any; d the model gets right itself."""
    bare = Dataset.from_list(
        [
            {"pair_id": pair_id, "prompt": "oak chair\n", "completion": "2\nverdict: fully" if pair_id == "b" else "2"}
            for pair_id in "abcd"
        ]
    )
    samples = {"a": ["0"], "b": ["0"], "c": ["0"], "d": ["0", "2\nverdict: fully"]}
    served = {
        "a": ["2", "1\nverdict: partly", "2\nverdict: partly", "2\nverdict: fully"],
        "b": ["2\nintent: oak\nverdict: fully"],
        "c": ["2", "1\nverdict: partly", "no answer"],
        "d": ["2\nintent: oak\nverdict: fully"],
    }
    golds = [Gold(2, {})] * 4
    found = choose_pairs(bare, golds, Material(samples, (), served), SCALE, weights=WEIGHTS, n_most=1)
    assert [(one.prompt_id, one.chosen, one.origin.value) for one in found] == [
        ("a", "2\nverdict: fully", "stronger"),
        ("b", "2\nverdict: fully", "expert"),
        ("c", "2", "expert"),
        ("d", "2\nverdict: fully", "own"),
    ]
    assert Material(samples, (), served).digest != Material(samples, ()).digest


def test_served_answers_are_read_of_the_train_pairs_that_the_run_sampled(store: Store) -> None:
    stamp = {"run_id": "r", "source": "s", "created_at": now()}
    queries = [
        {"query_id": split, "text": split, "root_query_id": split, "split": split, **stamp}
        for split in ("train", "dev")
    ]
    docs = [{"doc_id": name, "title": name, "body": "", "fields": "{}", **stamp} for name in "abc"]
    pairs = [
        {"pair_id": f"p_{name}", "query_id": split, "doc_id": name, "split": split, "origin": "ingest", **stamp}
        for name, split in (("a", "train"), ("b", "train"), ("c", "dev"))
    ]
    rollouts = [
        {"rollout_id": f"ro_{name}{whose}", "pair_id": f"p_{name}", "train_run_id": "run_1" if whose == "own" else None,
         "proposer": None if whose == "own" else "openai:m", "sample": 0, "completion": f"2 {whose}", "grade": 2,
         "is_right": True, "run_id": "r", "created_at": now()}
        for name, whose in (("a", "own"), ("a", "served"), ("b", "served"), ("c", "own"), ("c", "served"))
    ]  # fmt: skip
    store.append({"queries": queries, "docs": docs, "pairs": pairs, "rollouts": rollouts})
    found = read_material(store, "run_1", has_edits=True)
    assert found == Material({"p_a": ["2 own"]}, [], {"p_a": ["2 served"]})


def test_samples_of_pairs_that_the_snapshot_does_not_train_on_give_nothing() -> None:
    assert choose(rows("a"), {"elsewhere": ["0"]}, [edit("elsewhere", 2, None, 1, None)]) == []


def test_an_edit_counts_when_its_grade_is_the_settled_one() -> None:
    said, before = [["verdict", "fully"]], [["intent", "oak"], ["verdict", "partly"]]
    edits = [edit("a", 2, said, 1, before), edit("a", 1, said, 2, before), edit("a", 2, None, 1, before)]
    assert choose(rows("a"), {}, edits) == [
        PreferencePair("a", "2\nverdict: fully", "1\nintent: oak\nverdict: partly", PairOrigin.EDIT),
        PreferencePair("a", "2", "1", PairOrigin.EDIT),  # no reasons were given, so none are rejected
    ]


def test_an_edit_of_another_scale_or_one_that_changed_only_reasons_without_giving_any_is_left_out() -> None:
    assert choose(rows("a"), {}, [edit("a", 2, None, 7, None), edit("a", 2, None, 2, [["intent", "oak"]])]) == []


def test_what_was_read_names_the_run() -> None:
    one, same, other = (Material({"a": texts}, []) for texts in (["1"], ["1"], ["2"]))
    assert one.digest == same.digest != other.digest
    assert Material({"a": ["1"]}, [("a", "{}", "{}")]).digest != one.digest


def test_pairs_that_cannot_be_used_are_counted_by_reason() -> None:
    tokenizer = train_tokenizer(["oak chair\n2\nverdict: fully", "012"] * 3, vocab_size=300)
    grades = [tokenizer("0")["input_ids"][0], tokenizer("2")["input_ids"][0]]
    pairs = [
        PreferencePair("a", "2\nverdict: fully", "0", PairOrigin.OWN),
        PreferencePair("a", "2\nverdict: fully", "", PairOrigin.OWN),  # nothing follows the prompt
        PreferencePair("a", " \n2", "0", PairOrigin.OWN),  # forgiven by the parser, but not one token
        PreferencePair("a", "2\nverdict: fully", "2\nverdict: partly", PairOrigin.EDIT),  # the same once cut to 2
    ]
    made = encode_pairs(pairs, {"a": "oak chair\n"}, tokenizer, grades, max_completion_tokens=2)
    (kept,) = made.pairs
    assert (kept.chosen[0], kept.rejected) == (grades[1], [grades[0], tokenizer.eos_token_id])
    assert len(kept.chosen) == 2 and kept.prompt == tokenizer("oak chair\n")["input_ids"]
    assert made.n_by_origin == {"own": 1, "expert": 0, "stronger": 0, "edit": 0}
    assert made.left_out == {
        "the prompt's tokens are no prefix": 1,
        "the chosen answer does not begin with its grade": 1,
        "both answers are the same once they are cut": 1,
    }


def test_each_pair_comes_once_an_epoch_in_an_order_the_seed_decides() -> None:
    order = plan_order(5, epochs=3, seed=0)
    assert [sorted(order[at : at + 5]) for at in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3
    assert order == plan_order(5, epochs=3, seed=0) != plan_order(5, epochs=3, seed=1)


@pytest.mark.parametrize("n_most", [1, 2])
def test_a_prompt_gives_so_many_pairs_at_most(n_most) -> None:
    assert len(choose(rows("a"), {"a": ["2", "1", "0", "nonsense"]}, n_most=n_most)) == n_most
