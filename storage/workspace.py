"""A workspace: one folder that holds everything but the keys, described by `afrel.toml`.

Found by `-w DIR`, then `AFREL_WORKSPACE`, then by walking up from the current folder, as git does.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from storage.errors import UserError

CONFIG_NAME = "afrel.toml"
KNOWN_TABLES = {"argilla", "jobs", "llm", "oidc", "on_sign", "pool", "review_causes", "screening", "sources", "tiers"}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace folder and its parsed `afrel.toml`."""

    root: Path
    config: dict[str, Any]

    @property
    def spool_dir(self) -> Path:
        return self.root / "spool"

    @property
    def snapshots_dir(self) -> Path:
        return self.root / "snapshots"

    @property
    def runs_dir(self) -> Path:
        return self.root / "runs"

    @classmethod
    def open(cls, root: Path) -> Workspace:
        """Open a folder as a workspace; UserError when it is none or its `afrel.toml` is wrong."""
        path = root / CONFIG_NAME
        if not path.is_file():
            raise UserError(f"{root} is not a workspace: it has no {CONFIG_NAME}. Make one: afrel init {root}")
        try:
            config = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not valid TOML: {error}. Mend it and run the command again") from error
        unknown = sorted(set(config) - KNOWN_TABLES)
        if unknown:
            raise UserError(
                f"{path} has unknown keys {unknown}; known are {sorted(KNOWN_TABLES)}. Remove or rename them"
            )
        for name in ("tiers", "review_causes"):
            tables = config.get(name, [])
            if not (isinstance(tables, list) and all(isinstance(table, dict) for table in tables)):
                raise UserError(f"{path}: {name} must be tables, each under a line [[{name}]]")
        if not isinstance(config.get("llm", {}), dict):
            raise UserError(f"{path}: llm must be a table, under a line [llm]")
        return cls(root.resolve(), config)

    @classmethod
    def find(cls, given: Path | None) -> Workspace:
        """Find the workspace: the given folder, `AFREL_WORKSPACE`, or the nearest folder above."""
        named = given or (Path(os.environ["AFREL_WORKSPACE"]) if os.environ.get("AFREL_WORKSPACE") else None)
        if named is not None:
            return cls.open(named)
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / CONFIG_NAME).is_file():
                return cls.open(folder)
        raise UserError(
            f"no workspace: neither {here} nor a folder above it has {CONFIG_NAME}, and AFREL_WORKSPACE is unset. "
            "Name one: afrel -w DIR …, or make one: afrel init DIR"
        )


def afrel_home() -> Path:
    """Return the folder of accounts and keys: `AFREL_HOME`, else `~/.afrel`."""
    return Path(os.environ.get("AFREL_HOME") or Path.home() / ".afrel")
