from math import isnan

import pytest

from storage.grades import Scale
from tests.trainers.conftest import RULE, SCALE, snapshot_row
from trainers.grpo.judging import golds_of, judge, read_tokens
from trainers.models.tiny_model import train_tokenizer
from trainers.objectives.rewards import REWARDS, Gold
from trainers.objectives.segments import FORMAT, GRADE, NOWHERE, step_part
from trainers.rows.evidence_source import source_of

TEXTS = [f"{at % 3}\nrules: leather is asked for [{RULE}]\nverdict: fully 品牌" for at in range(40)]
TOKENIZER = train_tokenizer(TEXTS, vocab_size=330)
RULES, VERDICT = step_part("rules"), step_part("verdict")


@pytest.mark.parametrize("text", ["2\nverdict: fully", "0\nrules: 品牌 🙂 مرحبا", "", "2", "é" * 50])
def test_every_token_ends_somewhere_in_the_text_it_is_read_from(text) -> None:
    ids = [*TOKENIZER(text)["input_ids"], TOKENIZER.eos_token_id]
    read, ends = read_tokens(ids, TOKENIZER)
    assert read == text and len(ends) == len(ids)
    assert ends == sorted(ends) and ends[-1] == len(text)


def test_a_byte_of_a_character_ends_where_the_character_before_it_does() -> None:
    """An emoji of four byte tokens: three end before it, the fourth behind it."""
    ids = TOKENIZER("a🙂")["input_ids"]
    _, ends = read_tokens(ids, TOKENIZER)
    assert len(ids) == 5 and ends == [1, 1, 1, 1, 2]


def test_rollouts_are_judged_by_their_own_pair() -> None:
    texts = [f"2\nrules: [{RULE}]\nverdict: fully", "1\nverdict: fully", "2", "nonsense"]
    ids = [[*TOKENIZER(text)["input_ids"], TOKENIZER.eos_token_id] for text in texts]
    judged = judge(ids, [Gold(2, {RULE: 2})] * 2 + [Gold(0, {})] * 2, SCALE, TOKENIZER, group_size=2)
    assert judged.rollouts.rewards[:, 0].tolist() == [1, 0, 0, 0]
    assert judged.is_right.tolist() == [[True, False], [False, False]]
    assert judged.verdicts[0, [GRADE, FORMAT, RULES, VERDICT]].tolist() == [1, 1, 1, 1]
    assert judged.verdicts[1, [GRADE, VERDICT]].tolist() == [-1, -1] and isnan(judged.verdicts[1, RULES])
    assert judged.n_missing == {"exact_grade": 0, "valid_citations": 2, "consistent_rationale": 2}
    assert set(judged.rollouts.segments[0].tolist()) == {GRADE, FORMAT, RULES, VERDICT}
    assert judged.rollouts.segments[2, 2:].eq(NOWHERE).all()
    assert next(iter(REWARDS)) == "exact_grade"


def test_a_pair_s_rules_are_those_whose_condition_holds_on_it() -> None:
    from datasets import Dataset

    rows = [snapshot_row(at) for at in range(8)]
    book = [
        {"rule_id": "r_aa00", "text": "all words found", "condition": "title_overlap >= 1", "grade": 2},
        {"rule_id": "r_bb00", "text": "never", "condition": "title_overlap > 1", "grade": 0},
    ]
    golds = golds_of(Dataset.from_list(rows), source_of(book, [row["fields"] for row in rows]))
    assert [gold.grade for gold in golds] == [row["grade"] for row in rows]
    for row, gold in zip(rows, golds, strict=True):
        is_found = set(row["query"].split()) <= set(row["title"].split())
        assert gold.votes == ({"r_aa00": 2} if is_found else {})
    assert any(gold.votes for gold in golds) and not all(gold.votes for gold in golds)
    assert isinstance(SCALE, Scale)
