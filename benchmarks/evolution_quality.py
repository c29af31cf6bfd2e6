"""What evolution is worth: `rules` against planted rules and real judgments, `funnel` where planted rules are lost,
`mutations` against true effects, `instructions` against a labeller whose every word is known.

    AFREL_DATA=/path/to/judgements python benchmarks/evolution_quality.py rules
    AFREL_DATA=/path/to/judgements python benchmarks/evolution_quality.py mutations --train

What follows the part's name is the part's own: `python benchmarks/evolution_quality.py mutations --help`. Without a
name, all parts run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import instruction_quality, mutation_quality, rule_funnel, rule_quality

PARTS: dict[str, Callable[[], None]] = {
    "rules": rule_quality.main,
    "funnel": rule_funnel.main,
    "mutations": mutation_quality.main,
    "instructions": instruction_quality.main,
}


def main() -> None:
    """Run the named part with the rest of the words, or every part."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name and name not in PARTS:
        sys.exit(f"name a part or none: {', '.join(PARTS)}\n\n{__doc__}")
    del sys.argv[1:2]
    for part, run in PARTS.items():
        if name in ("", part):
            run()


if __name__ == "__main__":
    main()
