"""How far long work is: a bar with its rate and what is left where that is known, else the seconds that passed."""

from __future__ import annotations

import streamlit as st

from review_app.long_work import Work
from review_app.page import Page
from review_app.views.plain import plain
from review_app.views.sentences import together
from storage.progress import Stage

EVERY_SECONDS = 0.5


def draw_work(page: Page, work: Work, said: str) -> None:
    """Draw work under way; the page is drawn anew when it is over. `said` is what is being done."""

    @st.fragment(run_every=EVERY_SECONDS)
    def bar() -> None:
        if work.is_over:
            st.rerun()
        elapsed = page.say("work.elapsed", seconds=f"{work.elapsed:.0f}")
        text = together(page, [said, *_stage(page, work), elapsed, *_left(page, work)])
        if work.share is None:
            st.markdown(text)
        else:
            st.progress(work.share, text=text)

    bar()


def draw_failure(page: Page, work: Work) -> bool:
    """Say why work that is over failed; return whether it did."""
    why = failure(page, work)
    if why is not None:
        st.error(plain(why))
    return why is not None


def failure(page: Page, work: Work) -> str | None:
    """Return why work that is over failed, None when it went well."""
    if work.is_store_away:
        return page.say("login.store_is_away")
    if work.refused is not None:
        return page.in_words(work.refused)
    return page.say("work.broke", number=work.broke) if work.broke is not None else None


def _stage(page: Page, work: Work) -> list[str]:
    if work.stage is None:
        return []
    said = page.say(f"work.{work.stage.value}")
    if not work.total or work.stage is Stage.READING:
        return [said]
    if work.stage is Stage.CHECKING_FILES:
        return [page.say("work.of_megabytes", said=said, done=_mb(work.done), total=_mb(work.total))]
    return [page.say("work.of_rows", said=said, done=f"{work.done:,}", total=f"{work.total:,}")]


def _left(page: Page, work: Work) -> list[str]:
    rate, left = work.rate, work.seconds_left
    if rate is None or left is None or work.stage is Stage.READING:
        return []
    if work.stage is Stage.CHECKING_FILES:
        told = page.say("work.megabytes_rate", n=f"{rate / 2**20:.0f}")
    else:
        told = page.say("work.rows_rate", n=f"{rate:,.0f}")
    return [told, page.say("work.left", seconds=f"{left:.0f}")]


def _mb(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.1f}"
