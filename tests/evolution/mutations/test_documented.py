"""The page on mutations says of every operator what its declaration says."""

from __future__ import annotations

from pathlib import Path

from evolution.mutations import OPERATORS, say_effect

PAGE = Path(__file__).resolve().parents[3] / "docs" / "mutations.md"


def test_the_page_lists_every_operator_with_its_claim_and_effects() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    listed = [line for line in lines if line.startswith("| `")]
    assert listed == [
        f"| `{one.name}` | {one.side} | {one.claim} | {', '.join(say_effect(effect, None) for effect in one.effects)} |"
        for one in OPERATORS.values()
    ]
