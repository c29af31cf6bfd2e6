"""Users of this machine's Argilla for the accounts of the workspace, each with a password that is shown once.

An account's role decides the user's: an admin is an owner, a curator an admin of the workspace, everybody else an
annotator. Who may not review here sees no dataset there; who is retired loses password, role and datasets, but not the
user, on which answers hang. Users that are no account's are left alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from review_app.argilla_bridge.api import ArgillaApi
from review_app.argilla_local.home import WORKSPACE
from storage.errors import UserError
from storage.people.accounts import Act, Pin, Role, may

_ROLES: Mapping[Role, str] = {Role.ADMIN: "owner", Role.CURATOR: "admin"}
ANNOTATOR = "annotator"
_PASSWORD_BYTES = 12


@dataclass(frozen=True, slots=True)
class Shown:
    """A user who was given a password just now."""

    username: str
    role: str
    password: str


def role_in_argilla(role: Role) -> str:
    """Return the role of an account's user."""
    return _ROLES.get(role, ANNOTATOR)


def ensure_users(
    api: ArgillaApi, pins: Iterable[Pin], *, renew: Collection[str], show: Callable[[Shown], None]
) -> dict[str, int]:
    """Make and adjust the users of accounts; return how many active ones there are by role.

    `show` is called for every password at once, for it is kept nowhere; `renew` names who gets a new one anyway.
    """
    pinned = {pin.account: pin for pin in pins}
    unknown = sorted(account for account in renew if account not in pinned or pinned[account].retired_at is not None)
    if unknown:
        raise UserError(f"there is no account {', '.join(unknown)} here. List them: afrel account list")
    users = {str(row["username"]): row for row in api.ask("GET", "users")["items"]}
    workspace_id = _ensure_workspace(api)
    members = {str(row["id"]) for row in api.ask("GET", f"workspaces/{workspace_id}/users")["items"]}
    counts: dict[str, int] = {}
    for pin in pinned.values():
        user = users.get(pin.account)
        if pin.retired_at is not None:
            if user is not None:
                _shut_out(api, user, workspace_id, members)
            continue
        user_id, shown = _ensure_user(api, pin, user, members, is_renewed=pin.account in renew)
        if shown is not None:
            show(shown)  # before the user is let in: when this is cut off, the next time gives a new one
        _let_in(api, pin, user_id, workspace_id, members)
        role = role_in_argilla(pin.role)
        counts[role] = counts.get(role, 0) + 1
    return counts


def _ensure_workspace(api: ArgillaApi) -> str:
    for row in api.ask("GET", "me/workspaces")["items"]:
        if row["name"] == WORKSPACE:
            return str(row["id"])
    return str(api.ask("POST", "workspaces", body={"name": WORKSPACE})["id"])


def _ensure_user(
    api: ArgillaApi, pin: Pin, user: Mapping[str, Any] | None, members: set[str], *, is_renewed: bool
) -> tuple[str, Shown | None]:
    role = role_in_argilla(pin.role)
    shown = Shown(pin.account, role, secrets.token_urlsafe(_PASSWORD_BYTES))
    if user is None:
        body = {"first_name": pin.account, "username": pin.account, "role": role, "password": shown.password}
        return str(api.ask("POST", "users", body=body)["id"]), shown
    user_id = str(user["id"])
    is_back = may(pin.role, Act.REVIEW) and user_id not in members  # was retired, or might not review
    change = {"role": role} if user["role"] != role else {}
    if is_renewed or is_back:
        change["password"] = shown.password
    if change:
        api.ask("PATCH", f"users/{user_id}", body=change)
    return user_id, shown if "password" in change else None


def _let_in(api: ArgillaApi, pin: Pin, user_id: str, workspace_id: str, members: set[str]) -> None:
    """Show the datasets to who may review, and to nobody else."""
    if may(pin.role, Act.REVIEW) and user_id not in members:
        api.ask("POST", f"workspaces/{workspace_id}/users", body={"user_id": user_id})
    elif not may(pin.role, Act.REVIEW) and user_id in members:
        api.ask("DELETE", f"workspaces/{workspace_id}/users/{user_id}")


def _shut_out(api: ArgillaApi, user: Mapping[str, Any], workspace_id: str, members: set[str]) -> None:
    """Leave a user no way in that leads anywhere; one that was shut out before is left as it is."""
    user_id = str(user["id"])
    if user_id in members:
        api.ask("PATCH", f"users/{user_id}", body={"role": ANNOTATOR, "password": secrets.token_urlsafe(32)})
        api.ask("DELETE", f"workspaces/{workspace_id}/users/{user_id}")
