"""Erasure: no word is left, in no row, file or old block; every row stays, in its place; and what remains is told."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Literal

import duckdb
import pyarrow as pa
import pytest

from storage.clock import now
from storage.errors import UserError
from storage.ids import action_id, content_id
from storage.people.accounts import Pin, pin_from_row
from storage.process.migrate import migrate
from storage.process.table_columns import columns_of
from storage.safekeeping import doctor
from storage.safekeeping.backup import back_up
from storage.safekeeping.erasure import Erased, erase
from storage.safekeeping.erasure_accounts import PEOPLE
from storage.safekeeping.erasure_scope import BLANKINGS, KEPT, MARK, REPORTED
from storage.safekeeping.erasure_seals import revoke_folders, unname
from storage.safekeeping.references import references
from storage.safekeeping.rewriting import take_over
from storage.snapshots.cutting import require_trainable, revoke, verify_snapshot
from storage.spool import Spool, drain
from tests.storage.conftest import People
from tests.storage.safekeeping import small_shop as made
from tests.storage.safekeeping.small_shop import Shop

Rows = list[tuple[Any, ...]]


def erase_from(shop: Shop, kind: Literal["source", "query", "account"], value: str, **more: Any) -> Erased:
    root, connection = shop
    given = {"account": "ada", "reason": "she asked", "run_id": "run_respond", **more}
    return erase(connection, root=root, kind=kind, value=value, **given)


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str, *params: object) -> Rows:
    return connection.execute(sql, list(params)).fetchall()


def places(connection: duckdb.DuckDBPyConnection) -> dict[str, Rows]:
    """Return (rowid, id) of every row there was, by table; erasure adds rows to four tables."""
    return {
        table: rows_of(connection, f"select rowid, {next(iter(columns))} from {table} order by rowid")
        for table, columns in columns_of(connection).items()
    }


def words_in_rows(connection: duckdb.DuckDBPyConnection, words: tuple[str, ...]) -> set[str]:
    """Return `table.column` wherever one of the words stands."""
    found = set()
    for table, columns in columns_of(connection).items():
        for column in columns:
            for word in words:
                if rows_of(connection, f"select 1 from {table} where contains({column}::varchar, ?) limit 1", word):
                    found.add(f"{table}.{column}")
    return found


def words_in_file(path: Path, words: tuple[str, ...]) -> list[str]:
    content = path.read_bytes()
    return [word for word in words if word.encode() in content]


def test_every_column_of_text_is_blanked_kept_or_reported() -> None:
    """A new column of text must be decided: it may hold somebody's words."""
    with duckdb.connect() as connection:
        migrate(connection)
        columns = columns_of(connection)
        named = {(reference.table, reference.column) for reference in references(connection)}
    blanked = {(b.table, column) for b in BLANKINGS for column in (*b.columns, *b.stamps)}
    kept_here = {("ingest_rejects", "reason")}  # one of our own words, such as unmapped_grade
    undecided = [
        f"{table}.{column}"
        for table, kinds in columns.items()
        for place, (column, kind) in enumerate(kinds.items())
        if kind in ("VARCHAR", "VARCHAR[]", "BLOB")
        and place > 0
        and (table, column) not in blanked | named | set(REPORTED) | kept_here
        and column not in KEPT
        and column not in PEOPLE
        and not column.endswith("_id")
    ]
    assert undecided == []
    gone = [f"{table}.{column}" for table, column in blanked | set(REPORTED) if column not in columns.get(table, ())]
    assert gone == []


def test_no_word_of_an_erased_query_is_left_in_any_row_or_block(shop: Shop) -> None:
    root, connection = shop
    words = ("call ann on 555", "call ann soon", "Secret shelf", "owner=ann")
    assert words_in_rows(connection, words) >= {
        "queries.text", "docs.title", "candidates.steps", "responses.steps", "judgments.steps", "llm_calls.request",
        "llm_calls.reply", "pair_features.doc_attributes", "pair_mutations.change", "ingest_rejects.record",
        "preferences.chosen",
    }  # fmt: skip
    assert words_in_file(root / "afrel.duckdb", words[:3]) == list(words[:3])
    # the pair of the other query has the same steps in this sample: what people wrote of it stays
    connection.execute("update candidates set steps = '[]' where pair_id = ?", [made.SHOP_PAIR])
    connection.execute("update responses set steps = null where pair_id = ?", [made.SHOP_PAIR])
    connection.execute("update judgments set steps = null where pair_id = ?", [made.SHOP_PAIR])
    erased = erase_from(shop, "query", made.SECRET)
    assert words_in_rows(connection, words) == set()
    connection.close()
    assert erased.rewritten is not None
    take_over(root, erased.rewritten)
    assert words_in_file(root / "afrel.duckdb", words) == []
    assert not (root / "afrel.duckdb.wal").exists()


def test_blanking_alone_leaves_the_words_in_the_file(shop: Shop) -> None:
    """Why the file is written anew: after an update and a checkpoint the old value is in it still."""
    root, connection = shop
    connection.execute("update queries set text = 'x' where query_id = ?", [made.QUERY_ID])
    connection.execute("update candidates set steps = '[]'")
    connection.execute("checkpoint").fetchall()
    assert words_in_file(root / "afrel.duckdb", (made.SECRET,)) == [made.SECRET]


def test_every_row_stays_in_its_place_also_where_lists_are_blanked(shop: Shop) -> None:
    root, connection = shop
    before = places(connection)
    erased = erase_from(shop, "query", made.QUERY_ID)
    now_there = places(connection)
    connection.close()
    assert erased.rewritten is not None
    take_over(root, erased.rewritten)
    with duckdb.connect(str(root / "afrel.duckdb")) as reopened:
        assert places(reopened) == now_there
        ((lists,),) = rows_of(
            reopened, "select query_terms || doc_attributes from pair_features where pair_id = ?", made.SHELF_PAIR
        )
        ((kept,),) = rows_of(reopened, "select query_terms from pair_features where pair_id = ?", made.SHOP_PAIR)
    assert (lists, kept) == ([], ["red", "sofa"])
    for table, held in before.items():
        assert now_there[table][: len(held)] == held, table
    added = {table: len(now_there[table]) - len(held) for table, held in before.items()}
    # three candidates set aside, one snapshot revoked; 2 queries, 1 doc, 3 pairs, 3 candidates, 1 reject, 2 calls noted
    assert {table: n for table, n in added.items() if n} == {"screenings": 3, "revocations": 1, "erasures": 12}


def test_rows_keep_their_places_in_a_table_of_many_row_groups(tmp_path: Path) -> None:
    """300,000 rows are three row groups; one row in seven is blanked."""
    connection = duckdb.connect(str(tmp_path / "afrel.duckdb"), config={"threads": 2})
    migrate(connection)
    connection.execute(
        "insert into queries select 'q_' || i, 'words ' || i, 'q_' || i, 'train', "
        "case when i % 7 = 0 then 'mail' else 'shop' end, 'run_1', timestamp '2025-01-01' from range(300000) t(i)"
    ).fetchall()
    connection.execute(
        "insert into pairs select 'p_' || i, 'q_' || i, 'd_1', 'train', 'import', 'shop', 'run_1', "
        "timestamp '2025-01-01' from range(300000) t(i)"
    ).fetchall()
    connection.execute(
        "insert into candidates select 'c_' || i, 'p_' || i, 1, '[[\"intent\", \"words\"]]', ['r_1'], 0.5, 'lexical', "
        "null, null, 'run_1', timestamp '2025-01-01' from range(300000) t(i)"
    ).fetchall()
    before = places(connection)
    started = time.monotonic()
    erased = erase((connection), root=tmp_path, kind="source", value="mail", account="ada", reason=None, run_id="run_1")
    seconds = time.monotonic() - started
    connection.close()
    assert erased.n_rows == {"queries": 42_858, "candidates": 42_858} and erased.rewritten is not None
    take_over(tmp_path, erased.rewritten)
    with duckdb.connect(str(tmp_path / "afrel.duckdb")) as reopened:
        after = places(reopened)
        assert after["candidates"] == before["candidates"] and after["queries"] == before["queries"]
        assert rows_of(reopened, "select count(*) from queries where text = ?", MARK) == [(42_858,)]
    assert seconds < 60


def test_a_query_takes_its_mutations_and_the_docs_only_it_has_and_leaves_the_others(shop: Shop) -> None:
    _, connection = shop
    erase_from(shop, "query", f"  {made.SECRET}\n")
    texts = dict(rows_of(connection, "select query_id, text from queries"))
    assert texts == {made.SOFA_QUERY_ID: "red sofa", made.QUERY_ID: MARK, made.CHILD_ID: MARK}
    assert dict(rows_of(connection, "select doc_id, title from docs")) == {
        made.SOFA["doc_id"]: "Sofa",
        made.SHELF["doc_id"]: MARK,
    }
    assert rows_of(connection, "select fields from docs where doc_id = ?", made.SHELF["doc_id"]) == [("{}",)]
    ((steps,),) = rows_of(connection, "select steps from candidates where pair_id = ?", made.SHOP_PAIR)
    assert steps == made.STEPS
    calls = dict(rows_of(connection, "select llm_call_id[-1:], reply from llm_calls"))
    assert calls == {"1": MARK, "2": "about red sofa", "3": MARK, "4": "about a rug"}
    rejects = dict(rows_of(connection, "select source || line || coalesce(value, ''), record from ingest_rejects"))
    assert sorted(rejects.values()) == [MARK, '{"query": "rug"}', '{"query": "x"}']


def test_a_mutation_is_erased_alone_and_its_root_stays(shop: Shop) -> None:
    _, connection = shop
    erase_from(shop, "query", made.CHILD_ID)
    texts = dict(rows_of(connection, "select query_id, text from queries"))
    assert texts == {made.SOFA_QUERY_ID: "red sofa", made.QUERY_ID: made.SECRET, made.CHILD_ID: MARK}
    assert rows_of(connection, "select change from pair_mutations") == [(MARK,)]


def test_a_source_takes_what_it_brought_its_rejects_and_its_rationales(shop: Shop) -> None:
    _, connection = shop
    erase_from(shop, "source", "shop")
    assert dict(rows_of(connection, "select source, text from queries where source <> 'mutation:reword'")) == {
        "shop": MARK,
        "mail": made.SECRET,
    }
    # the sofa is the shop's, so every pair with it is reached, the mail's too; the shelf is not
    steps = dict(rows_of(connection, "select pair_id, steps from judgments"))
    assert steps == {made.SHOP_PAIR: "[]", made.MAIL_PAIR: "[]", made.SHELF_PAIR: made.STEPS}
    values = rows_of(connection, "select source, value, record from ingest_rejects order by value")
    assert values == [("shop", MARK, MARK), ("shop", MARK, MARK), ("mail", "her own words", '{"query": "x"}')]
    assert rows_of(connection, "select external_id from external_ids order by 1") == [(MARK,), ("ann's number",)]
    assert ("source", "shop") in rows_of(connection, "select kind, content_id from erasures")


def test_a_source_that_only_judged_another_ones_pair_loses_its_rationale_and_nothing_else(shop: Shop) -> None:
    _, connection = shop
    judgment_id = content_id("j", "import", "judges", made.SHOP_PAIR)
    made.insert(
        connection,
        "judgments",
        [
            {
                "judgment_id": judgment_id, "pair_id": made.SHOP_PAIR, "grade": 2, "origin": "import:judges",
                "response_ids": ["a"], "steps": made.STEPS, "is_replayed": False, "run_id": "run_ingest",
                "created_at": made.AT,
            }
        ],
    )  # fmt: skip
    made.insert(connection, "ingest_rejects", [reject("judges")])
    erased = erase_from(shop, "source", "judges")
    assert erased.n_rows == {"judgments": 1, "ingest_rejects": 1}
    assert rows_of(connection, "select steps, grade from judgments where judgment_id = ?", judgment_id) == [("[]", 2)]
    assert rows_of(connection, "select count(*) from queries where text = ?", MARK) == [(0,)]


def reject(source: str) -> dict[str, Any]:
    return {
        "ingest_reject_id": content_id("ir", "abc", 1, "empty_doc", "v"), "source": source, "line": 1,
        "reason": "empty_doc", "value": "v", "record": "{}", "run_id": "run_ingest", "created_at": made.AT,
    }  # fmt: skip


def test_erased_pairs_are_set_aside_and_noted_so_that_nobody_takes_their_marks_for_words(shop: Shop) -> None:
    _, connection = shop
    erase_from(shop, "query", made.QUERY_ID)
    status = dict(rows_of(connection, "select pair_id, status from candidate_status"))
    reached = {made.MAIL_PAIR, made.SHELF_PAIR, made.CHILD_PAIR}
    assert status == {made.SHOP_PAIR: "awaiting_review", **dict.fromkeys(reached, "set_aside")}
    assert rows_of(connection, "select count(*) from queue") == [(1,)]
    assert {c for (c,) in rows_of(connection, "select content_id from erasures where kind = 'pair'")} == reached
    ((who, why, at),) = rows_of(
        connection, "select account, reason, created_at from erasures where content_id = ?", made.QUERY_ID
    )
    assert (who, why) == ("ada", "she asked") and at <= now()


def test_a_blanked_reply_no_longer_counts_as_a_good_one(shop: Shop) -> None:
    _, connection = shop
    erase_from(shop, "query", made.QUERY_ID)
    assert rows_of(connection, "select count(*) from llm_calls where failure is null and reply = ?", MARK) == [(0,)]
    assert rows_of(connection, "select json_extract_string(chosen, '$.grade'), chosen from preferences") == [
        ("1", '{"grade":1,"steps":[]}')
    ]


def test_erasing_twice_changes_nothing_the_second_time(shop: Shop) -> None:
    _, connection = shop
    erase_from(shop, "query", made.SECRET)
    before = {table: rows_of(connection, f"select rowid, * from {table}") for table in columns_of(connection)}
    for again in (made.SECRET, made.QUERY_ID):
        erased = erase_from(shop, "query", again)
        assert erased.n_rows == {} and erased.snapshots and erased.rewritten is not None
    for table, rows in before.items():
        assert rows_of(connection, f"select rowid, * from {table}") == rows, table


def test_a_dry_run_counts_the_same_and_writes_nothing(shop: Shop) -> None:
    root, connection = shop
    before = {table: rows_of(connection, f"select rowid, * from {table}") for table in columns_of(connection)}
    files = sorted(path for path in root.rglob("*") if path.name != "afrel.duckdb.wal")
    dry = erase_from(shop, "query", made.SECRET, is_dry=True)
    assert sorted(path for path in root.rglob("*") if path.name != "afrel.duckdb.wal") == files
    for table, rows in before.items():
        assert rows_of(connection, f"select rowid, * from {table}") == rows, table
    real = erase_from(shop, "query", made.SECRET)
    assert dry.n_rows == real.n_rows and dry.snapshots == real.snapshots and dry.rewritten is None
    assert {r.where for r in dry.remains} == {r.where for r in real.remains}


def test_an_erasure_that_fails_halfway_is_undone(shop: Shop) -> None:
    _, connection = shop
    before = {table: rows_of(connection, f"select rowid, * from {table}") for table in columns_of(connection)}
    connection.execute("alter table erasures rename to gone")
    with pytest.raises(duckdb.CatalogException):
        erase_from(shop, "query", made.SECRET)
    connection.execute("alter table gone rename to erasures")
    for table, rows in before.items():
        assert rows_of(connection, f"select rowid, * from {table}") == rows, table


def test_the_commit_is_counted(shop: Shop) -> None:
    _, connection = shop
    erase_from(shop, "query", made.SECRET)
    assert rows_of(connection, "select n_commits from position") == [(1,)]


def test_what_is_not_there_is_said_with_what_is(shop: Shop) -> None:
    for kind, value, said in (
        ("query", "blue lamp", "there is no query 'blue lamp'"),
        ("query", "q_0000000000000000", "there is no query"),
        ("source", "post", "there is no source 'post'; there are mail, mutation:reword, shop"),
        ("account", "bo", "there is no account 'bo' to erase; there are ada, cy, jo, rex"),
        ("account", "ada", "ada cannot erase ada"),
    ):
        with pytest.raises(UserError, match=said):
            erase_from(shop, kind, value)  # type: ignore[arg-type]


def test_snapshots_that_hold_it_are_revoked_and_their_models_backups_and_folders_named(
    shop: Shop, tmp_path: Path
) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "kept")
    back_up(connection, root=root, target=tmp_path / "moved")
    (tmp_path / "moved").rename(tmp_path / "elsewhere")
    (root / "backups").mkdir()
    (root / "backups" / "schema-0003.duckdb").write_text("")
    holders = {
        s for (s,) in rows_of(connection, "select snapshot_id from tier_members where pair_id = ?", made.MAIL_PAIR)
    }
    (holder,) = holders
    run = f"run_on_{holder[5:]}"
    (root / "runs" / run).mkdir(parents=True)
    (root / "runs" / "run_away").mkdir()
    (root / "runs" / "run_away" / "run.json").write_text(json.dumps({"snapshot_id": holder}))
    connection.execute(
        "insert into rules values ('r_1', 'if call ann on 555', 'x', 1, null, 'm', 'run_1', now()::timestamp)"
    )
    erased = erase_from(shop, "query", made.SECRET)
    assert erased.snapshots == (holder,)
    assert rows_of(connection, "select snapshot_id, tier, account, reason from revocations") == [
        (holder, None, "ada", "a text in it was erased: she asked")
    ]
    commands = {remains.where: remains.command for remains in erased.remains}
    folder = root / "snapshots" / holder
    assert commands == {
        str(folder): f"rm -r {folder}",
        str(root / "runs" / run): f"rm -r {root / 'runs' / run}",
        str(root / "runs" / "run_away"): f"rm -r {root / 'runs' / 'run_away'}",
        str(tmp_path / "kept"): f"rm -r {tmp_path / 'kept'}",
        str(tmp_path / "moved"): "remove it, if it was moved elsewhere",
        str(root / "backups" / "schema-0003.duckdb"): f"rm {root / 'backups' / 'schema-0003.duckdb'}",
        "rules": "afrel --as ACCOUNT approve RULE --reject, if its sentence or condition tells too much",
    }
    assert rows_of(connection, "select text from rules") == [("if call ann on 555",)]


def test_a_model_that_saw_only_other_rows_and_a_backup_made_before_are_not_named(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    connection.execute("update pairs set split = 'test' where pair_id = ?", [made.MAIL_PAIR])
    line = {"path": str(tmp_path), "made_at": "2025-02-28T00:00:00"}
    (root / "backups.jsonl").write_text(json.dumps(line) + "\n")
    erased = erase_from(shop, "query", made.SECRET)
    assert [remains.where for remains in erased.remains] == [str(root / "snapshots" / erased.snapshots[0])]


def test_the_published_copy_goes(shop: Shop) -> None:
    root, _ = shop
    (root / "published.duckdb").write_text("call ann on 555")
    erase_from(shop, "query", made.SECRET, is_dry=True)
    assert (root / "published.duckdb").exists()
    erase_from(shop, "query", made.SECRET)
    assert not (root / "published.duckdb").exists()


def spooled(query: str, name: str = "9") -> dict[str, Any]:
    return {**made.call(name, query), "created_at": made.AT.isoformat()}


def test_spools_of_the_dead_are_cleaned_and_their_other_replies_stay(shop: Shop) -> None:
    root, _ = shop
    with Spool(root / "spool", "run_label") as spool:
        spool.append(spooled(made.SECRET))
        spool.append(spooled("red sofa", "8"))
    with (root / "spool" / spool.path.name).open("a") as file:
        file.write('{"request": "call ann on')
    erased = erase_from(shop, "query", made.SECRET)
    assert erased.n_spooled == 2
    (path,) = (root / "spool").iterdir()
    assert "call ann" not in path.read_text()
    ((first, second),) = [drained.records for drained in drain(root / "spool")]
    assert (first["request"], first["reply"], first["failure"]) == ("{}", MARK, "erased")
    assert second == spooled("red sofa", "8")


def test_the_spool_of_a_living_worker_is_left_alone_and_named(shop: Shop) -> None:
    root, _ = shop
    with Spool(root / "spool", "run_label") as spool:
        spool.append(spooled(made.SECRET))
        erased = erase_from(shop, "query", made.SECRET)
        assert made.SECRET in spool.path.read_text()
    assert str(spool.path) in [remains.where for remains in erased.remains]
    assert erase_from(shop, "query", made.SECRET).n_spooled == 1


def test_who_opened_a_spool_before_it_was_cleaned_finds_it_gone(shop: Shop) -> None:
    root, _ = shop
    with Spool(root / "spool", "run_label") as spool:
        spool.append(spooled(made.SECRET))
    erase_from(shop, "query", made.SECRET)
    assert not spool.path.exists()


def test_rows_that_come_back_are_found_by_doctor_and_erased_again(shop: Shop) -> None:
    root, connection = shop

    def wrong() -> list[str]:
        return [f.what for f in doctor.examine(connection, root=root) if f.severity.value == "wrong"]

    erase_from(shop, "query", made.QUERY_ID)
    lacking = "revocations that the folder lacks: its list was put back"
    assert wrong() == [lacking]  # the command seals it with the admin's key
    late = content_id("c", made.MAIL_PAIR, 2, made.STEPS, "lexical", None, made.RULE_BOOK)
    row = {"candidate_id": late, "pair_id": made.MAIL_PAIR, "grade": 2, "steps": made.STEPS, "rule_ids": ["r"]}
    row |= {"proposer": "lexical", "run_id": "run_label", "created_at": made.AT}
    made.insert(connection, "candidates", [{**row, "rule_ids": pa.scalar([], pa.list_(pa.string())).as_py()}])
    assert "rows that speak of erased texts" in wrong()
    erase_from(shop, "query", made.QUERY_ID)
    assert "rows that speak of erased texts" not in wrong()


def test_an_erased_account_leaves_its_name_nowhere_and_its_acts_in_one_hand(shop: Shop) -> None:
    root, connection = shop
    acts = rows_of(connection, "select response_id, pair_id, grade, steps from responses where account = 'rex'")
    standing = rows_of(connection, "select response_id from standing_responses order by 1")
    before = places(connection)
    erased = erase_from(shop, "account", "rex")
    assert erased.name.startswith("erased_") and erased.n_rows["responses"] == 4
    assert words_in_rows(connection, ("rex",)) == set()
    held = rows_of(
        connection, "select response_id, pair_id, grade, steps from responses where account = ?", erased.name
    )
    assert held == acts
    assert rows_of(connection, "select response_id from standing_responses order by 1") == standing
    for table, rows in before.items():
        assert places(connection)[table][: len(rows)] == rows
    connection.close()
    assert erased.rewritten is not None
    take_over(root, erased.rewritten)
    assert words_in_file(root / "afrel.duckdb", ("tab rex",)) == []


def test_a_guessed_name_cannot_be_confirmed_from_the_acts_of_an_erased_account(shop: Shop) -> None:
    _, connection = shop
    sql = "select response_id, session, sequence from responses"
    assert any(response_id == action_id("rex", session, n) for response_id, session, n in rows_of(connection, sql))
    erase_from(shop, "account", "rex")
    assert not any(response_id == action_id("rex", session, n) for response_id, session, n in rows_of(connection, sql))


def test_the_sessions_of_an_erased_account_keep_their_order(shop: Shop) -> None:
    """Two answers of one moment on one pair: the later session's stands, before and after."""
    _, connection = shop
    for session, grade in (("a tab", 0), ("z tab", 2)):
        made.insert(
            connection,
            "responses",
            [
                {
                    "response_id": action_id("rex", session, 1), "candidate_id": "c", "pair_id": made.SHELF_PAIR,
                    "account": "rex", "act": "submitted", "grade": grade, "is_replayed": False, "session": session,
                    "sequence": 1, "created_at": made.AT,
                }
            ],
        )  # fmt: skip
    sql = "select grade from standing_responses where pair_id = ? and starts_with(session, ?)"
    assert rows_of(connection, sql, made.SHELF_PAIR, "z") == [(2,)]
    erase_from(shop, "account", "rex")
    assert rows_of(connection, sql, made.SHELF_PAIR, "erased_") == [(2,)]


def test_an_erased_account_may_do_nothing_and_keeps_what_verifies_its_past(shop: Shop, people: People) -> None:
    _, connection = shop
    erased = erase_from(shop, "account", "cy")
    ((role, key, pseudonym),) = rows_of(
        connection, "select role, public_key, pseudonym from current_accounts where account = ?", erased.name
    )
    assert role == "retired curator"
    assert (key, pseudonym) == (people.pins["cy"].public_key, people.pins["cy"].pseudonym)
    assert rows_of(connection, "select count(*) from snapshots where account = ?", erased.name) == [(2,)]


def test_two_erased_accounts_stay_apart_and_the_ids_of_their_acts_are_accepted(shop: Shop) -> None:
    root, connection = shop
    first, second = (erase_from(shop, "account", name).name for name in ("rex", "jo"))
    assert first != second
    per_account = dict(rows_of(connection, "select account, count(*) from responses group by account"))
    assert per_account == {first: 4, second: 4}
    assert [f.what for f in doctor.examine(connection, root=root) if f.is_fault] == []


def test_backups_and_files_with_the_name_of_an_erased_account_are_named(shop: Shop, tmp_path: Path) -> None:
    root, connection = shop
    back_up(connection, root=root, target=tmp_path / "kept")
    (root / "team.txt").write_text("ask rex\n")
    connection.execute("update runs set config = '{\"by\": \"rex\"}' where run_id = 'run_respond'")
    erased = erase_from(shop, "account", "rex")
    assert [remains.where for remains in erased.remains] == [str(tmp_path / "kept"), str(root / "team.txt"), "runs"]


def pins_after(connection: duckdb.DuckDBPyConnection) -> dict[str, Pin]:
    rows = connection.sql("select * from current_accounts").to_arrow_table().to_pylist()
    return {row["account"]: pin_from_row(row) for row in rows}


def test_a_snapshot_that_held_an_erased_text_trains_nothing_any_more(shop: Shop, people: People) -> None:
    root, connection = shop
    erased = erase_from(shop, "query", made.SECRET)
    (holder,) = erased.snapshots
    directory = root / "snapshots" / holder
    require_trainable(directory, people.pins)
    sealed = {"key": people.keys["ada"], "pins": people.pins, "reason": "she asked"}
    assert list(revoke_folders(root / "snapshots", erased.snapshots, **sealed)) == []
    with pytest.raises(UserError, match="a text in it was erased: she asked"):
        require_trainable(directory, people.pins)
    assert verify_snapshot(directory, people.pins).problems == ()
    assert [f.what for f in doctor.examine(connection, root=root) if f.is_fault] == []
    assert list(revoke_folders(root / "snapshots", erased.snapshots, **sealed)) == []


def test_a_folder_whose_revocations_cannot_be_trusted_is_named_and_the_others_are_sealed(
    shop: Shop, people: People
) -> None:
    root, _ = shop
    first, second = sorted((root / "snapshots").iterdir())
    (first / "revocations.json").write_text("{}")
    sealed = {"key": people.keys["ada"], "pins": people.pins, "reason": None}
    (remains,) = revoke_folders(root / "snapshots", [first.name, "snap_gone", second.name], **sealed)
    assert remains.where == str(first) and remains.command == f"rm -r {first}"
    assert len(verify_snapshot(second, people.pins).revoked) == 1


@pytest.mark.parametrize("name", ["cy", "jo"])
def test_snapshots_still_verify_when_who_cut_or_signed_them_is_erased(shop: Shop, people: People, name: str) -> None:
    """cy cut both and so signed their empty lists of revocations; jo signed their tiers and revoked the first."""
    root, connection = shop
    folders = sorted((root / "snapshots").iterdir())
    revoke(folders[0], people.keys["jo"], tier=None, reason="wrong", pins=people.pins)
    told = list(unname(root / "snapshots", name, key=people.keys["ada"], pins=people.pins))
    erase_from(shop, "account", name)
    pins = pins_after(connection)
    for folder in folders:
        verification = verify_snapshot(folder, pins)
        assert (verification.problems, verification.not_counted) == ((), ())
        assert verification.cutter is not None and verification.cutter.public_key == people.pins["cy"].public_key
        assert verification.signed_tiers == {1: () if name == "jo" else ("jo",)}
        assert len(verification.revoked) == (folder == folders[0])
        texts = [path.name + path.read_text() for path in folder.rglob("*.json")]
        assert not any(f'"{name}"' in text or f".{name}." in text for text in texts)
    signs = [f"afrel --as ACCOUNT sign {folder.name} --tier 1" for folder in folders]
    assert [remains.command for remains in told] == (signs if name == "jo" else [])
    assert list(unname(root / "snapshots", name, key=people.keys["ada"], pins=pins)) == []
