"""The page Rules, drawn without a browser: what it shows, what its buttons do, in both languages."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from curation.rules import make_rule
from review_app.page import Page
from review_app.texts import LANGUAGES
from review_app.views.plain import plain
from storage.clock import now
from storage.people.accounts import Pin
from storage.store import Store
from storage.workspace import Workspace
from tests.review_app.rule_rows import ALSO, DORA, HIGH, LOW, fill

SECONDS = 30


def script(page: object) -> None:
    from review_app.views import rules

    rules.draw(page)  # type: ignore[arg-type]


def drawn(store: Store, tmp_path: Path, *, person: Pin = DORA, language: str = "en") -> AppTest:
    page = Page(person, Workspace(tmp_path, {}), store, language)
    at = AppTest.from_function(script, kwargs={"page": page}, default_timeout=SECONDS)
    at.run()
    assert not at.exception
    return at


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def words(at: AppTest) -> str:
    parts = [*at.title, *at.subheader, *at.markdown, *at.caption, *at.info, *at.error, *at.text]
    return "\n".join(part.value for part in parts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_drawn_in_both_languages(store: Store, tmp_path: Path, language: str) -> None:
    fill(store)
    at = drawn(store, tmp_path, language=language)
    assert (
        at.title[0].value == {"en": "Which rules disagree with experts?", "zh": "哪些规则与专家意见不一致？"}[language]
    )
    # the surest disagreement first
    assert at.dataframe[0].value["rule"].to_list() == [LOW.text, HIGH.text, ALSO.text]
    assert at.dataframe[0].value["judged"].to_list() == [4, 4, 0]


def test_without_rules_it_says_what_will_be_here_and_how(store: Store, tmp_path: Path) -> None:
    at = drawn(store, tmp_path)
    assert "afrel mine" in at.info[0].value


def test_next_opens_the_first_rule_with_its_evidence(store: Store, tmp_path: Path) -> None:
    fill(store)
    at = press(drawn(store, tmp_path), "rules.on")
    assert at.subheader[0].value == plain(LOW.text)
    assert at.code[0].value == LOW.condition
    assert "It votes on 4 of 8 pairs (50.0%)" in words(at)
    assert "Of 4 train and dev pairs that experts settled, it is right on 1 (25%" in words(at)
    against, for_it, conflicts, history = (table.value for table in at.table)
    assert against["Experts"].to_list() == [3, 2, 1]
    assert for_it["Experts"].to_list() == [0]
    assert conflicts["Pairs in conflict"].to_list() == [2]
    assert history["What"].to_list() == ["mined"]


def test_approving_goes_on_to_the_next_rule(store: Store, tmp_path: Path) -> None:
    fill(store)
    at = press(press(drawn(store, tmp_path), "rules.on"), "rules.do_approve")
    status = dict(store.frame("rules").select("rule_id", "status").iter_rows())
    assert status == {LOW.rule_id: "approved", HIGH.rule_id: "proposed", ALSO.rule_id: "proposed"}
    assert "1 approved." in words(at)
    assert at.subheader[0].value == plain(HIGH.text)


def test_rejecting_asks_for_a_reason_first(store: Store, tmp_path: Path) -> None:
    fill(store)
    at = press(press(drawn(store, tmp_path), "rules.on"), "rules.do_reject")
    assert set(store.frame("rules")["status"]) == {"proposed"}
    press(at, "rules.because.broad")
    (row,) = store.read("rule_decisions", rule_ids=[LOW.rule_id]).to_pylist()
    assert (row["decision"], row["account"], row["reason"]) == ("reject", "dora", "holds for too many pairs")


def test_a_reason_of_ones_own_is_kept(store: Store, tmp_path: Path) -> None:
    fill(store)
    at = press(press(drawn(store, tmp_path), "rules.on"), "rules.do_reject")
    at.text_input(key="rules.reason").set_value("reads the title only").run()
    (row,) = store.read("rule_decisions", rule_ids=[LOW.rule_id]).to_pylist()
    assert row["reason"] == "reads the title only"


def test_the_next_version_is_counted_before_it_can_be_saved(store: Store, tmp_path: Path) -> None:
    fill(store)
    at = press(press(drawn(store, tmp_path), "rules.on"), "rules.do_edit")
    at.text_area(key=f"rules.condition.{LOW.rule_id}").set_value("term_overlap < 0.15")
    at.text_input(key=f"rules.edit_reason.{LOW.rule_id}").set_value("right on 1 only").run()
    assert at.button(key="rules.save").disabled
    press(at, "rules.count")
    assert at.dataframe[1].value.iloc[:, 1].to_list() == [4, 1]
    assert not at.button(key="rules.save").disabled
    press(at, "rules.save")
    status = dict(store.frame("rules").select("condition", "status").iter_rows())
    assert (status["term_overlap < 0.15"], status[LOW.condition]) == ("approved", "rejected")
    assert "the old one is rejected" in words(at)


def test_a_condition_that_is_none_is_told_with_the_nearest_column_and_nothing_is_lost(
    store: Store, tmp_path: Path
) -> None:
    fill(store)
    at = press(press(drawn(store, tmp_path), "rules.on"), "rules.do_edit")
    at.text_area(key=f"rules.condition.{LOW.rule_id}").set_value("term_overlop < 0.15")
    press(at, "rules.count")
    assert "term\\_overlap" in at.error[0].value
    assert at.text_area(key=f"rules.condition.{LOW.rule_id}").value == "term_overlop < 0.15"


def test_rules_are_narrowed_by_words(store: Store, tmp_path: Path) -> None:
    fill(store)
    at = drawn(store, tmp_path)
    at.text_input(key="rules.find").set_value("nearly").run()
    assert at.dataframe[0].value["rule"].to_list() == [ALSO.text]
    at.text_input(key="rules.find").set_value("no such words").run()
    assert "No rule fits" in words(at)


def test_guidelines_are_shown_as_text_and_decided(store: Store, tmp_path: Path) -> None:
    row = {"instruction_id": "i_1", "text": "# Grade *well*", "operator": "rewrite", "generation": 1}
    store.append({"instructions": [{**row, "run_id": "run_1", "created_at": now()}]})
    fill(store)
    at = drawn(store, tmp_path)
    at.segmented_control(key="rules.view").set_value("instructions").run()
    assert at.text[0].value == "# Grade *well*"
    press(at, "rules.approve.i_1")
    assert "approved by dora" in words(at)
    press(at, "rules.reject.i_1")
    assert "needs a reason" in at.error[0].value


def test_text_of_others_is_never_markdown(store: Store, tmp_path: Path) -> None:
    bad = make_rule("[x](javascript:alert(1)) <img src=x onerror=alert(1)> **b**", "true", 1)
    fill(store, rules=(bad,))
    at = press(drawn(store, tmp_path), "rules.on")
    assert at.subheader[0].value == plain(bad.text)
    assert "\\[x\\]\\(" in at.subheader[0].value and "\\<img" in at.subheader[0].value
