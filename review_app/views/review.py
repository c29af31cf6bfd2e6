"""The review card: one candidate at a time."""

from __future__ import annotations

from review_app.card.component import mount_page
from review_app.page import Page
from review_app.views.browser import given_to_browser
from storage.people.accounts import Act, require


def draw(page: Page) -> None:
    """Draw the page."""
    require(page.person, Act.REVIEW)
    mount_page("review", given_to_browser(page, "review"), key="review")
