"""Questions in SQL from the page: answered beside it, stopped at a word, kept by name, taken away as files."""

from __future__ import annotations

import csv
import io
import json
import time

import pyarrow.parquet as pq
import pytest

from review_app import sql_desk
from review_app.long_work import Work
from storage.errors import UserError
from storage.store import Store
from tests.review_app.tier_shop import Shop

SECONDS = 90


def answer(shop: Shop, store: Store, sql: str, *, by: str = "cleo") -> sql_desk.Answer:
    work = ended(shop, store, sql, by=by)
    assert work.refused is None and work.broke is None
    assert isinstance(work.outcome, sql_desk.Answer)
    return work.outcome


def ended(shop: Shop, store: Store, sql: str, *, by: str = "cleo") -> Work:
    work = sql_desk.begin_query(shop.people[by], shop.workspace, store, "tab", sql)
    assert work.wait(SECONDS)
    return work


def test_an_answer_says_of_which_copy_it_is(shop: Shop, shop_store: Store) -> None:
    assert sql_desk.copy_made_at(shop.people["cleo"], shop.workspace) is None
    told = answer(shop, shop_store, "select count(*) as n from judgments where grade is not null")
    assert told.result.table.to_pylist() == [{"n": 16}]  # the grades of the four test pairs are blank
    assert told.copy_at is not None
    assert told.copy_at == sql_desk.copy_made_at(shop.people["cleo"], shop.workspace)


def test_a_misspelt_column_is_answered_with_the_nearest(shop: Shop, shop_store: Store) -> None:
    work = ended(shop, shop_store, "select gradee from judgments")
    assert work.refused is not None and "Did you mean judgments.grade?" in work.refused


def test_a_stopped_query_is_over_at_once_and_the_next_one_runs(shop: Shop, shop_store: Store) -> None:
    cleo = shop.people["cleo"]
    slow = "select count(*) from range(1000000) a, range(1000000) b where a.range + b.range = -1"
    work = sql_desk.begin_query(cleo, shop.workspace, shop_store, "tab", slow)
    while not (shop.workspace.root / "published.duckdb").exists():
        time.sleep(0.05)
    with pytest.raises(UserError, match="still running"):
        sql_desk.begin_query(cleo, shop.workspace, shop_store, "tab", "select 1")
    stopped_at = time.monotonic()
    sql_desk.stop_query(cleo, shop.workspace, "tab")
    assert work.wait(SECONDS)
    assert time.monotonic() - stopped_at < 5
    assert work.refused == "the query was stopped"
    assert answer(shop, shop_store, "select 1 as one").result.table.to_pylist() == [{"one": 1}]


def test_tabs_and_people_do_not_see_each_others_queries(shop: Shop, shop_store: Store) -> None:
    answer(shop, shop_store, "select 1")
    assert sql_desk.query_work(shop.people["eli"], shop.workspace, "tab") is None
    assert sql_desk.query_work(shop.people["cleo"], shop.workspace, "other tab") is None


def test_the_schema_names_tables_views_and_columns_with_types(shop: Shop, shop_store: Store) -> None:
    work = sql_desk.begin_schema(shop.people["eli"], shop.workspace, shop_store)
    assert work.wait(SECONDS)
    tables = {table.name: table for table in work.outcome.tables}
    assert tables["lineage"].is_view and not tables["judgments"].is_view
    types = {column.name: column.type for column in tables["judgments"].columns}
    assert (types["grade"], types["response_ids"]) == ("INTEGER", "VARCHAR[]")
    assert "accounts" not in tables
    assert sql_desk.begin_schema(shop.people["eli"], shop.workspace, shop_store) is work  # the copy is the same


def test_renewing_brings_what_was_saved_since(shop: Shop, shop_store: Store) -> None:
    cleo = shop.people["cleo"]
    assert answer(shop, shop_store, "from saved_queries").result.table.num_rows == 0
    assert sql_desk.save(cleo, shop_store, "ones", "select 1", replaces=False)
    assert answer(shop, shop_store, "from saved_queries").result.table.num_rows == 0
    assert sql_desk.begin_renew(cleo, shop.workspace, shop_store).wait(SECONDS)
    assert answer(shop, shop_store, "from saved_queries").result.table.num_rows == 1


def test_a_name_in_use_is_replaced_only_on_purpose(shop: Shop, shop_store: Store) -> None:
    cleo, eli = shop.people["cleo"], shop.people["eli"]
    assert sql_desk.save(cleo, shop_store, "ones", "select 1", replaces=False)
    assert not sql_desk.save(eli, shop_store, "ones", "select 1", replaces=False)
    with pytest.raises(UserError, match="ones is kept already, by person_cleo"):
        sql_desk.save(eli, shop_store, "ones", "select 2", replaces=False)
    assert sql_desk.save(eli, shop_store, "ones", "select 2", replaces=True)
    (query,) = sql_desk.list_saved(cleo, shop_store)
    assert (query.name, query.sql, query.pseudonym) == ("ones", "select 2", "person_eli")


def test_files_hold_the_answer_and_run_nothing(shop: Shop, shop_store: Store) -> None:
    cleo = shop.people["cleo"]
    told = answer(shop, shop_store, "select '=1+1' as cell, 1.5::decimal(3, 1) as x, [1, 2] as xs")
    text = sql_desk.as_csv(cleo, told)
    assert text.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(text.decode("utf-8-sig")))) == [["cell", "x", "xs"], ["'=1+1", "1.5", "[1, 2]"]]
    assert json.loads(sql_desk.as_json(cleo, told)) == [{"cell": "=1+1", "x": 1.5, "xs": [1, 2]}]
    assert pq.read_table(io.BytesIO(sql_desk.as_parquet(cleo, told))).equals(told.result.table)


def test_a_part_of_an_answer_is_no_parquet_file(shop: Shop, shop_store: Store) -> None:
    told = answer(shop, shop_store, "from range(10001)")
    assert told.result.is_truncated and told.result.table.num_rows == 10_000
    with pytest.raises(UserError, match="more than 10,000 rows"):
        sql_desk.as_parquet(shop.people["cleo"], told)


def test_a_chart_has_numbers_that_rise_and_no_lists(shop: Shop, shop_store: Store) -> None:
    told = answer(shop, shop_store, "select 'a' as name, 1 as n, 2.50::decimal(5, 2) as cost, [1] as xs, true as is_it")
    assert sql_desk.chartable(told) == (["name", "n", "cost", "is_it"], ["n", "cost"])
    assert sql_desk.chart_rows(told, ["name", "cost", "name"], most=5) == [{"name": "a", "cost": 2.5}]


@pytest.mark.parametrize("account", ["ana", "dora"])
def test_reviewers_and_adjudicators_ask_nothing(shop: Shop, shop_store: Store, account: str) -> None:
    person = shop.people[account]
    for refused in (
        lambda: sql_desk.begin_query(person, shop.workspace, shop_store, "tab", "select 1"),
        lambda: sql_desk.begin_schema(person, shop.workspace, shop_store),
        lambda: sql_desk.begin_renew(person, shop.workspace, shop_store),
        lambda: sql_desk.list_saved(person, shop_store),
        lambda: sql_desk.save(person, shop_store, "ones", "select 1", replaces=False),
        lambda: sql_desk.copy_made_at(person, shop.workspace),
    ):
        with pytest.raises(UserError, match="may not run SQL"):
            refused()
