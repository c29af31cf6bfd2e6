"""Mode collapse by the product's own trainers: `train sft`, then `train grpo`, on the bundled shop scaled up.

    python benchmarks/mode_collapse_trained.py [--out FOLDER] [--arms "λ = 0;…"] [--rate 3e-4] [--seed 0] [--quick]
        [--table]

24,000 text pairs under twenty head rules and sixty rare ones that override them (`rare_rules/`). SFT learns 12,000 of
them, 12% under rare rules; each arm goes on from there on a pool of 12,000 with 1%. Says what each arm keeps of SFT's
recall of rare rules, at what reward, with 95% intervals over rules. A run that was killed goes on from its checkpoint;
each arm that is done is a line of FOLDER/arms.jsonl and is not run again. One thread.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from benchmarks.collapse.table import Estimate, kept, recall  # noqa: E402
from benchmarks.rare_rules.study import ARMS, Size, make_shop, measure, run_arm, run_sft, settings  # noqa: E402
from trainers.models.ranker import load_ranker  # noqa: E402

SFT_NAME = "SFT, the start"
Record = dict[str, Any]


def main() -> None:
    """Run what is not held yet, then print the table."""
    arguments = _arguments()
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "arms.jsonl"
    if not arguments.table:
        torch.set_num_threads(1)
        run_all(arguments, folder, path)
    write_table(read(path))


def run_all(arguments: argparse.Namespace, folder: Path, path: Path) -> None:
    """Run SFT and the arms that are not held."""
    size = Size().quick if arguments.quick else Size()
    shop = make_shop(folder, size, seed=arguments.seed)
    hold_to(folder / f"settings-{arguments.seed}.json", settings(size, shop.snapshot))
    start = run_sft(folder, shop, seed=arguments.seed, tell=_tell)
    held = {(record["arm"], record["seed"], record["rate"]) for record in read(path)}
    if (SFT_NAME, arguments.seed, 0.0) not in held:
        measured = measure(load_ranker(start, device="cpu"), shop)
        append(
            path,
            {
                "arm": SFT_NAME, "seed": arguments.seed, "rate": 0.0, **asdict(measured),
                "rare_recall": measured.rare_recall, "cpu_seconds": start.read()["result"]["seconds"],
            },
        )  # fmt: skip
    for arm in arguments.arms.split(";"):
        if (arm, arguments.seed, arguments.rate) not in held:
            append(path, run_arm(folder, shop, start, arm, rate=arguments.rate, seed=arguments.seed, tell=_tell))


def hold_to(path: Path, wanted: Record) -> None:
    """Write what all records of a folder share, or exit when the folder's were run with something else."""
    if not path.exists():
        path.write_text(json.dumps(wanted), encoding="utf-8")
    if json.loads(path.read_text(encoding="utf-8")) != wanted:
        sys.exit(f"{path.parent} holds runs of other settings. Name another folder: --out FOLDER")


def append(path: Path, record: Record) -> None:
    """Write a record to disk before it counts as done."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
        file.flush()
        os.fsync(file.fileno())
    _tell(f"{record['arm']}: reward {record['reward']:.3f}, rare recall {record['rare_recall']:.3f}")


def read(path: Path) -> list[Record]:
    """Return the records that are whole."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def write_table(records: list[Record]) -> None:
    """Print each arm beside the SFT it began with."""
    starts = {record["seed"]: record for record in records if record["arm"] == SFT_NAME}
    print(
        "| arm | rate | seeds | reward on the pool | rare recall, greedy | kept of SFT's | sampled, kept | head recall "
        "| citations right, rare / head | silent groups, first / last sixth | alarms at the end |"
    )
    print("|---|---|---|---:|---|---|---|---:|---:|---:|---:|")
    for name, rate in dict.fromkeys((record["arm"], record["rate"]) for record in records):
        rows = [record for record in records if (record["arm"], record["rate"]) == (name, rate)]
        first = [starts[record["seed"]] for record in rows]
        is_start = name == SFT_NAME
        shares: list[Estimate | str] = ["", ""]
        if not is_start:
            shares = [kept(first, rows, "rare_greedy"), kept(first, rows, "rare_sampled")]
        silent = " / ".join(f"{_mean(rows, *keys):.2f}" for keys in (("silent_at_first",), ("logged", "silent_rate")))
        alarms = "" if is_start else f"{sum(row['points'][-1]['alarms'] for row in rows) / len(rows):.0f}"
        print(
            f"| {name} | {'' if is_start else f'{rate:g}'} | {len(rows)} | {_mean(rows, 'reward'):.3f} "
            f"| {recall(rows, 'rare_greedy')} | {shares[0]} | {shares[1]} | {_mean(rows, 'head_recall'):.3f} "
            f"| {_mean(rows, 'rare_citations'):.2f} / {_mean(rows, 'head_citations'):.2f} "
            f"| {'' if is_start else silent} | {alarms} |"
        )


def _mean(rows: list[Record], *keys: str) -> float:
    values = []
    for row in rows:
        value: Any = row
        for key in keys:
            value = value.get(key, {}) if isinstance(value, dict) else value
        values.append(float(value) if isinstance(value, int | float) else float("nan"))
    return sum(values) / len(values)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/bench-collapse"), help="where everything is kept")
    parser.add_argument("--arms", default=";".join(list(ARMS)[:3]), help=f"of {'; '.join(ARMS)}")
    parser.add_argument("--rate", type=float, default=3e-4, help="the learning rate of every arm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="small enough to show that it runs, too small to say more")
    parser.add_argument("--table", action="store_true", help="run nothing, print the table of what is held")
    return parser.parse_args()


if __name__ == "__main__":
    main()
