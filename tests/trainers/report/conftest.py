"""A run told by hand: its folder as a training would leave it, a snapshot with hostile texts, measurements as rows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from storage.snapshots.manifest import read_manifest, scale_content
from tests.trainers.conftest import SCALE, SignedSnapshot, cut_snapshot, sample_rows, snapshot_row
from trainers.report.contents import Contents, StoreRows, gather
from trainers.runs.directory import RunDirectory
from trainers.sft.config import SftConfig

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>&amp;</style></title>\u202e\x00 مقعد 👩\u200d🚀'
SECRET = "a title only test rows have"
AT = datetime(2026, 1, 2)


@dataclass
class Told:
    run: RunDirectory
    snapshot: SignedSnapshot
    folder: Path
    rows: StoreRows

    def gather(self) -> Contents:
        return gather(
            self.run,
            snapshots_dir=self.folder / "snapshots",
            workspace=self.folder,
            rows=self.rows,
            pins=self.snapshot.pins,
        )


def measure_row(split: str, model: str, metric: str, value: float | None, **more: Any) -> dict[str, Any]:
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    return {
        "split": split, "model": model, "metric": metric, "value": value, "low": low, "high": high, "n": 12,
        "run_id": "run_e", "created_at": AT, "verb": "evaluate", "hardware": "a lathe, 2 threads", **more,
    }  # fmt: skip


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> SignedSnapshot:
    """A snapshot, cut once, one of whose dev pairs is hostile and long."""
    rows = [row | ({"title": SECRET} if row["split"] == "test" else {}) for row in sample_rows()]
    long = "b" * 10_000_000
    rows[60 + 11] = snapshot_row(
        11, split="dev", query=HOSTILE, title=HOSTILE, body=long, fields=json.dumps({HOSTILE: HOSTILE})
    )
    return cut_snapshot(tmp_path_factory.mktemp("hostile"), rows)


@pytest.fixture
def told(tmp_path: Path, hostile: SignedSnapshot) -> Told:
    """12 dev pairs, of which numbers 0 to 8 are graded right, 9 to 11 as the next grade, ever less surely."""
    copied = tmp_path / "snapshots" / hostile.directory.name
    shutil.copytree(hostile.directory, copied)
    snapshot, rows = replace(hostile, directory=copied), hostile.rows
    manifest = read_manifest(snapshot.directory)
    run = RunDirectory(tmp_path / "runs" / "run_0000000001")
    config = SftConfig(batch_size=4, epochs=2, learning_rate=1e-3, rationale_rate=0.5, grade_balance=0.5)
    run.describe(
        run_id=run.run_id, run_key="k", method="sft", status="finished", config=config.model_dump(mode="json"), seed=0,
        snapshot_id=manifest.snapshot_id, manifest_digest=manifest.digest, code_version="0.1.0+abc", n_rows=60,
        scale=scale_content(SCALE), versions={"torch": "2"}, started_at="2026-01-01T10:00:00",
        finished_at="2026-01-01T10:10:00", seconds=600.0, n_steps=30, n_prompts_cut=3, n_completions_cut=0,
        grade_token_ids=[5, 6, 7], stages=[{"tier": 1, "first_step": 1, "last_step": 20}],
    )  # fmt: skip
    for step in (10, 20, 30):
        run.append_metrics({"step": step, "loss": 3.0 / step, "grade_loss": 1.0 / step, "tier": 1, "rows": "x"})
    predictions = []
    dev = [row for row in rows if row["split"] == "dev"]
    for at, row in enumerate(dev):
        place = row["grade"] if at < 9 else (row["grade"] + 1) % 3
        sure = 0.9 - at / 100
        predictions.append(
            {
                "pair_id": row["pair_id"], "grade": place, "snapshot_id": manifest.snapshot_id,
                "probabilities": [sure if one == place else (1 - sure) / 2 for one in range(3)],
            }
        )  # fmt: skip
    evaluations = [
        measure_row(split, model, metric, value, snapshot_id=manifest.snapshot_id)
        for split in ("dev", "test")
        for model, metric, value in (
            ("run", "accuracy", 0.75), ("run", "macro_f1", 0.7), ("run", "qwk", None), ("majority", "accuracy", 0.5),
        )
    ]  # fmt: skip
    return Told(run, snapshot, tmp_path, StoreRows(evaluations, predictions))


Watched = Callable[[RunDirectory], None]


@pytest.fixture
def forgets() -> Watched:
    """Have a run measure twice on held-back pairs, with an alarm for one rule at the second."""

    def append(run: RunDirectory) -> None:
        for step, after in ((0, 1.0), (20, 0.2)):
            rule = {"kind": "rule", "name": "r_lost", "n": 10, "before": 1.0, "after": after, "p": 0.001}
            kept = {"kind": "grade", "name": "2", "n": 5, "before": 0.8, "after": 0.8, "p": 1.0, "is_alarm": False}
            changes = [rule | {"is_alarm": step > 0}, kept]
            point = {"step": step, "n": 12, "reward": after, "changes": changes}
            with (run.path / "forgetting.jsonl").open("a") as file:
                file.write(json.dumps(point) + "\n")

    return append
