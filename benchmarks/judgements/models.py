"""The answer-first model from scratch, stage by stage: texts read first or not, SFT, then DPO and GRPO.

Each stage is a run in the workspace's `runs`; one that is finished is not trained again, one that was killed goes on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import cycle
from benchmarks.judgements.material import Material
from curation.prompt_parts import prompt_parts

N_SAMPLED = 4000  # train pairs that are sampled for DPO
# The rates METHODS name are those of models a thousand times as large; these were not tuned either.
DPO = {"learning_rate": 1e-4, "epochs": 1, "batch_size": 16, "checkpoint_steps": 50}
GRPO = {
    "learning_rate": 1e-4, "n_steps": 40, "prompts_per_step": 16, "group_size": 8, "max_rounds": 2,
    "is_grade_exact": True, "sft_rows": 32, "checkpoint_steps": 10,
}  # fmt: skip


def sft(material: Material, name: str, *, has_evidence: bool, model: str = "tiny", **more: Any) -> Any:
    """Return what an answer-first model from scratch, or from a run, says of the dev pairs."""
    from trainers.sft.config import SftConfig
    from trainers.sft.train import train

    run = _run(material, name)
    if not _is_finished(run):
        quick = {"epochs": 1} if material.is_quick else {}
        given = {"model": model, "has_evidence": has_evidence, "device": "cpu", "checkpoint_steps": 50, **more, **quick}
        # a run that began as the tiny one has its defaults
        config = SftConfig.model_validate(given, context={"is_tiny": lambda _: True})
        train(config, material.snapshot, run=run, tell=_tell)
    return _asked(run, material)


def dpo(material: Material, name: str, *, start: str) -> Any:
    """Return what a run says after DPO on its own samples of train pairs, right against wrong ones."""
    from storage.store import Store
    from storage.workspace import Workspace
    from trainers.dpo.config import DpoConfig
    from trainers.dpo.material import read_material
    from trainers.dpo.train import train

    run, begun = _run(material, name), _run(material, start)
    if not _is_finished(run):
        drawn = ["--samples", "8", "--limit", str(300 if material.is_quick else N_SAMPLED)]
        cycle.run_verb(material.workspace, "root", ["rollout", begun.run_id, *drawn])
        with Store.connect(Workspace.find(material.workspace)) as store:
            samples = read_material(store, begun.run_id, has_edits=False)
        cycle.stop_store(material.workspace)
        config = DpoConfig.model_validate({"model": begun.run_id, "device": "cpu", **DPO})
        train(config, material.snapshot, begun, samples, run=run, tell=_tell)
    return _asked(run, material)


def grpo(material: Material, name: str, *, start: str) -> Any:
    """Return what a run says after GRPO, whose reward is the settled grade: these judgments cite no rule."""
    from trainers.grpo.config import GrpoConfig
    from trainers.grpo.train import train

    run, begun = _run(material, name), _run(material, start)
    if not _is_finished(run):
        quick = {"n_steps": 4} if material.is_quick else {}
        config = GrpoConfig.model_validate({"model": begun.run_id, "device": "cpu", **GRPO, **quick})
        train(config, material.snapshot, begun, run=run, tell=_tell)
    return _asked(run, material)


def dapt(material: Material) -> str:
    """Return the run that read the train rows' texts and those nobody judged."""
    from trainers.dapt.config import DaptConfig
    from trainers.dapt.train import train

    run = _run(material, "dapt")
    texts = material.workspace / "unjudged.txt"
    if not texts.exists():
        held = pl.read_parquet(Path(os.environ["AFREL_DATA"]) / "qbqtc" / "unlabelled.parquet")
        lines = [" ".join(text.split()) for column in ("query", "title") for text in held[column].to_list() if text]
        lines = [line for line in dict.fromkeys(lines) if line]
        texts.write_text("\n".join(lines[: 500 if material.is_quick else None]) + "\n", encoding="utf-8")
    if not _is_finished(run):
        config = DaptConfig.model_validate(
            {"text_file": str(texts), "epochs": 1, "device": "cpu", "checkpoint_steps": 50}
        )  # fmt: skip
        train(config, material.snapshot, run=run, tell=_tell)
    return str(run.run_id)


def _run(material: Material, name: str) -> Any:
    from trainers.runs.directory import RunDirectory

    return RunDirectory(material.workspace / "runs" / f"run_{name}")


def _asked(run: Any, material: Material) -> Any:
    """Return a run's probabilities of the grades of the dev pairs, (n, K)."""
    from trainers.models.ranker import load_ranker

    ranker = load_ranker(run, device="cpu")
    parts = [prompt_parts(row, has_evidence=ranker.has_evidence) for row in material.dev]
    return ranker.score(parts, names=material.dev["row_hash"])


def _is_finished(run: Any) -> bool:
    return bool((run.path / "run.json").exists() and run.read().get("status") == "finished")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
