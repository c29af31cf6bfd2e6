"""A small workspace with a row in almost every table, made of true ids: what doctor, backup and erase are tried on.

Source `mail` brought the query `call ann on 555` (with a mutation), a doc only that query has, and a doc that the query
`red sofa` of source `shop` has too. Two snapshots: one of the sofa pair, one of both.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from storage.grades import Scale
from storage.ids import action_id, canonical_json, content_id
from storage.process.migrate import migrate
from storage.snapshots.cutting import Manifest, TierSpec, sign_tier, write_snapshot
from tests.storage.conftest import People

AT = datetime(2025, 3, 1, 12, 0, 0)
SECRET = "call ann on 555"
SECRETS = (SECRET, "call ann soon", "Secret shelf", "her own words", "ann's number")
STEPS = json.dumps([["intent", f"wants to {SECRET}"]])
RULE_BOOK = "book"
SCALE = Scale((0, 1, 2), ("bad", "fair", "good"))
TIERS = [TierSpec(1, "clear", "grade >= 0")]


def text_id(text: str) -> str:
    return content_id("q", text)


def doc(title: str, body: str = "", **fields: str) -> dict[str, Any]:
    return {
        "doc_id": content_id("d", title, body, fields),
        "title": title,
        "body": body,
        "fields": json.dumps(fields, ensure_ascii=False, sort_keys=True),
    }


SOFA, SHELF = doc("Sofa", "soft", colour="red"), doc("Secret shelf", "", owner="ann")
QUERY_ID, CHILD_ID, SOFA_QUERY_ID = text_id(SECRET), text_id("call ann soon"), text_id("red sofa")


def pair_id(query_id: str, doc_id: str) -> str:
    return content_id("p", query_id, doc_id)


SHOP_PAIR = pair_id(SOFA_QUERY_ID, SOFA["doc_id"])
MAIL_PAIR = pair_id(QUERY_ID, SOFA["doc_id"])
SHELF_PAIR = pair_id(QUERY_ID, SHELF["doc_id"])
CHILD_PAIR = pair_id(CHILD_ID, SOFA["doc_id"])
PAIRS = {
    SHOP_PAIR: (SOFA_QUERY_ID, SOFA["doc_id"], "shop", "import"),
    MAIL_PAIR: (QUERY_ID, SOFA["doc_id"], "mail", "import"),
    SHELF_PAIR: (QUERY_ID, SHELF["doc_id"], "mail", "import"),
    CHILD_PAIR: (CHILD_ID, SOFA["doc_id"], "mutation:reword", "mutation"),
}


def candidate_id(pair: str) -> str:
    return content_id("c", pair, 1, STEPS, "lexical", None, RULE_BOOK)


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows; columns that all of them lack are null."""
    connection.register("given", pa.Table.from_pylist([dict(row) for row in rows]))
    connection.execute(f"insert into {table} by name from given").fetchall()
    connection.unregister("given")


def request_about(query: str) -> str:
    prompt = f"<query>\n{query}\n</query>\n<document>\ntitle: Sofa\n</document>"
    return canonical_json({"messages": [["system", "Grade."], ["user", prompt]], "parameters": {}})


def call(name: str, query: str, run_id: str = "run_label") -> dict[str, Any]:
    return {
        "llm_call_id": f"l_{name:0>16}", "role": "label", "operator": "label", "provider": "openai", "model": "m",
        "template_digest": "t", "request": request_about(query), "reply": f"about {query}", "failure": None,
        "run_id": run_id, "created_at": AT,
    }  # fmt: skip


Shop = tuple[Path, duckdb.DuckDBPyConnection]


def open_copy(master: Path, root: Path) -> duckdb.DuckDBPyConnection:
    """Copy a built workspace to a folder of one's own and return its open database."""
    shutil.copytree(master, root)
    connection = duckdb.connect(str(root / "afrel.duckdb"), config={"threads": 2})
    connection.execute("pragma force_compression='uncompressed'")
    return connection


def build(root: Path, people: People) -> Path:
    """Make the workspace in a folder; every text stands in the database's file as it is. Return the folder."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "afrel.toml").write_text("")
    (root / "guideline.md").write_text("# Grade\n")
    connection = duckdb.connect(str(root / "afrel.duckdb"), config={"threads": 2})
    connection.execute("pragma force_compression='uncompressed'")
    migrate(connection)
    _fill(connection, people)
    for pairs in ([SHOP_PAIR], [SHOP_PAIR, MAIL_PAIR]):
        _snapshot(connection, root, people, pairs)
    connection.close()
    return root


def _fill(connection: duckdb.DuckDBPyConnection, people: People) -> None:
    run = {"status": "finished", "code_version": "1", "started_at": AT, "finished_at": AT}
    configs: dict[str, Any] = {
        "ingest": {"file": "pairs.csv"}, "mutate": {}, "label": {"rule_book": RULE_BOOK}, "screen": {}, "snapshot": {},
        "respond": {}, "train": {}, "evaluate": {"snapshot": "snap_1"},
    }  # fmt: skip
    insert(
        connection,
        "runs",
        [
            {"run_id": f"run_{verb}", "verb": verb, "config": json.dumps(config), "input_digest": "abc", **run}
            for verb, config in configs.items()
        ],
    )
    insert(
        connection,
        "accounts",
        [
            {
                "account_event_id": action_id("ada", name, 1), "account": name, "role": pin.role.value,
                "public_key": pin.public_key, "pseudonym": pin.pseudonym, "by_account": "ada", "created_at": AT,
            }
            for name, pin in people.pins.items()
        ],
    )  # fmt: skip
    stamp = {"run_id": "run_ingest", "created_at": AT}
    insert(
        connection,
        "grades",
        [
            {"grade_id": content_id("g", grade, name), "grade": grade, "name": name, "created_at": AT}
            for grade, name in zip(SCALE.values, SCALE.names, strict=True)
        ],
    )
    texts = [("red sofa", "shop", "red sofa"), (SECRET, "mail", SECRET), ("call ann soon", "mutation:reword", SECRET)]
    insert(
        connection,
        "queries",
        [
            {
                "query_id": text_id(text), "text": text, "root_query_id": text_id(root), "split": "train",
                "source": source, **stamp,
            }
            for text, source, root in texts
        ],
    )  # fmt: skip
    insert(connection, "docs", [{**SOFA, "source": "shop", **stamp}, {**SHELF, "source": "mail", **stamp}])
    insert(
        connection,
        "external_ids",
        [
            {
                "external_id_id": content_id("x", source, "query", name), "source": source, "kind": "query",
                "external_id": name, "content_id": query_id, **stamp,
            }
            for source, name, query_id in [("shop", "q1", SOFA_QUERY_ID), ("mail", "ann's number", QUERY_ID)]
        ],
    )  # fmt: skip
    insert(
        connection,
        "pairs",
        [
            {"pair_id": pair, "query_id": q, "doc_id": d, "split": "train", "origin": origin, "source": source, **stamp}
            for pair, (q, d, source, origin) in PAIRS.items()
        ],
    )
    insert(connection, "pair_features", [_features(pair) for pair in PAIRS])
    mutation_id = content_id("m", MAIL_PAIR, CHILD_PAIR, "reword", "keep")
    change = {"change": f"{SECRET} became call ann soon", "proposer": "lexical"}
    insert(
        connection,
        "pair_mutations",
        [
            {
                "pair_mutation_id": mutation_id, "parent_pair_id": MAIL_PAIR, "pair_id": CHILD_PAIR,
                "operator": "reword", "effect": "keep", **change, "run_id": "run_mutate", "created_at": AT,
            }
        ],
    )  # fmt: skip
    insert(
        connection,
        "ingest_rejects",
        [
            {
                "ingest_reject_id": content_id("ir", "abc", 7, "unmapped_grade", value), "source": source, "line": 7,
                "reason": "unmapped_grade", "value": value, "record": json.dumps({"query": query}), **stamp,
            }
            for source, value, query in [("mail", "her own words", "x"), ("shop", "9", SECRET), ("shop", "8", "rug")]
        ],
    )  # fmt: skip
    insert(connection, "llm_calls", [call("1", SECRET), call("2", "red sofa"), call("3", SECRET), call("4", "a rug")])
    _fill_review(connection)


def _fill_review(connection: duckdb.DuckDBPyConnection) -> None:
    label = {"run_id": "run_label", "created_at": AT}
    calls = {MAIL_PAIR: "l_0000000000000001", SHOP_PAIR: "l_0000000000000002"}
    insert(
        connection,
        "candidates",
        [
            {
                "candidate_id": candidate_id(pair), "pair_id": pair, "grade": 1, "steps": STEPS, "rule_ids": [],
                "confidence": 0.5, "proposer": "lexical", "llm_call_id": calls.get(pair), **label,
            }
            for pair in PAIRS
        ],
    )  # fmt: skip
    insert(
        connection,
        "screenings",
        [
            {
                "screening_id": content_id("s", candidate_id(pair), "all"), "candidate_id": candidate_id(pair),
                "screen": "all", "is_passed": True, "reason": "no screen objects", "run_id": "run_screen",
                "created_at": AT,
            }
            for pair in PAIRS
        ],
    )  # fmt: skip
    insert(
        connection,
        "candidate_status",
        [
            {
                "candidate_id": candidate_id(pair), "pair_id": pair, "status": "awaiting_review", "n_answers": 0,
                "n_required": 1, "cause": "", "priority": 0.5,
            }
            for pair in PAIRS
        ],
    )  # fmt: skip
    acts = [(pair, account, n) for n, pair in enumerate(PAIRS) for account in ("rex", "jo")]
    insert(
        connection,
        "responses",
        [
            {
                "response_id": action_id(account, f"tab {account}", n), "candidate_id": candidate_id(pair),
                "pair_id": pair, "account": account, "act": "submitted", "grade": 1, "steps": STEPS,
                "reason": "her own words", "is_replayed": False, "session": f"tab {account}", "sequence": n,
                "created_at": AT,
            }
            for pair, account, n in acts
        ],
    )  # fmt: skip
    answers = {pair: [action_id(account, f"tab {account}", n) for account in ("rex", "jo")] for pair, _, n in acts}
    settled = [("import", SHOP_PAIR, "import:shop", []), ("import", MAIL_PAIR, "import:mail", [])]
    rows = [
        {
            "judgment_id": content_id("j", "import", origin.removeprefix("import:"), pair), "pair_id": pair,
            "origin": origin, "response_ids": pa.scalar(ids, pa.list_(pa.string())).as_py(), "steps": STEPS,
        }
        for _, pair, origin, ids in settled
    ]  # fmt: skip
    rows.append(
        {
            "judgment_id": content_id("j", "consensus", SHELF_PAIR, answers[SHELF_PAIR]), "pair_id": SHELF_PAIR,
            "origin": "consensus", "response_ids": answers[SHELF_PAIR], "steps": STEPS,
        }
    )  # fmt: skip
    insert(
        connection,
        "send_backs",
        [
            {
                "send_back_id": "b_1", "candidate_id": candidate_id(CHILD_PAIR), "pair_id": CHILD_PAIR,
                "account": "ada", "response_ids": answers[CHILD_PAIR], "n_required": 2, "reason": "her own words",
                "created_at": AT,
            }
        ],
    )  # fmt: skip
    stamp = {"grade": 1, "is_replayed": False, "reason": "her own words", "run_id": "run_respond", "created_at": AT}
    insert(connection, "judgments", [{**row, **stamp} for row in rows])
    edit = json.dumps({"grade": 1, "steps": json.loads(STEPS)})
    insert(
        connection,
        "preferences",
        [
            {
                "preference_id": content_id("pf", answers[MAIL_PAIR][0]), "pair_id": MAIL_PAIR, "chosen": edit,
                "rejected": edit, "response_id": answers[MAIL_PAIR][0], "created_at": AT,
            }
        ],
    )  # fmt: skip
    insert(
        connection,
        "comments",
        [
            {
                "comment_id": "k_1", "candidate_id": candidate_id(SHELF_PAIR), "account": "rex",
                "text": "her own words", "created_at": AT,
            }
        ],
    )  # fmt: skip


def _features(pair: str) -> dict[str, Any]:
    query_id, doc_id, _, _ = PAIRS[pair]
    words = {SOFA_QUERY_ID: "red sofa", QUERY_ID: SECRET, CHILD_ID: "call ann soon"}[query_id].split()
    counts = (
        "n_query_terms n_doc_terms n_title_characters n_title_parts n_negated_present n_query_numbers n_number_matches "
        "n_number_conflicts n_attribute_matches n_attribute_conflicts"
    )
    rates = "term_overlap title_overlap body_overlap phrase_overlap gram_overlap longest_match_rate length_ratio"
    return {
        "pair_id": pair,
        **dict.fromkeys(counts.split(), 1),
        **dict.fromkeys(rates.split(), 0.5),
        "is_cjk_query": False,
        "has_negation": False,
        "query_terms": words,
        "missing_terms": words[:1],
        "query_attributes": ["brand=ann's number"],
        "doc_attributes": ["owner=ann"] if doc_id == SHELF["doc_id"] else ["colour=red"],
        "matched_fields": ["brand"],
        "conflicting_fields": ["size"],
        "run_id": "run_ingest",
        "created_at": AT,
    }


def _snapshot(connection: duckdb.DuckDBPyConnection, root: Path, people: People, pairs: list[str]) -> Manifest:
    texts = {SHOP_PAIR: "red sofa", MAIL_PAIR: SECRET}
    rows = [
        {
            "tier": 1, "split": "train", "pair_id": pair, "query_id": PAIRS[pair][0], "doc_id": PAIRS[pair][1],
            "query": texts[pair], "title": SOFA["title"], "body": SOFA["body"], "fields": SOFA["fields"], "grade": 1,
            "steps": None, "rule_ids": ["r_1"], "judgment_origin": PAIRS[pair][2], "source": PAIRS[pair][2],
            "operator": None, "evidence": "overlap",
        }
        for pair in pairs
    ]  # fmt: skip
    manifest = write_snapshot(
        root / "snapshots",
        pa.Table.from_pylist(rows),
        TIERS,
        scale=SCALE,
        rule_book=[],
        lineage=pa.table({"pair_id": pairs, "judgment_id": [f"j {pair}" for pair in pairs]}),
        provenance={"code_version": "1"},
        cutter=people.keys["cy"],
        pseudonym=people.pins["cy"].pseudonym,
    )
    register(connection, root, manifest, people, pairs)
    return manifest


def register(
    connection: duckdb.DuckDBPyConnection, root: Path, manifest: Manifest, people: People, pairs: list[str]
) -> None:
    """Set down a snapshot's rows as `afrel snapshot` and `afrel sign` do."""
    snapshot_id, n = manifest.snapshot_id, len(pairs)
    insert(
        connection,
        "snapshots",
        [
            {
                "snapshot_id": snapshot_id, "manifest_digest": manifest.digest, "account": "cy", "n_rows": n,
                "run_id": "run_snapshot", "created_at": AT,
            }
        ],
    )  # fmt: skip
    insert(
        connection,
        "tiers",
        [
            {
                "snapshot_tier_id": content_id("st", snapshot_id, 1), "snapshot_id": snapshot_id, "tier": 1,
                "name": "clear", "predicate": "grade >= 0", "digest": manifest.tiers[0].digest, "n_rows": n,
                "created_at": AT,
            }
        ],
    )  # fmt: skip
    insert(
        connection,
        "tier_members",
        [
            {
                "tier_member_id": content_id("tm", snapshot_id, f"hash {pair}"), "snapshot_id": snapshot_id, "tier": 1,
                "pair_id": pair, "row_hash": f"hash {pair}", "candidate_id": candidate_id(pair),
                "judgment_id": content_id("j", "import", PAIRS[pair][2], pair),
            }
            for pair in pairs
        ],
    )  # fmt: skip
    directory = root / "snapshots" / snapshot_id
    sign_tier(directory, 1, key=people.keys["jo"], pins=people.pins)
    signature = json.loads((directory / "signatures" / "tier_1.jo.json").read_text())["signature"]
    insert(
        connection,
        "signatures",
        [
            {
                "signature_id": content_id("sg", snapshot_id, 1, "jo", signature), "snapshot_id": snapshot_id,
                "tier": 1, "account": "jo", "signature": signature, "created_at": AT,
            }
        ],
    )  # fmt: skip
    config = json.dumps({"snapshot_id": snapshot_id})
    run = {"status": "finished", "config": config, "code_version": "1", "started_at": AT, "finished_at": AT}
    insert(connection, "runs", [{"run_id": f"run_on_{snapshot_id[5:]}", "verb": "train", **run}])
