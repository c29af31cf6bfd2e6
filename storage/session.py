"""What a command line brings: which workspace, and who acts. Loaded lazily: `--help` needs neither."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import UserError

if TYPE_CHECKING:
    from storage.grades import Scale
    from storage.people.accounts import Act, Pin
    from storage.people.keys import SigningKey
    from storage.store import Store
    from storage.workspace import Workspace


@dataclass
class Session:
    """One invocation. `given_workspace` and `account` are as typed."""

    given_workspace: Path | None
    account: str | None

    @cached_property
    def workspace(self) -> Workspace:
        from storage.workspace import Workspace

        return Workspace.find(self.given_workspace)

    def store(self, *, sees_test: bool = False) -> Store:
        """Connect to the workspace's store."""
        from storage.store import Store

        return Store.connect(self.workspace, sees_test=sees_test)

    def require(self, act: Act) -> SigningKey:
        """Return the unlocked key of the acting account; UserError unless one is named, known and allowed to act."""
        from storage.people.accounts import in_words, require
        from storage.people.keys import read_password, unlock
        from storage.workspace import afrel_home

        if self.account is None:
            raise UserError(
                f"it takes an account to {in_words(act)}. Say who you are before the verb: afrel --as ACCOUNT …"
            )
        pin = self.pins().get(self.account)
        key = unlock(afrel_home(), self.account, read_password(self.account))
        if pin is None or key.public_key != pin.public_key:
            raise UserError(
                f"account {self.account!r} is not pinned in {self.workspace.root}. "
                f"An admin adds it: afrel -w {self.workspace.root} --as ADMIN account add {self.account} --role ROLE"
            )
        require(pin, act)
        return key

    def allow(self, act: Act) -> None:
        """Check the role of a named account for an act that needs no account; without `--as` the shell's user may."""
        if self.account is not None:
            self.require(act)

    def pins(self) -> dict[str, Pin]:
        """Return the workspace's pinned accounts by name, the retired ones among them."""
        from storage.people.accounts import pin_from_row

        with self.store() as store:
            rows = store.read("accounts").to_pylist()
        return {row["account"]: pin_from_row(row) for row in rows}


def read_scale(store: Store) -> Scale:
    """Return the workspace's scale of grades."""
    from storage.grades import Scale

    rows = store.read("scale").to_pylist()
    return Scale(tuple(row["grade"] for row in rows), tuple(row["name"] for row in rows))
