import pytest

from trainers.objectives.preference_pairs import Edit, PairOrigin, PreferencePair, Sample, edit_pairs, preference_pairs

SAMPLES = [
    Sample("2\nplain", 2, 0.5),
    Sample("2\ngood", 2, 0.9),
    Sample("1\nonce", 1, 0.9),
    Sample("3\ntwice", 3, 0.1),
    Sample("3\ntwice", 3, 0.1),
    Sample("nonsense", None, 0.0),
]


def test_own_right_over_own_wrong_the_best_over_the_commonest() -> None:
    assert preference_pairs("q", SAMPLES, grade=2, expert="2\nexpert") == [
        PreferencePair("q", "2\ngood", "3\ntwice", PairOrigin.OWN)
    ]
    rejected = [pair.rejected for pair in preference_pairs("q", SAMPLES, grade=2, expert=None, n_most=9)]
    assert rejected == ["3\ntwice", "1\nonce", "nonsense"]


def test_the_expert_s_answer_where_no_own_one_is_right() -> None:
    (pair,) = preference_pairs("q", SAMPLES, grade=0, expert="0\nexpert")
    assert (pair.chosen, pair.rejected, pair.origin) == ("0\nexpert", "3\ntwice", PairOrigin.EXPERT)
    assert preference_pairs("q", SAMPLES, grade=0, expert=None) == []


def test_nothing_wrong_gives_no_pair() -> None:
    assert preference_pairs("q", SAMPLES[:2], grade=2, expert="2\nexpert") == []
    assert preference_pairs("q", [], grade=2, expert="2\nexpert") == []


@pytest.mark.parametrize("shift", range(1, 6))
def test_the_order_of_the_samples_does_not_matter(shift) -> None:
    turned = SAMPLES[shift:] + SAMPLES[:shift]
    assert preference_pairs("q", turned, grade=2, expert=None, n_most=9) == preference_pairs(
        "q", SAMPLES, grade=2, expert=None, n_most=9
    )


def test_an_edit_is_a_pair_once_and_an_idle_one_is_none() -> None:
    edits = [Edit("q", "1\na", "2\nb"), Edit("q", "1\na", "2\nb"), Edit("q", "1\na", "1\na")]
    assert edit_pairs(edits) == [PreferencePair("q", "2\nb", "1\na", PairOrigin.EDIT)]
