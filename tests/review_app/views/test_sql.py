"""The page of SQL without a browser: the editor's text is what the session holds."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from review_app.long_work import WORK
from review_app.views.sql_editor import TEXT_KEY
from review_app.views.tab import KEY as TAB_KEY
from storage.store import Store
from tests.review_app.tier_shop import Shop
from tests.review_app.views.drawn import button, drawn, field, words

SECONDS = 90


def asked(app: AppTest, shop: Shop, sql: str) -> AppTest:
    """Run SQL on a drawn page; return the page with what came of it."""
    app.session_state[TEXT_KEY] = sql
    button(app, "Run").click().run()
    work = WORK.find(("sql", shop.workspace.root, "cleo", app.session_state[TAB_KEY]))
    if work is not None:
        assert work.wait(SECONDS)
        app.run()
    assert not app.exception
    return app


@pytest.fixture
def page(shop: Shop) -> AppTest:
    app = drawn(shop, "sql", "cleo")
    work = WORK.find(("schema", shop.workspace.root))
    assert work is not None and work.wait(SECONDS) and work.refused is None
    return app.run()


def test_an_answer_is_a_table_with_its_size_and_the_copy_it_is_of(page: AppTest, shop: Shop) -> None:
    asked(page, shop, "select split, count(*) as n from pairs group by split order by n desc")
    table = page.dataframe[0].value
    assert table.to_dict("list") == {"split": ["train", "dev", "test"], "n": [12, 4, 4]}
    assert "Rows: 3, columns: 2" in words(page) and "Answers come from the copy of" in words(page)
    assert [one.label for one in page.get("download_button")] == ["CSV", "JSON", "Parquet"]


def test_an_error_is_told_and_the_last_answer_stays(page: AppTest, shop: Shop) -> None:
    asked(page, shop, "select 1 as one")
    asked(page, shop, "select gradee from judgments")
    assert "Did you mean judgments.grade?" in words(page)
    assert page.dataframe[0].value.to_dict("list") == {"one": [1]}
    asked(page, shop, "select 2 as two")
    assert not page.error


def test_a_cut_off_answer_says_so_and_gives_no_parquet(page: AppTest, shop: Shop) -> None:
    asked(page, shop, "from range(10001)")
    assert "the first 10,000 are shown" in words(page)
    assert button(page, "Parquet").disabled


def test_queries_are_kept_loaded_and_replaced_on_purpose(page: AppTest, served_store: Store) -> None:
    page.session_state[TEXT_KEY] = "select 1 as one"
    field(page, "Save the editor's query as").set_value("ones")
    button(page, "Save").click().run()
    assert "Saved as ones." in words(page)
    page.session_state[TEXT_KEY] = "select 2 as two"
    field(page, "Save the editor's query as").set_value("ones")
    button(page, "Save").click().run()
    assert "ones is saved already, by person_cleo" in words(page)
    page.checkbox[0].set_value(True)
    field(page, "Save the editor's query as").set_value("ones")
    button(page, "Save").click().run()
    assert served_store.read("saved_queries").column("sql").to_pylist() == ["select 2 as two"]
    page.session_state[TEXT_KEY] = ""
    button(page, "Put into the editor").click().run()
    assert page.session_state[TEXT_KEY] == "select 2 as two"


def test_what_was_asked_is_listed_the_newest_first(page: AppTest, shop: Shop) -> None:
    asked(page, shop, "select 1 as one")
    asked(page, shop, "select nothing")
    (history,) = [one for one in page.selectbox if one.key == "sql.history_of"]
    assert [option.split(" · ", 1)[1] for option in history.options] == [
        "no answer · select nothing",
        "rows 1 · select 1 as one",
    ]


def test_a_chart_is_drawn_of_the_columns_that_are_chosen(page: AppTest, shop: Shop) -> None:
    asked(page, shop, "select split, count(*) as n from pairs group by split")
    assert field(page, "Along", "selectbox").options == ["split", "n"]
    assert field(page, "Height", "selectbox").options == ["n"]
    assert len(page.get("vega_lite_chart")) == 1


@pytest.mark.parametrize("account", ["ana", "dora"])
def test_who_may_not_ask_sees_nothing(shop: Shop, account: str) -> None:
    app = drawn(shop, "sql", account)
    assert "may not run SQL" in words(app)
    assert not app.button
