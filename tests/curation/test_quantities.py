from __future__ import annotations

import pytest

from curation.quantities import (
    Limit,
    Quantity,
    compare_quantities,
    field_quantity,
    find_quantities,
    without_limits,
)
from curation.text import normalise


def only(text: str) -> Quantity:
    (quantity,) = find_quantities(normalise(text))
    return quantity


def verdict(query: str, doc: str) -> tuple[int, int]:
    counts = compare_quantities(find_quantities(normalise(query)), find_quantities(normalise(doc)))
    return counts.n_matches, counts.n_conflicts


@pytest.mark.parametrize(
    ("text", "value", "dimension"),
    [
        ("2m", 2000.0, "length"),
        ("228 cm", 2280.0, "length"),
        ("10 inch", 254.0, "length"),
        ("24in", 609.6, "length"),
        ("1.5kg", 1500.0, "mass"),
        ("3斤", 1500.0, "mass"),
        ("500ml", 500.0, "volume"),
        ("2厘米", 20.0, "length"),
        ("$1,200", 1200.0, "money $"),
        ("300元", 300.0, "money ¥"),
        ("2019年", 2019.0, "year"),
        ("2019", 2019.0, "year"),
    ],
)
def test_a_unit_is_reduced_to_its_dimension(text: str, value: float, dimension: str) -> None:
    assert only(text).dimension == dimension
    assert only(text).value == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("under 2m", Limit.AT_MOST),
        ("<2m", Limit.AT_MOST),
        ("不超过2米", Limit.AT_MOST),
        ("2米以下", Limit.AT_MOST),
        ("no more than 2m", Limit.AT_MOST),
        ("more than 2m", Limit.AT_LEAST),
        ("2米以上", Limit.AT_LEAST),
        ("at least 2m", Limit.AT_LEAST),
        ("2m", Limit.EXACT),
        ("thunder 2m", Limit.EXACT),
    ],
)
def test_a_limit_is_read(text: str, limit: Limit) -> None:
    assert only(text).limit is limit


@pytest.mark.parametrize("text", ["3 in 1", "3年级", "4 mirrors"])
def test_a_number_without_a_unit_stays_bare(text: str) -> None:
    assert find_quantities(text)[0].dimension is None


def test_a_unit_written_once_serves_all_its_numbers() -> None:
    assert [quantity.value for quantity in find_quantities("120 x 60 cm")] == [1200.0, 600.0]


@pytest.mark.parametrize(
    ("query", "doc", "expected"),
    [
        ("sofa 2m", "sofa 200 cm", (1, 0)),
        ("sofa 2m", "sofa 228 cm", (0, 1)),
        ("sofa 6ft", "sofa 183cm", (1, 0)),
        ("sofa 2m", "sofa 20kg", (0, 0)),
        ("sofa under 2m", "sofa 228 cm wide, 80 cm high", (0, 1)),
        ("sofa under 2m", "sofa 190 cm wide, 80 cm high", (1, 0)),
        ("over 2m", "228 cm x 80 cm", (1, 0)),
        ("over 2m", "90 cm x 80 cm", (0, 1)),
        ("iphone 12", "iphone 13", (0, 1)),
        ("iphone 12", "case for iphone 12 and iphone 13", (1, 0)),
        ("iphone 12", "13 cases", (0, 0)),
        ("第3集", "第4集", (0, 1)),
        ("2019年高考", "2018高考", (0, 1)),
        ("lamp", "lamp 40w", (0, 0)),
        ("2m 3kg", "2m 4kg", (1, 1)),
    ],
)
def test_a_number_conflicts_only_within_its_dimension(query: str, doc: str, expected: tuple[int, int]) -> None:
    assert verdict(query, doc) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("width_cm", "228", Quantity(2280.0, "length")),
        ("Weight_KG", " 1.5 ", Quantity(1500.0, "mass")),
        ("width", "228", None),
        ("width_cm", "about 228", None),
        ("m", "3", None),
    ],
)
def test_a_field_may_carry_its_unit_in_its_name(name: str, value: str, expected: Quantity | None) -> None:
    assert field_quantity(name, value) == expected


def test_the_words_of_a_limit_ask_for_nothing() -> None:
    assert without_limits("sofa under 2m").split() == ["sofa", "2m"]
    assert without_limits("under the sea") == "under the sea"
