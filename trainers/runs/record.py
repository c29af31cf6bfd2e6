"""What a run writes down before its first step, the same for every method, so that any run can be read like another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
import trl

from storage.clock import now
from storage.errors import UserError
from storage.runs import code_version
from storage.snapshots.manifest import Manifest, scale_content
from trainers.launching.processes import require_same
from trainers.rows.format_check import CheckedRows
from trainers.runs.directory import RunDirectory


def start_record(
    run: RunDirectory,
    *,
    method: str,
    run_key: str,
    plan_digest: str,
    config: Mapping[str, Any],
    manifest: Manifest,
    checked: CheckedRows | None,
    **more: Any,
) -> Path | None:
    """Record what the run is about to do; return the checkpoint to go on from.

    plan_digest: of the tokens and their order. checked: rows with grades, None where texts are read; then `more` has
    n_rows. UserError when there is a checkpoint, but of another plan, or when several processes planned differently.
    """
    require_same("the rows and their order", plan_digest)
    checkpoint = run.last_checkpoint()
    described = run.read() if (run.path / "run.json").exists() else {}
    if checkpoint is not None and described.get("plan_digest") != plan_digest:
        raise UserError(
            f"{run.run_id} cannot go on: the code or its libraries now encode or order the rows differently. "
            f"Train anew: rm -r {run.path}, then the same command"
        )
    run.describe(
        run_id=run.run_id,
        run_key=run_key,
        method=method,
        status="running",
        config=dict(config),
        seed=config["seed"],
        snapshot_id=manifest.snapshot_id,
        manifest_digest=manifest.digest,
        code_version=code_version(),
        tiers=[{"tier": entry.tier, "digest": entry.digest} for entry in manifest.tiers],
        scale=scale_content(manifest.scale),
        plan_digest=plan_digest,
        **({} if checked is None else _graded(checked)),
        versions={"torch": torch.__version__, "transformers": transformers.__version__, "trl": trl.__version__},
        started_at=described.get("started_at", str(now())),
        **more,
    )
    return checkpoint


def _graded(checked: CheckedRows) -> dict[str, Any]:
    return {
        "grade_token_ids": list(checked.grade_token_ids),
        "n_rows": len(checked.rows),
        "n_prompts_cut": checked.n_prompts_cut,
        "n_completions_cut": checked.n_completions_cut,
    }
