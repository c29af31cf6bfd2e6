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
from storage.rows import ResponseRow, SendBackRow
from storage.store import as_table
from tests.review_app.act_histories import ACCOUNTS, START, YEAR, Place, Sending, Step, play, send_back, sendings, steps
from tests.review_app.acts_model import effective_time, is_sent_back, is_withdrawn, own_acts, standing_act

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


def standing_ids(
    connection: Connection, rows: Sequence[ResponseRow], send_backs: Sequence[SendBackRow] = ()
) -> dict[tuple[str, str], str]:
    """Run the SQL over the rows; return what stands by pair and account."""
    for name, table, some in (("some_acts", "responses", rows), ("some_send_backs", "send_backs", send_backs)):
        given_rows = as_table(some) if some else connection.sql(f"from {table} limit 0").to_arrow_table()
        connection.register(name, given_rows)
    try:
        found = connection.execute(
            f"select pair_id, account, response_id from ({standing_sql('some_acts', 'some_send_backs')})"
        ).fetchall()
    finally:
        connection.unregister("some_acts")
        connection.unregister("some_send_backs")
    assert len({(pair_id, account) for pair_id, account, _ in found}) == len(found)
    return {(pair_id, account): response_id for pair_id, account, response_id in found}


def expected_ids(rows: Sequence[ResponseRow], send_backs: Sequence[SendBackRow] = ()) -> dict[tuple[str, str], str]:
    found = {(p, a): standing_act(rows, p, a, send_backs) for p in PAIR_IDS for a in ACCOUNTS}
    return {key: act.response_id for key, act in found.items() if act is not None}


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(drawn=st.lists(steps(3), min_size=4, max_size=14), sent=st.lists(sendings(3), max_size=3), data=st.data())
def test_whatever_has_arrived_the_sql_says_what_the_rules_say(
    database: Connection, drawn: list[Step], sent: list[Sending], data: st.DataObject
) -> None:
    acts = play(PLACE, drawn)
    rows = data.draw(st.permutations([*acts, *send_back(PLACE, sent, acts)]))
    for n_arrived in range(len(rows) + 1):
        responses = [row for row in rows[:n_arrived] if isinstance(row, ResponseRow)]
        send_backs = [row for row in rows[:n_arrived] if isinstance(row, SendBackRow)]
        assert standing_ids(database, responses, send_backs) == expected_ids(responses, send_backs)


@many
@given(drawn=st.lists(steps(3), min_size=4, max_size=14), sent=st.lists(sendings(3), max_size=3))
def test_the_order_and_the_undone_and_sent_back_of_every_act_are_the_rules(
    database: Connection, drawn: list[Step], sent: list[Sending]
) -> None:
    rows = play(PLACE, drawn)
    send_backs = send_back(PLACE, sent, rows)
    for name, table, some in (("some_acts", "responses", rows), ("some_send_backs", "send_backs", send_backs)):
        database.register(name, as_table(some) if some else database.sql(f"from {table} limit 0").to_arrow_table())
    found = {
        response_id: told
        for response_id, *told in database.execute(
            "select response_id, effective_at, is_withdrawn, is_sent_back "
            f"from ({acts_sql('some_acts', 'some_send_backs')})"
        ).fetchall()
    }
    database.unregister("some_acts")
    database.unregister("some_send_backs")
    expected = {}
    for act in rows:
        own = own_acts(rows, act.pair_id, act.account)
        told = [effective_time(act, own), is_withdrawn(act, own), is_sent_back(act, send_backs)]
        expected[act.response_id] = told
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
