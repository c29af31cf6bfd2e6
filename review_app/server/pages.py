"""The pages of the app, in the order of the work, and which acts open them: data for navigation, guard and tests."""

from __future__ import annotations

from collections.abc import Mapping

from storage.people.accounts import Act, Role, may

# page -> acts, one of which opens it; an empty set opens it to everybody who is logged in
PAGES: Mapping[str, frozenset[Act]] = {
    "review": frozenset({Act.REVIEW}),
    "list": frozenset({Act.REVIEW}),
    "adjudicate": frozenset({Act.ADJUDICATE}),
    "rules": frozenset({Act.APPROVE}),
    "tiers": frozenset({Act.SQL, Act.CUT, Act.SIGN}),
    "sql": frozenset({Act.SQL}),
    "runs": frozenset({Act.PREPARE}),
    "progress": frozenset(),
    "accounts": frozenset(),  # one's own password; everybody's accounts are shown to admins only
}


def is_open_to(page: str, role: Role) -> bool:
    """Say whether a role may open a page."""
    return not PAGES[page] or any(may(role, act) for act in PAGES[page])


def pages_of(role: Role) -> list[str]:
    """Return the pages a role may open, in order."""
    return [page for page in PAGES if is_open_to(page, role)]
