import re

import pytest

from storage.training.run_curves import Curve
from trainers.evaluation.calibration import Bin
from trainers.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Mark,
    confusion_table,
    curve_chart,
    interval_bar,
    recall_chart,
    reliability_chart,
    shade,
    short,
    spread,
    ticks_between,
)


def test_ticks_are_round_and_hold_the_range_between_them() -> None:
    assert ticks_between(0, 1) == [0, 0.5, 1]
    assert ticks_between(0.31, 2.9) == [0, 1, 2, 3]
    assert ticks_between(-0.02, 0.03) == [-0.02, 0, 0.02, 0.04]
    assert ticks_between(1e-6, 5e-6) == [0, 2e-6, 4e-6, 6e-6]


def test_a_curve_runs_from_corner_to_corner_of_its_frame() -> None:
    """From step 0 at the lowest tick to step 10 at the highest: the lower left corner to the upper right."""
    drawn = curve_chart(Curve("loss", (0, 5, 10), (0.0, 1.0, 2.0)))
    (points,) = re.findall(r'points="([^"]+)"', drawn)
    first, middle, last = (tuple(map(float, one.split(","))) for one in points.split(" "))
    assert first == (LEFT, HEIGHT - BOTTOM) and last == (WIDTH - RIGHT, TOP)
    assert middle == (pytest.approx((LEFT + WIDTH - RIGHT) / 2), pytest.approx((TOP + HEIGHT - BOTTOM) / 2))
    assert "loss: 0 → 2" in drawn


def test_one_point_and_a_flat_curve_can_be_drawn() -> None:
    assert "<circle" in curve_chart(Curve("loss", (3,), (0.5,)))
    assert "NaN" not in curve_chart(Curve("loss", (1, 2), (0.0, 0.0)))
    assert "inf" not in curve_chart(Curve("loss", (1, 2), (1e-300, 1e300)))


def test_alarms_are_marked_with_what_rang() -> None:
    drawn = curve_chart(Curve("reward", (0, 10), (0.0, 1.0)), marks=[Mark(5, "alarm: rule <r>", is_alarm=True)])
    assert "▲" in drawn and "alarm: rule &lt;r&gt;" in drawn and "<r>" not in drawn


def test_only_what_stands_out_is_named_among_many_rules() -> None:
    lost, kept = Curve("r_lost", (0, 1), (1.0, 0.0)), Curve("r_kept", (0, 1), (1.0, 1.0))
    drawn = recall_chart([(lost, True), (kept, False)], "recall")
    labels = re.findall(r'<text[^>]*class="label[^"]*"[^>]*>([^<]+)', drawn)
    assert labels == ["r_lost"]


def test_labels_are_moved_apart_and_no_farther() -> None:
    assert spread([10, 12, 40], 12) == [10, 22, 40]
    assert spread([12, 10], 12) == [22, 10]
    assert spread([], 12) == []


def test_shades_go_with_shares_and_nothing_has_none() -> None:
    assert [shade(n, 10) for n in (0, 1, 5, 10)] == [0, 1, 3, 5]
    assert shade(0, 0) == 0
    table = confusion_table([[3, 1], [0, 0]], ["0 bad", "1 good"])
    assert "75%" in table and 'class="shade4"' in table and table.count("<tr>") == 3


def test_a_reliability_dot_lies_on_the_diagonal_where_a_model_knows_itself() -> None:
    drawn = reliability_chart([Bin(0.5, 0.6, 4, 0.5, 0.5), Bin(0.9, 1.0, 0, None, None)])
    ((x, y),) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', drawn)
    assert float(x) + float(y) == pytest.approx(240)  # half way across and half way up a square
    assert "n 4" in drawn


def test_numbers_are_short_and_an_interval_is_as_wide_as_it_is() -> None:
    assert [short(one) for one in (3.0, 0.12345, 1e-6, 1234567.0)] == ["3", "0.123", "1e-06", "1.23e+06"]
    drawn = interval_bar(0.5, 0.0, 1.0, "r")
    assert 'x1="2.0" y1="7" x2="118.0"' in drawn and 'cx="60.0"' in drawn
