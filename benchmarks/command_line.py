"""A throw-away workspace driven by the command line, as a user would, with keys of its own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class CommandLine:
    """Runs `afrel` on a workspace. `home` holds the accounts' keys and one password for all."""

    home: Path
    workspace: Path

    def __call__(self, *words: str, account: str | None = "root") -> subprocess.CompletedProcess[str]:
        """Run a verb; return what it printed and how it ended."""
        self.home.mkdir(parents=True, exist_ok=True)
        password = self.home / "password"
        if not password.exists():
            password.touch(mode=0o600)
            password.write_text(secrets.token_urlsafe(16), encoding="utf-8")
        env = {
            **os.environ, "AFREL_HOME": str(self.home), "AFREL_PASSWORD_FILE": str(password), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        front = [] if words[0] == "init" else ["-w", str(self.workspace), *(["--as", account] if account else [])]
        return subprocess.run(
            [sys.executable, "-m", "afrel", *front, *words], env=env, capture_output=True, text=True, cwd=self.home
        )

    def sure(self, *words: str, account: str | None = "root") -> str:
        """Run a verb that must succeed; return what it printed."""
        done = self(*words, account=account)
        if done.returncode:
            raise SystemExit(f"afrel {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def init(self, *words: str, **people: str) -> None:
        """Make the workspace, `root` as its admin, and these people by name and role."""
        self.sure("init", str(self.workspace), *words)
        self.sure("account", "add", "root", "--role", "admin", account=None)
        for name, role in people.items():
            self.sure("account", "add", name, "--role", role)
