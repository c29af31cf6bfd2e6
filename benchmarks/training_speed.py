"""What our trainers cost beside TRL's own, what one token saves beside a rationale, what a shared query saves.

    python benchmarks/training_speed.py [--rounds 3] [--steps 6] [--only sft,dpo,grpo,scoring,sharing] [--json FILE]
        [--profile sft|dpo|grpo] [--quick]

`train sft`, `dpo` and `grpo` and plain TRL trainers at the same configuration take turns in one process, round by
round; a round's figure is the median of its steps, a ratio is that of two figures of one round (`step_speed/`). Printed
are the median over rounds and the least and most. On a CPU one thread, a tiny model and processor time, which a busy
machine blurs less; where a GPU is present the same on it by the clock, with some 67 million weights. Target: no more
than 10% over TRL.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from datasets import disable_progress_bars  # noqa: E402

from benchmarks.latency import Report, machine, machine_line  # noqa: E402
from benchmarks.step_speed.material import LARGE, QUICK, SMALL, Material, make_material  # noqa: E402
from benchmarks.step_speed.scoring import (  # noqa: E402
    NEVER,
    QUERY_WORDS,
    of_one_query,
    one_token,
    seconds_of,
    whole_completion,
)
from benchmarks.step_speed.trainings import TRAININGS  # noqa: E402
from trainers.models.pretrained import quieten_libraries  # noqa: E402

PARTS = (*TRAININGS, "scoring", "sharing")


def main() -> None:
    """Measure what was asked for and report it."""
    arguments = _arguments()
    quieten_libraries()
    disable_progress_bars()
    torch.set_num_threads(1)
    is_gpu = torch.cuda.is_available()
    report = Report("training_speed")
    with tempfile.TemporaryDirectory() as folder:
        report.put("machine", **machine(Path(folder)))
        report.say(machine_line(report.figures["machine"]))
        size = QUICK if arguments.quick else LARGE if is_gpu else SMALL
        material = make_material(size, "cuda" if is_gpu else "cpu", Path(folder))
        device = torch.cuda.get_device_name() if is_gpu else "CPU, one thread"
        report.put("model", weights=material.n_weights, device=device, rows=len(material.prompts))
        report.say(f"{material.n_weights / 1e6:.1f} million weights on {device}")
        if arguments.profile:
            profile(material, arguments.profile, arguments.steps)
            return
        for part in arguments.only.split(","):
            if part in TRAININGS:
                measure_training(report, material, part, rounds=arguments.rounds, steps=arguments.steps)
            elif part == "scoring":
                measure_scoring(report, material, rounds=arguments.rounds)
            else:
                measure_sharing(report, material, rounds=arguments.rounds)
    report.write(arguments.json)
    sys.exit(bool(report.missed) and not arguments.quick)


def measure_training(report: Report, material: Material, method: str, *, rounds: int, steps: int) -> None:
    """Time the arms of a method in turns."""
    arms = TRAININGS[method]
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    tokens: dict[str, float] = {}
    for turn in range(rounds):
        for name in _turned(list(arms), turn):
            taken, tokens[name] = arms[name](material, steps)
            seconds[name].append(median(taken))
    report.say(f"\ntrain {method}, {rounds} rounds of {steps} steps")
    plain = seconds["TRL"]
    for name, each in seconds.items():
        ratios = _ratios(each, plain)
        report.put(
            f"{method}: {name}", seconds=each, ratios=ratios, tokens_per_step=tokens[name],
            tokens_per_second=tokens[name] / median(each),
        )  # fmt: skip
        over = "" if name == "TRL" else f", {_spread(ratios)} times TRL"
        report.say(f"  {name}: {median(each) * 1000:.0f} ms a step, {tokens[name] / median(each):,.0f} tokens/s{over}")
    ratio = median(_ratios(seconds["ours"], plain))
    report.hold(f"{method}, ours over TRL, in percent", (ratio - 1) * 100, target=10, at_most=True, unit="%")


def measure_scoring(report: Report, material: Material, *, rounds: int) -> None:
    """Time one token and a whole completion in turns."""
    acts = {"one token": one_token(material), "grade and rationale": whole_completion(material)}
    seconds = _in_turns(acts, rounds)
    ratios = _ratios(seconds["grade and rationale"], seconds["one token"])
    n = material.scale.n_scored
    report.put("scoring", docs=n, **seconds, ratios=ratios)
    report.say(f"\nscoring {n} docs")
    for name, each in seconds.items():
        report.say(f"  {name}: {n / median(each):,.0f} docs/s")
    report.say(f"  a rationale takes {_spread(ratios)} times as long")


def measure_sharing(report: Report, material: Material, *, rounds: int) -> None:
    """Time docs of one query with and without its beginning read once, for queries of several lengths."""
    report.say("\n100 docs of one query")
    for name, n_words in QUERY_WORDS.items():
        score, saved = of_one_query(material, n_words)
        acts = {"apart": _given(score, NEVER), "shared": _given(score, 0.0)}
        seconds = _in_turns(acts, rounds)
        ratios = _ratios(seconds["shared"], seconds["apart"])
        report.put(f"sharing: {name}", saved_tokens=saved, **seconds, ratios=ratios)
        report.say(f"  {name}: sharing saves {saved:.0%} of the tokens and takes {_spread(ratios)} times as long")


def _given(act: Callable[[float], Any], value: float) -> Callable[[], Any]:
    return lambda: act(value)


def _in_turns(acts: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for act in acts.values():
        act()  # to warm up
    for turn in range(rounds):
        for name in _turned(list(acts), turn):
            seconds[name].append(seconds_of(acts[name]))
    return seconds


def _turned(names: Sequence[str], turn: int) -> Sequence[str]:
    """Return the names in this round's order: every second round begins at the other end."""
    return names[::-1] if turn % 2 else names


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(above, below, strict=True)]


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def profile(material: Material, method: str, steps: int) -> None:
    """Print where our trainer's time goes that TRL's does not have: functions of ours, the dearest first."""
    profiler = cProfile.Profile(time.process_time)
    profiler.enable()
    TRAININGS[method]["ours"](material, steps)
    profiler.disable()
    found = pstats.Stats(profiler, stream=sys.stdout)
    found.sort_stats("cumulative").print_stats(r"/(trainers|curation|storage)/", 25)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="of each arm a round; the first is not timed")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", choices=list(TRAININGS), help="say where a trainer's time goes, time nothing")
    parser.add_argument("--quick", action="store_true", help="small enough to show that it runs; targets do not count")
    return parser.parse_args()


if __name__ == "__main__":
    main()
