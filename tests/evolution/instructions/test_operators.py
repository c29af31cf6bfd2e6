"""The model-free forms: what each writes of the errors of a grader that does not look at colours."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from evolution.instructions.boundaries import find_boundary_pairs
from evolution.instructions.operators import (
    add_constraint,
    boundary_exemplars,
    merge,
    sharpen_boundary,
    simplify,
)
from evolution.instructions.sections import Case, Sections, parse_sections
from evolution.instructions.situation import Refusal, Version, Written
from storage.store import Store
from tests.evolution.conftest import SCALE, fill
from tests.evolution.instructions.shop import PLAIN, seen, situation, started

LINES = Sections(PLAIN, ("One.", "Two."), ("Between 1 and 2.",), (Case("red mug", "blue mug", "1, not 2: colour"),))


@pytest.fixture
def shop(store: Store) -> Store:
    fill(store)
    started(store)
    return store


def test_a_constraint_settles_the_cluster_of_another_colour(shop: Store) -> None:
    """All 20 wrong train pairs are the right kind in another colour, graded 2 instead of 1."""
    here = situation(seen(shop))
    assert here.errors.wrong.height == 20
    assert {one.settled_grade for one in here.errors.clusters} == {1}
    written = add_constraint(here)
    assert isinstance(written, Written)
    (line,) = parse_sections(written.text).constraints
    assert line.endswith("and the kind does not conflict, the grade is 1 (partly).")
    assert parse_sections(written.text).guideline == PLAIN
    assert set(written.pair_ids) <= set(here.errors.wrong["pair_id"])


def test_nothing_wrong_is_nothing_to_constrain(shop: Store) -> None:
    written = add_constraint(situation(seen(shop), text="Mind the colour."))
    assert written == Refusal("no train pair is labelled wrongly, so there is nothing to constrain")
    here = situation(seen(shop))
    late = add_constraint(replace(here, attempt=len(here.errors.clusters)))
    assert isinstance(late, Refusal) and "no cluster of wrong pairs is left" in late.reason


def test_a_boundary_is_sharpened_where_grades_are_mixed_up(shop: Store) -> None:
    written = sharpen_boundary(situation(seen(shop)))
    assert isinstance(written, Written)
    (line,) = parse_sections(written.text).boundaries
    assert line.startswith("Between 1 (partly) and 2 (fully): where ") and line.endswith("it is 1, not 2.")
    again = sharpen_boundary(situation(seen(shop), text=written.text))
    assert isinstance(again, Written) and parse_sections(again.text).boundaries[0] == line
    assert len(set(parse_sections(again.text).boundaries)) == 2


def test_exemplars_are_two_alike_pairs_of_adjacent_grades_with_why(shop: Store) -> None:
    ground = seen(shop)
    written = boundary_exemplars(situation(ground))
    assert isinstance(written, Written)
    lower, upper = parse_sections(written.text).cases
    grades = {row["pair_id"]: row["grade"] for row in ground.train.iter_rows(named=True)}
    assert [grades[one] for one in written.pair_ids] == [1, 2]
    assert lower.verdict.startswith("1 (partly), not 2 (fully): ") and "colour differs" in lower.verdict
    assert upper.verdict.endswith(": colour agrees")  # nor does a reason name what both have, or what the upper lacks
    assert upper.verdict.startswith("2 (fully), not 1 (partly): ") and "colour differs" not in upper.verdict
    again = boundary_exemplars(situation(ground, text=written.text))
    assert isinstance(again, Written) and not set(again.pair_ids) & set(written.pair_ids)


def test_boundary_pairs_are_alike_adjacent_wrong_first_and_quotable(shop: Store) -> None:
    ground = seen(shop)
    train = ground.train
    wrong = train.filter(pl.col("grade") == 1).sort("pair_id")["pair_id"][3]
    found = find_boundary_pairs(train, SCALE, said={wrong: 2}, text="", n=50)
    assert found[0].lower["pair_id"] == wrong and found[0].n_mixed_up == 1
    assert all(one.likeness >= 0.7 and one.upper["grade"] - one.lower["grade"] == 1 for one in found)
    kept = found[-1].upper["pair_id"]
    told = train.with_columns(is_forgotten=pl.col("pair_id") == kept)
    first, second = find_boundary_pairs(told, SCALE, said={wrong: 2}, text="", n=50)[:2]
    assert first.lower["pair_id"] == wrong and second.upper["pair_id"] == kept
    roots = [row["root_query_id"] for one in found for row in (one.lower, one.upper)]
    assert max(map(roots.count, roots)) <= 2
    long = train.with_columns(title=pl.col("title") + " x" * 200)
    assert find_boundary_pairs(long, SCALE, said={}, text="", n=5) == []
    blank = train.with_columns(title=pl.lit(" "))
    assert find_boundary_pairs(blank, SCALE, said={}, text="", n=5) == []


def test_merging_takes_over_what_the_other_has_and_once(shop: Store) -> None:
    here = situation(seen(shop), text=replace(LINES, constraints=("One.",), cases=()).render())
    written = merge(replace(here, other=Version(LINES.render(), 2)))
    assert isinstance(written, Written) and parse_sections(written.text) == LINES
    assert isinstance(merge(replace(here, other=here.parent)), Refusal)
    assert isinstance(merge(here), Refusal)


def test_simplifying_leaves_out_repetition_first_and_then_one_thing_at_a_time(shop: Store) -> None:
    here = situation(seen(shop), text=replace(LINES, constraints=("One.", "Two.", "one")).render())
    left = [simplify(replace(here, attempt=attempt)) for attempt in range(7)]
    kept = [parse_sections(one.text) for one in left if isinstance(one, Written)]
    assert kept[0] == LINES
    assert [one.constraints for one in kept[1:4]] == [("Two.", "one"), ("One.", "one"), ("One.", "Two.")]
    assert (kept[4].boundaries, kept[5].cases) == ((), ())
    assert isinstance(left[6], Refusal)
    assert isinstance(simplify(situation(seen(shop))), Refusal)  # the experts' own words stay
