"""The SQL of what stands: the views are its text, it agrees with the rules worked out row by row, pair by pair."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.process.migrate import migrate
from storage.process.standing import acts_sql, current_judgments_sql, standing_sql
from storage.rows import ResponseRow
from storage.store import as_table
from tests.review_app.act_histories import ACCOUNTS, START, YEAR, Place, Step, play, steps
from tests.review_app.acts_model import effective_time, is_withdrawn, own_acts, standing_act

PLACE = Place("x", (("p_0", "c_0"), ("p_1", "c_1"), ("p_2", "c_2")))
PAIR_IDS = [pair_id for pair_id, _ in PLACE.pairs]
Connection = duckdb.DuckDBPyConnection


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with duckdb.connect(str(tmp_path_factory.mktemp("standing") / "x.duckdb")) as connection:
        migrate(connection)
        yield connection


@pytest.mark.parametrize(
    ("view", "text"),
    [
        ("standing_responses", standing_sql("responses")),
        ("current_judgments", current_judgments_sql("judgments", "standing_responses")),
    ],
)
def test_a_view_is_the_text_the_owner_runs_over_touched_pairs(database: Connection, view: str, text: str) -> None:
    """Both as the database writes them, so that a later migration of the view counts too."""
    database.execute(f"create or replace view the_text as {text}")
    said = {
        name: re.sub(r"\s+", " ", sql.split(" AS ", 1)[1])
        for name, sql in database.execute("select view_name, sql from duckdb_views() where not internal").fetchall()
    }
    assert said[view] == said["the_text"]


def standing_ids(connection: Connection, rows: Sequence[ResponseRow]) -> dict[tuple[str, str], str]:
    """Run the SQL over the rows; return what stands by pair and account."""
    given_rows = as_table(rows) if rows else connection.sql("from responses limit 0").to_arrow_table()
    connection.register("some_acts", given_rows)
    try:
        found = connection.execute(
            f"select pair_id, account, response_id from ({standing_sql('some_acts')})"
        ).fetchall()
    finally:
        connection.unregister("some_acts")
    assert len({(pair_id, account) for pair_id, account, _ in found}) == len(found)
    return {(pair_id, account): response_id for pair_id, account, response_id in found}


def expected_ids(rows: Sequence[ResponseRow]) -> dict[tuple[str, str], str]:
    found = {(p, a): standing_act(rows, p, a) for p in PAIR_IDS for a in ACCOUNTS}
    return {key: act.response_id for key, act in found.items() if act is not None}


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(drawn=st.lists(steps(3), min_size=4, max_size=14), data=st.data())
def test_whatever_has_arrived_the_sql_says_what_the_rules_say(
    database: Connection, drawn: list[Step], data: st.DataObject
) -> None:
    rows = data.draw(st.permutations(play(PLACE, drawn)))
    for n_arrived in range(len(rows) + 1):
        assert standing_ids(database, rows[:n_arrived]) == expected_ids(rows[:n_arrived])


@many
@given(drawn=st.lists(steps(3), min_size=4, max_size=14))
def test_the_order_and_the_undone_of_every_act_are_the_rules(database: Connection, drawn: list[Step]) -> None:
    rows = play(PLACE, drawn)
    database.register("some_acts", as_table(rows) if rows else database.sql("from responses limit 0").to_arrow_table())
    found = {
        response_id: (effective_at, withdrawn)
        for response_id, effective_at, withdrawn in database.execute(
            f"select response_id, effective_at, is_withdrawn from ({acts_sql('some_acts')})"
        ).fetchall()
    }
    database.unregister("some_acts")
    expected = {}
    for act in rows:
        own = own_acts(rows, act.pair_id, act.account)
        expected[act.response_id] = (effective_time(act, own), is_withdrawn(act, own))
    assert found == expected


@many
@given(drawn=st.lists(steps(3), min_size=4, max_size=14))
def test_what_stands_on_a_pair_follows_from_its_own_rows_alone(database: Connection, drawn: list[Step]) -> None:
    rows = play(PLACE, drawn)
    everything = standing_ids(database, rows)
    for pair_id in PAIR_IDS:
        alone = standing_ids(database, [row for row in rows if row.pair_id == pair_id])
        assert alone == {key: found for key, found in everything.items() if key[0] == pair_id}


@many
@given(drawn=st.lists(steps(2), min_size=1, max_size=12), pick=st.integers(0, 1000), seconds=st.integers(-YEAR, YEAR))
def test_undoing_an_act_that_does_not_stand_changes_nothing(
    database: Connection, drawn: list[Step], pick: int, seconds: int
) -> None:
    rows = play(PLACE, drawn)
    before = standing_ids(database, rows)
    fallen = [row for row in rows if row.response_id not in before.values()]
    if not fallen:
        return
    target = fallen[pick % len(fallen)]
    undo = ResponseRow(
        response_id="a_undo",
        candidate_id=target.candidate_id,
        pair_id=target.pair_id,
        account=target.account,
        act="withdrawn",
        target_id=target.response_id,
        is_replayed=False,
        session="another tab",
        sequence=1,
        created_at=START + timedelta(seconds=seconds),
    )
    assert standing_ids(database, [*rows, undo]) == before
