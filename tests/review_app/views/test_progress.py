"""The page Progress, drawn without a browser, for those who lead and those who do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from review_app.decisions import save, submit
from review_app.page import Page
from review_app.texts import LANGUAGES
from storage.clock import now
from storage.people.accounts import Pin, Role
from storage.store import Store
from storage.workspace import Workspace
from tests.review_app.review_rows import add_pair
from tests.review_app.rule_rows import ANA, DORA, NAMES, pin
from tests.review_app.test_progress import turn

SECONDS = 30


def script(page: object) -> None:
    from review_app.views import progress

    progress.draw(page)  # type: ignore[arg-type]


def drawn(store: Store, tmp_path: Path, person: Pin, language: str = "en") -> AppTest:
    page = Page(person, Workspace(tmp_path, {}), store, language)
    at = AppTest.from_function(script, kwargs={"page": page}, default_timeout=SECONDS)
    at.run()
    assert not at.exception
    return at


def words(at: AppTest) -> str:
    return "\n".join(part.value for part in [*at.title, *at.header, *at.markdown, *at.caption, *at.info])


def scale(store: Store) -> None:
    rows = [{"grade_id": f"g_{n}", "grade": n, "name": name, "created_at": now()} for n, name in enumerate(NAMES)]
    store.append({"grades": rows})


@pytest.fixture
def working(store: Store) -> Store:
    """Thirty-three pairs; three people answered three of them each on each of three days."""
    scale(store)
    for n in range(1, 34):
        add_pair(store, n)
    answers = [
        submit(turn(9 * place + 3 * (days_ago - 1) + k, account, days_ago=days_ago), 2)
        for place, account in enumerate(("ana", "bo", "chen"))
        for days_ago in (3, 2, 1)
        for k in (1, 2, 3)
    ]
    save(store, answers, proposals={f"c_{n}": (2, "[]") for n in range(1, 34)})
    return store


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_drawn_in_both_languages(working: Store, tmp_path: Path, language: str) -> None:
    at = drawn(working, tmp_path, DORA, language)
    assert (
        at.title[0].value
        == {
            "en": "Will we be done in time, and do we agree?",
            "zh": "我们能按时完成吗？意见一致吗？",
        }[language]
    )


def test_it_says_what_is_left_at_which_pace_and_until_when(working: Store, tmp_path: Path) -> None:
    said = words(drawn(working, tmp_path, DORA))
    assert "6 pairs wait for 6 answers." in said
    # nine answers on each of three days, ten seconds each
    assert "9 answers a day (9 to 9; mean of 3 whole days, n = 27)" in said
    assert "at 360 answers an hour (n = 27 timed answers of the last two weeks)" in said


def test_a_lead_sees_people_and_a_reviewer_only_themselves(working: Store, tmp_path: Path) -> None:
    lead = [frame.value.iloc[:, 0].to_list() for frame in drawn(working, tmp_path, DORA).dataframe]
    assert ["ana", "bo", "chen"] in lead
    at = drawn(working, tmp_path, ANA)
    shown = [value for frame in at.dataframe for value in frame.value.astype(str).to_numpy().ravel()]
    assert "ana" in shown and "bo" not in shown and "chen" not in shown
    assert "The team gave 27 answers in the last two weeks; 9 of them are yours." in words(at)


def test_an_engineer_sees_the_work_and_nobody(working: Store, tmp_path: Path) -> None:
    at = drawn(working, tmp_path, pin("eli", Role.ENGINEER))
    assert "6 pairs wait" in words(at)
    assert not any(name in words(at) for name in ("ana", "bo,", "chen"))


def test_a_day_to_be_done_by_says_what_it_takes(working: Store, tmp_path: Path) -> None:
    at = drawn(working, tmp_path, DORA)
    at.date_input(key="progress.target").set_value(now().date()).run()
    assert "That needs 6 answers a day; the pace is 9." in words(at)


def test_an_empty_workspace_says_what_will_be_here_and_how(store: Store, tmp_path: Path) -> None:
    scale(store)
    assert "afrel label" in drawn(store, tmp_path, DORA).info[0].value
