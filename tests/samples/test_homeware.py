"""The bundled sample is what its README says: counted here from the files alone, with our own arithmetic."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import cohen_kappa_score

from samples.homeware.generate import DATA_DIR, build_sample, render
from samples.homeware.intents import ask
from samples.homeware.kinds import FIELDS
from samples.homeware.reviewers import linear_kappa
from samples.homeware.rules import FREQUENT_RULES, measure
from samples.homeware.truth import RULES

FREQUENT_IDS = {rule.rule_id for rule in FREQUENT_RULES}
RARE_IDS = set(RULES) - FREQUENT_IDS


def csv_rows(name: str) -> list[dict[str, str]]:
    with (DATA_DIR / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def json_rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA_DIR / name).read_text(encoding="utf-8").splitlines()]


def pair_key(row: dict[str, Any]) -> tuple[str, str]:
    return row["query_id"], row["doc_id"]


@pytest.fixture(scope="module")
def truth() -> dict[tuple[str, str], dict[str, str]]:
    return {pair_key(row): row for row in csv_rows("truth.csv")}


@pytest.fixture(scope="module")
def grades(truth: dict[tuple[str, str], dict[str, str]]) -> dict[tuple[str, str], int]:
    return {pair: int(row["true_grade"]) for pair, row in truth.items()}


@pytest.fixture(scope="module")
def responses() -> list[dict[str, Any]]:
    return json_rows("responses.jsonl")


def test_generating_again_gives_the_committed_bytes(tmp_path: Path) -> None:
    for name, text in render(build_sample()).items():
        (tmp_path / name).write_bytes(text.encode("utf-8"))
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == sorted(path.name for path in DATA_DIR.iterdir())
    assert [name for name in written if (tmp_path / name).read_bytes() != (DATA_DIR / name).read_bytes()] == []


def test_the_files_hold_the_promised_numbers_of_rows() -> None:
    pairs, docs = csv_rows("pairs.csv"), json_rows("docs.jsonl")
    assert (len(docs), len(pairs), len({row["query_id"] for row in pairs})) == (1500, 3000, 200)
    assert len({pair_key(row) for row in pairs}) == 3000
    assert {row["doc_id"] for row in pairs} <= {doc["doc_id"] for doc in docs}
    assert sum(path.stat().st_size for path in DATA_DIR.iterdir()) < 2_000_000


def test_every_doc_states_only_known_fields_and_a_tenth_are_chinese() -> None:
    docs = json_rows("docs.jsonl")
    for doc in docs:
        fields = doc.keys() - {"doc_id", "title", "body"}
        assert {"brand", "category", "type"} <= fields <= set(FIELDS)
        assert all(isinstance(value, str) and value for value in doc.values())
    n_chinese = sum(any("\u4e00" <= character <= "\u9fff" for character in doc["title"]) for doc in docs)
    assert 0.08 <= n_chinese / len(docs) <= 0.13
    assert len({doc["title"] for doc in docs}) == len(docs)


def test_no_query_is_in_two_splits_and_test_is_a_fifth() -> None:
    splits = defaultdict(set)
    texts = defaultdict(set)
    for row in csv_rows("pairs.csv"):
        splits[row["query_id"]].add(row["split"])
        texts[row["query"]].add(row["query_id"])
    assert all(len(own) == 1 for own in splits.values())
    assert all(len(own) == 1 for own in texts.values())
    n_pairs = Counter(row["split"] for row in csv_rows("pairs.csv"))
    assert n_pairs.keys() == {"train", "dev", "test"}
    assert 540 <= n_pairs["test"] <= 660
    assert 240 <= n_pairs["dev"] <= 360


def test_every_grade_has_an_eighth_of_the_pairs(grades: dict[tuple[str, str], int]) -> None:
    counts = Counter(grades.values())
    assert counts.keys() == {0, 1, 2, 3}
    assert min(counts.values()) >= 0.12 * len(grades)


def test_every_rule_decides_and_rare_ones_are_rare(truth: dict[tuple[str, str], dict[str, str]]) -> None:
    counts = Counter(row["deciding_rule_id"] for row in truth.values())
    assert (len(FREQUENT_IDS), len(RARE_IDS)) == (20, 60)
    assert counts.keys() - {""} == FREQUENT_IDS | RARE_IDS
    assert min(counts[rule_id] for rule_id in FREQUENT_IDS) >= 30
    assert all(3 <= counts[rule_id] < 30 for rule_id in RARE_IDS)


def test_every_rule_is_seen_in_training_and_rare_ones_in_two_queries(
    truth: dict[tuple[str, str], dict[str, str]],
) -> None:
    splits = {pair_key(row): row["split"] for row in csv_rows("pairs.csv")}
    queries, trained = defaultdict(set), Counter[str]()
    for pair, row in truth.items():
        queries[row["deciding_rule_id"]].add(pair[0])
        if splits[pair] == "train":
            trained[row["deciding_rule_id"]] += 1
    assert trained.keys() >= set(RULES)
    assert max(trained[rule_id] for rule_id in RARE_IDS) < 0.01 * trained.total()
    assert min(len(queries[rule_id]) for rule_id in RARE_IDS) >= 2


def test_a_rules_grade_is_the_pairs_grade(truth: dict[tuple[str, str], dict[str, str]]) -> None:
    decided = [row for row in truth.values() if row["deciding_rule_id"]]
    assert all(RULES[row["deciding_rule_id"]].grade == int(row["true_grade"]) for row in decided)


def test_a_rare_rule_overrides_known_rules_with_another_grade() -> None:
    for rule_id in RARE_IDS:
        overridden = RULES[rule_id].overrides
        assert overridden
        assert set(overridden) <= FREQUENT_IDS
        assert any(RULES[other].grade != RULES[rule_id].grade for other in overridden)


def test_eight_percent_are_decided_by_no_rule(truth: dict[tuple[str, str], dict[str, str]]) -> None:
    n_undecided = sum(not row["deciding_rule_id"] for row in truth.values())
    assert 0.07 <= n_undecided / len(truth) <= 0.09


def test_the_earlier_round_is_whole_queries_of_every_split_with_a_little_noise(
    grades: dict[tuple[str, str], int],
) -> None:
    seed, pairs = csv_rows("seed.csv"), csv_rows("pairs.csv")
    judged = {row["query_id"] for row in seed}
    assert 900 <= len(seed) <= 1100
    assert {pair_key(row) for row in seed} == {pair_key(row) for row in pairs if row["query_id"] in judged}
    assert {row["split"] for row in seed} == {"train", "dev", "test"}
    off = [abs(int(row["grade"]) - grades[pair_key(row)]) for row in seed]
    assert set(off) == {0, 1}
    assert 0.03 <= sum(off) / len(off) <= 0.07


def test_every_pair_is_answered_once_and_a_fifth_by_all_three(responses: list[dict[str, Any]]) -> None:
    by_pair = defaultdict(list)
    for row in responses:
        by_pair[pair_key(row)].append(row["reviewer"])
    n_answers = Counter(len(own) for own in by_pair.values())
    assert n_answers == {1: 2400, 3: 600}
    assert all(len(set(own)) == len(own) for own in by_pair.values())
    for reviewer in ("ana", "bo", "chen"):
        own = [row["sequence"] for row in responses if row["reviewer"] == reviewer]
        assert sorted(own) == list(range(1, 1401))


@pytest.mark.parametrize(("reviewer", "kappa"), [("ana", 0.60), ("bo", 0.70), ("chen", 0.80)])
def test_a_reviewers_linear_kappa_is_as_declared(
    reviewer: str, kappa: float, responses: list[dict[str, Any]], grades: dict[tuple[str, str], int]
) -> None:
    own = [row for row in responses if row["reviewer"] == reviewer and "grade" in row]
    given, true = [row["grade"] for row in own], [grades[pair_key(row)] for row in own]
    assert cohen_kappa_score(given, true, weights="linear") == pytest.approx(kappa, abs=0.04)
    errors = Counter(abs(a - b) for a, b in zip(given, true, strict=True) if a != b)
    assert errors[1] > 0.6 * errors.total()


def test_our_kappa_is_the_textbook_one() -> None:
    # Observed disagreement 1/4. Rates (1/2, 1/2, 0, 0) against (1/2, 1/4, 1/4, 0): by chance
    # 1/2*1/4*1 + 1/2*1/4*2 + 1/2*1/2*1 + 1/2*1/4*1 = 3/4, so kappa = 1 - (1/4)/(3/4) = 2/3.
    assert linear_kappa([0, 0, 1, 1], [0, 0, 1, 2]) == pytest.approx(2 / 3)


def test_errors_are_likelier_in_the_middle_of_the_scale(
    responses: list[dict[str, Any]], grades: dict[tuple[str, str], int]
) -> None:
    wrong, n = Counter[bool](), Counter[bool]()
    for row in responses:
        if "grade" in row:
            is_middle = grades[pair_key(row)] in (1, 2)
            n[is_middle] += 1
            wrong[is_middle] += row["grade"] != grades[pair_key(row)]
    assert wrong[True] / n[True] > 1.3 * wrong[False] / n[False]


def test_one_reviewer_has_one_careless_sitting(responses: list[dict[str, Any]]) -> None:
    hasty = [row for row in responses if row["seconds"] < 2]
    assert {row["reviewer"] for row in hasty} == {"ana"}
    sequence = sorted(row["sequence"] for row in hasty)
    assert sequence == list(range(sequence[0], sequence[0] + 80))
    assert Counter(row["grade"] for row in hasty if "grade" in row).most_common(1)[0][1] >= 0.8 * 80


def test_two_percent_give_no_grade(responses: list[dict[str, Any]]) -> None:
    acts = Counter(row["act"] for row in responses if "grade" not in row)
    assert acts.keys() == {"cannot_tell", "discarded"}
    assert 0.01 <= acts.total() / len(responses) <= 0.03
    assert all(row["reason"] for row in responses if row.get("act") == "discarded")


def test_the_adjudicator_rules_on_exactly_what_is_open(
    responses: list[dict[str, Any]], grades: dict[tuple[str, str], int]
) -> None:
    given = defaultdict(list)
    for row in responses:
        given[pair_key(row)].append(row.get("grade"))
    expected = {
        pair
        for pair, own in given.items()
        if None in own or len(set(own)) > 1 or (len(own) == 1 and abs(own[0] - grades[pair]) >= 2)
    }
    rulings = json_rows("adjudications.jsonl")
    assert len(rulings) == len(expected)
    assert {pair_key(row) for row in rulings} == expected
    assert all(row["reason"] for row in rulings)
    true = [grades[pair_key(row)] for row in rulings]
    assert cohen_kappa_score([row["grade"] for row in rulings], true, weights="linear") == pytest.approx(0.90, abs=0.04)


def test_measures_compare_across_units() -> None:
    assert measure("1.5 l") == measure("1500 ml") == 1500.0
    assert measure("120 x 170") == 170.0
    assert measure("1 kg") > measure("500 g")


def test_a_query_knows_its_language_and_what_it_refuses() -> None:
    query = ask("浴巾 不要白色", "bath towel", no="colour=white")
    assert query.is_chinese
    assert query.refuses == {"colour": "white"}
    assert query.category == "bathroom"
