"""Curves of a run: read while they are written, thinned without losing the last point, alarms where they rang."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from storage.errors import UserError
from storage.training.run_curves import Curve, read_curves, read_held_back
from storage.training.run_record import read_lines, read_numbers, read_record


def change(name: str, after: float, *, kind: str = "rule", is_alarm: bool = False) -> dict[str, Any]:
    return {"kind": kind, "name": name, "n": 8, "before": 0.75, "after": after, "p": 0.01, "is_alarm": is_alarm}


def test_metrics_become_curves_without_what_is_no_number(tmp_path: Path) -> None:
    lines = [
        '{"step": 5, "loss": 2.5, "rows": "3dc3", "kl": NaN}',
        '{"step": 10, "loss": 1, "kl": 0.5}',
        '{"step": 15, "l',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_curves(tmp_path) == {"loss": Curve("loss", (5, 10), (2.5, 1.0)), "kl": Curve("kl", (10,), (0.5,))}


def test_a_line_that_is_added_is_read_at_the_next_look(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_curves(tmp_path) == {}
    path.write_text('{"step": 1, "loss": 3}\n')
    assert read_curves(tmp_path)["loss"].steps == (1,)
    with path.open("a") as file:
        file.write('{"step": 2, "loss": 2}\n')
    assert read_curves(tmp_path)["loss"].steps == (1, 2)


def test_a_thinned_curve_keeps_its_last_point_and_its_spacing() -> None:
    """Ten points to at most four: every third, counted from the last."""
    curve = Curve("loss", tuple(range(10)), tuple(float(n) for n in range(10)))
    assert curve.thinned(4).steps == (0, 3, 6, 9)
    assert curve.thinned(10) is curve
    assert Curve("loss", (), ()).thinned(4).steps == ()


def test_recall_is_told_by_slice_from_the_start_with_where_the_alarm_rang(tmp_path: Path) -> None:
    tier_1 = change("1", 0.75, kind="tier")
    points = [
        {"step": 0, "n": 40, "reward": 0.5, "changes": [change("r_1", 0.75), tier_1]},
        {"step": 25, "n": 40, "reward": 0.6, "changes": [change("r_1", 0.25, is_alarm=True), tier_1]},
        {"step": 50, "n": 40, "reward": 0.7, "changes": [change("r_1", 0.5), change("", 2.5, kind="traces")]},
    ]
    lines = [json.dumps(point) + "\n" for point in points]
    (tmp_path / "forgetting.jsonl").write_text("".join(lines))
    held = read_held_back(tmp_path)
    assert held is not None
    assert (held.n, held.reward.values) == (40, (0.5, 0.6, 0.7))
    rule, tier = held.slices
    assert (rule.kind, rule.name, rule.n, rule.start, rule.last) == ("rule", "r_1", 8, 0.75, 0.5)
    assert (rule.curve.steps, rule.alarm_steps, rule.is_forgotten) == ((0, 25, 50), (25,), False)
    assert (tier.kind, tier.alarm_steps) == ("tier", ())
    (tmp_path / "forgetting.jsonl").write_text("".join(lines[:2]))
    held = read_held_back(tmp_path)
    assert held is not None and held.slices[0].is_forgotten


def test_a_run_that_measures_nothing_has_no_held_back_pairs(tmp_path: Path) -> None:
    assert read_held_back(tmp_path) is None
    (tmp_path / "forgetting.jsonl").write_bytes(b"")
    assert read_held_back(tmp_path) is None


@pytest.mark.parametrize("line", [b"\x00\xff\n", b"[1]\n", b"[" * 100_000 + b"\n"])
def test_a_line_that_is_no_object_is_told_with_its_place(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "loss": 3}\n' + line)
    with pytest.raises(UserError, match=r"metrics\.jsonl line 2 is no JSON object"):
        read_lines(path)


def test_points_of_another_shape_are_told(tmp_path: Path) -> None:
    (tmp_path / "forgetting.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(UserError, match="no record of held-back pairs"):
        read_held_back(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"digest": 1'])
def test_a_record_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"is no run of afrel"):
        read_record(tmp_path)


def test_of_a_progress_file_only_numbers_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    assert read_numbers(path) == {}
    path.write_text('{"done": 3, "at": "2026-01-01", "is_last": true, "loss": 0.5}')
    assert read_numbers(path) == {"done": 3, "loss": 0.5}
    path.write_text("[3]")
    assert read_numbers(path) == {}
    os.truncate(path, 0)
    assert read_numbers(path) == {}
