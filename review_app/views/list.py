"""The list: all documents of one query, graded one under the other."""

from __future__ import annotations

from review_app.card.component import mount_page
from review_app.page import Page
from review_app.views.browser import given_to_browser
from storage.people.accounts import Act, require


def draw(page: Page) -> None:
    """Draw the page."""
    require(page.person, Act.REVIEW)
    mount_page("list", given_to_browser(page, "review", "list"), key="list")
