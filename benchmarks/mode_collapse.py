"""Does reinforcement learning forget rare rules, and does mode-balanced training keep them? A study in small.

    python benchmarks/mode_collapse.py [--jobs 2] [--out FOLDER] [--regimes shifted,…] [--arms "step 0;…"] [--seeds 3]
        [--rates 3e-4,…] [--table]

Twenty head rules, sixty rare rules that are exceptions overriding one, a model of some 125,000 weights, answer-first
completions (`collapse/task.py`, `collapse/model.py`). After SFT on expert rows (12% of them under rare rules) every arm
goes on for 400 steps (`collapse/training.py`) on a pool like the expert rows, with 1% under rare rules, without any, or
with a reward that does not know every second rare rule. The learning rate of an arm is the one of three whose *reward*
on held-back pool pairs is highest at seed 0; no rare rule is looked at for it. Each cell (regime, arm, seed, rate) is a
line of FOLDER/cells.jsonl; what is held is not run again, so the study can be killed at any time.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from benchmarks.collapse.model import Ranker  # noqa: E402
from benchmarks.collapse.table import write_tables  # noqa: E402
from benchmarks.collapse.task import Task  # noqa: E402
from benchmarks.collapse.training import ARMS, REGIMES, SETTINGS, Point, train_arm, train_sft  # noqa: E402

RATES = (1e-4, 3e-4, 1e-3)
MAIN = "shifted"
N_SEEDS: Mapping[str, int] = {"same": 5, "shifted": 3, "half blind": 3, "no rare": 3}
SIDE_ARMS = ("outcome 0", "step .1 balanced")  # of the regimes beside the main one


@dataclass(frozen=True, slots=True, order=True)
class Cell:
    """One training run of the study."""

    regime: str
    arm: str
    seed: int
    rate: float


def main() -> None:
    arguments = _arguments()
    folder: Path = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cells.jsonl"
    hold_to_settings(folder / "settings.json")
    if not arguments.table:
        regimes = arguments.regimes.split(",") if arguments.regimes else list(REGIMES)
        arms = arguments.arms.split(";") if arguments.arms else list(ARMS)
        rates_tried = [float(rate) for rate in arguments.rates.split(",")] if arguments.rates else list(RATES)
        n_seeds = {regime: min(N_SEEDS[regime], arguments.seeds) for regime in regimes}
        began = time.monotonic()
        with ProcessPoolExecutor(arguments.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            for done in as_completed([pool.submit(prepare, folder, seed) for seed in range(max(n_seeds.values()))]):
                done.result()
            trials = [
                Cell(regime, arm, 0, rate)
                for regime in regimes for arm in arms_of(regime) if arm in arms for rate in rates_tried
            ]  # fmt: skip
            run_cells(pool, folder, trials)
            rates = choose_rates(read_cells(path))
            wanted = [
                Cell(regime, arm, seed, rates[regime, arm])
                for regime in regimes for arm in arms_of(regime) if arm in arms
                for seed in range(1, n_seeds[regime])
            ]  # fmt: skip
            run_cells(pool, folder, wanted)
        print(f"done in {(time.monotonic() - began) / 60:.0f} minutes", file=sys.stderr)
    records = read_cells(path)
    write_tables(records, choose_rates(records))


def hold_to_settings(path: Path) -> None:
    """Write what all cells of a folder share, or exit when the folder's were run with something else."""
    if not path.exists():
        path.write_text(json.dumps(SETTINGS), encoding="utf-8")
    if json.loads(path.read_text(encoding="utf-8")) != SETTINGS:
        sys.exit(f"{path.parent} holds cells of other settings. Name another folder: --out FOLDER")


def arms_of(regime: str) -> Sequence[str]:
    """Return the arms of a regime: all of them in the main one."""
    return tuple(ARMS) if regime == MAIN else SIDE_ARMS


def run_cells(pool: ProcessPoolExecutor, folder: Path, cells: Iterable[Cell]) -> None:
    """Run the cells that are not held yet; each is on disk before the next is counted as done."""
    path = folder / "cells.jsonl"
    held = {cell_of(record) for record in read_cells(path)}
    futures = [pool.submit(run_cell, folder, cell) for cell in cells if cell not in held]
    for n_done, future in enumerate(as_completed(futures), 1):
        record = future.result()
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        last, first = record["points"][-1], record["points"][0]
        print(
            f"{n_done}/{len(futures)} {record['regime']} · {record['arm']} · seed {record['seed']} "
            f"· {record['rate']:g}: reward {first['reward']:.3f} → {last['reward']:.3f}, "
            f"rare recall {first['rare_recall']:.3f} → {last['rare_recall']:.3f}, {record['seconds']:.0f} s",
            file=sys.stderr, flush=True,
        )  # fmt: skip


def prepare(folder: Path, seed: int) -> None:
    """Train the SFT model of a seed, unless it is there."""
    torch.set_num_threads(1)
    path = sft_path(folder, seed)
    if not path.exists():
        save_file(train_sft(Task(seed), seed).state_dict(), path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)


def run_cell(folder: Path, cell: Cell) -> dict[str, Any]:
    """Run one cell from its seed's SFT model; return what is kept of it."""
    torch.set_num_threads(1)
    began = time.monotonic()
    model = Ranker(cell.seed)
    model.load_state_dict(load_file(sft_path(folder, cell.seed)))
    points = train_arm(
        model, Task(cell.seed), ARMS[cell.arm], REGIMES[cell.regime], rate=cell.rate, seed=cell.seed
    )  # fmt: skip
    return {**asdict(cell), "seconds": round(time.monotonic() - began, 1), "points": [point_record(p) for p in points]}


def point_record(point: Point) -> dict[str, Any]:
    """Return what is kept of a point of a curve."""
    return {"step": point.step, "silent_rate": point.silent_rate, **point.measures.as_record()}


def sft_path(folder: Path, seed: int) -> Path:
    """Return where the SFT model of a seed lies."""
    return folder / f"sft-{seed}.safetensors"


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Return the held cells; a last line that was cut off by a kill is left out, for its cell is run again."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


def cell_of(record: Mapping[str, Any]) -> Cell:
    """Return the cell a record is of."""
    return Cell(record["regime"], record["arm"], record["seed"], record["rate"])


def choose_rates(records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """Return each arm's learning rate: of those run at seed 0 the one with the highest reward at the end."""
    best: dict[tuple[str, str], tuple[float, float]] = {}
    for record in records:
        if record["seed"] == 0:
            key, scored = (record["regime"], record["arm"]), (record["points"][-1]["reward"], record["rate"])
            best[key] = max(best.get(key, scored), scored)
    return {key: rate for key, (_, rate) in best.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=Path("mode-collapse"), help="where cells and models are kept")
    parser.add_argument("--regimes", help=f"of {', '.join(REGIMES)}, separated by commas; default: all")
    parser.add_argument("--arms", help="a part of the study: arms, separated by semicolons; default: all")
    parser.add_argument("--rates", help="a part of the study: learning rates tried at seed 0; default: all three")
    parser.add_argument("--seeds", type=int, default=max(N_SEEDS.values()), help="at most so many seeds a regime")
    parser.add_argument("--table", action="store_true", help="run nothing, print the tables of what is held")
    return parser.parse_args()


if __name__ == "__main__":
    main()
