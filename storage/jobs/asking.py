"""Ask for a job from Python: a verb and fields, checked against the schema the verb itself gives.

For programs that have a form and no command line, such as the review app: `afrel train sft --schema` draws the form,
`start` takes what was filled in. Nothing of it is ever read as an option.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.jobs.job_command import JobCommand
from storage.jobs.kept_config import anchor, to_toml
from storage.jobs.line import JobLine, Queued, with_code
from storage.jobs.verbs import METHODS
from storage.snapshots.manifest import MANIFEST
from storage.store import Store
from storage.workspace import Workspace

SNAPSHOT = "snapshot"


def start(workspace: Workspace, verb: str, fields: Mapping[str, Any], *, account: str | None) -> Queued:
    """Queue `train METHOD` with its configuration and the field `snapshot`, an id; start what may run.

    UserError with all mistakes. Who may ask is for the caller to check: the job has no account of its own.
    """
    config = {name: value for name, value in fields.items() if name != SNAPSHOT and value is not None}
    command, text = train_command(workspace, verb, fields.get(SNAPSHOT)), checked_config(verb, config, workspace.root)
    with Store.connect(workspace) as store:
        line = JobLine(workspace, store)
        queued = line.queue(command, account=account, config=text)
        line.start_waiting()
    return queued


def train_command(workspace: Workspace, verb: str, snapshot: object) -> JobCommand:
    """Return the command `train METHOD` on a snapshot of the workspace; UserError unless both are there."""
    first, _, method = verb.partition(" ")
    if first != "train" or method not in METHODS:
        raise UserError(f"{verb!r} has no form; there is train {', train '.join(METHODS)}. See afrel train --help")
    names = sorted(path.parent.name for path in workspace.snapshots_dir.glob(f"snap_*/{MANIFEST}"))
    if not isinstance(snapshot, str) or snapshot not in names:
        known = ", ".join(names[-5:]) or "none"
        raise UserError(f"there is no snapshot {snapshot!r} in {workspace.snapshots_dir}. Known: {known}")
    return JobCommand("train", (method,), {"--snapshot": snapshot})


def checked_config(verb: str, config: Mapping[str, Any], root: Path) -> str:
    """Return a configuration as TOML, its files named from the workspace.

    UserError with everything in it that the verb's schema does not allow.
    """
    from jsonschema import Draft202012Validator

    schema = schema_of(verb)
    found = sorted(Draft202012Validator(schema).iter_errors(dict(config)), key=lambda error: list(map(str, error.path)))
    mistakes = [f"- {'.'.join(map(str, error.path)) or 'whole'}: {_why(error):.300}" for error in found]
    if mistakes:
        listed = "\n".join(mistakes)
        raise UserError(
            f"the configuration of {verb} has {len(mistakes)} mistakes:\n{listed}\nSee afrel {verb} --schema"
        )
    return to_toml(anchor(config, root))


def _why(error: Any) -> str:
    """Return what is wrong with a value; of one that may also be null, what is wrong with it as it was meant."""
    meant = [inner for inner in error.context or () if inner.validator != "type"]
    return str((meant[0] if meant else error).message)


@cache
def schema_of(verb: str) -> dict[str, Any]:
    """Return the JSON Schema of a verb's configuration, as `afrel VERB --schema` prints it."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "afrel", *verb.split(), "--schema"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
        env=with_code(),
    )
    if done.returncode:
        raise UserError(f"afrel {verb} --schema failed: {done.stderr.strip()[-500:]}")
    schema: dict[str, Any] = json.loads(done.stdout)
    return schema
