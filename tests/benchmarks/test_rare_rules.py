"""The shop scaled up is the bundled shop: its rules decide, rare ones are rare, and what is held back is held back."""

import itertools

import pytest

from benchmarks.rare_rules.pairs import GRADES, HEADS, RARE, count_of_each, draw_pairs, rare_shares, rule_id
from curation.completion import CITATION
from samples.homeware.truth import RULES

WANTED = {"plain_type": 10, "material_differs": 10, "another_wood": 4, "navy_is_blue": 3}


@pytest.fixture(scope="module")
def drawn():
    return draw_pairs(WANTED, seed=3)


def test_every_rule_has_the_pairs_that_were_asked_for_and_no_pair_comes_twice(drawn) -> None:
    assert {rule: len(pairs) for rule, pairs in drawn.items()} == WANTED
    pairs = list(itertools.chain.from_iterable(drawn.values()))
    assert len({(pair.query, pair.title) for pair in pairs}) == sum(WANTED.values())
    assert all(pair.rule == rule for rule, held in drawn.items() for pair in held)


def test_a_rare_rule_overrides_the_head_that_holds_and_a_head_overrides_none(drawn) -> None:
    for pair in itertools.chain.from_iterable(drawn.values()):
        assert pair.grade == RULES[pair.rule].grade
        if pair.rule in RARE:
            assert pair.usual in RULES[pair.rule].overrides
        else:
            assert pair.usual == pair.rule


def test_the_fields_say_why(drawn) -> None:
    """Another wood: the doc is of a wood the query does not name. A wood in Chinese is a wood too."""
    woods = {"oak", "walnut", "acacia", "bamboo", "beech", "橡木", "胡桃木", "相思木", "竹", "榉木"}
    for pair in drawn["another_wood"]:
        assert any(wood in pair.fields["material"] for wood in woods)
        assert pair.fields["material"] not in pair.query


def test_the_same_seed_draws_the_same_and_another_another(drawn) -> None:
    assert draw_pairs(WANTED, seed=3) == drawn
    assert draw_pairs(WANTED, seed=4) != drawn


def test_what_the_shop_cannot_have_is_refused_with_the_count(monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.rare_rules.pairs.MAX_TURNS", 1)
    with pytest.raises(ValueError, match=r"'metal_in_microwave': '\d+ of 500'"):
        draw_pairs({"metal_in_microwave": 500}, seed=0)


def test_a_hundredth_under_rare_rules_is_a_hundredth() -> None:
    """10,000 pairs: 9,900 over twenty heads are 495 each; the first of the rare has 7.0 times what the last has."""
    counts = count_of_each(10_000, 0.01)
    assert {counts[head] for head in HEADS} == {495}
    assert 90 <= sum(counts[rule] for rule in RARE) <= 110
    assert rare_shares()[0] / rare_shares()[-1] == pytest.approx(69 / 10)
    assert min(counts[rule] for rule in RARE) == 1
    assert not any(count_of_each(1000, 0.0)[rule] for rule in RARE)


def test_a_rule_is_cited_by_an_id_of_its_own() -> None:
    ids = {rule_id(rule) for rule in GRADES}
    assert len(ids) == 80
    assert all(CITATION.findall(f"[{one}]") == [one] for one in ids)
