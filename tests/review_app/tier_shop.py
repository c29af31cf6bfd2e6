"""A small shop for the pages of tiers, SQL and accounts: twenty settled pairs, five people, nothing cut yet.

Train pairs 1-12, dev 13-16, test 17-20; grade n % 3 on the scale 0-2. Imported: 1-6, 13, 14, 17, 18, 20. Graded alike
by ana and bo: 7-10, 16. Graded 0 by ana and 2 by bo, then adjudicated: 11, 12, 15, 19. No rule is cited, so by the
default tiers the adjudicated are tier 3 and all others tier 1.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.ingest_commands import add_features
from storage.clock import now
from storage.people.accounts import Pin, Role
from storage.people.keys import Cost, create_key
from storage.runs import Run
from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import PASSWORD

CHEAP = Cost(iterations=1, lanes=1, memory_kib=64)
ROLES = {
    "ana": Role.REVIEWER,
    "bo": Role.REVIEWER,
    "cleo": Role.CURATOR,
    "dora": Role.ADJUDICATOR,
    "eli": Role.ENGINEER,
    "root": Role.ADMIN,
}
IMPORTED = (1, 2, 3, 4, 5, 6, 13, 14, 17, 18, 20)
ALIKE = (7, 8, 9, 10, 16)
ADJUDICATED = (11, 12, 15, 19)
TOML = '# the shop\'s own words\n\n[llm]\nmodel = "m"  # small\n'
STEPS = '[["intent", "a sofa"], ["verdict", "partly"]]'
STAMP: dict[str, Any] = {"run_id": "run_1"}
GRADERS = ("ana", "bo")


@dataclass(frozen=True)
class Shop:
    """The workspace and its people."""

    workspace: Workspace
    people: dict[str, Pin]


def split_of(n: int) -> str:
    return "train" if n <= 12 else "dev" if n <= 16 else "test"


def build(folder: Path) -> dict[str, Pin]:
    """Make the shop in `folder/shop` and its keys in `folder/home`; return its people."""
    root, home = folder / "shop", folder / "home"
    root.mkdir()
    (root / "afrel.toml").write_text(TOML, encoding="utf-8")
    people = {
        name: Pin(name, role, create_key(home, name, PASSWORD, cost=CHEAP), f"person_{name}")
        for name, role in ROLES.items()
    }
    with Store.embedded(root, sees_test=True) as store:
        _fill(store, people)
    return people


def copy(built: Path, folder: Path) -> None:
    """Copy a shop that was built once."""
    shutil.copytree(built / "shop", folder / "shop")
    shutil.copytree(built / "home", folder / "home")


def _fill(store: Store, people: dict[str, Pin]) -> None:
    stamp = {**STAMP, "created_at": now()}
    at = {"created_at": stamp["created_at"]}
    numbers = range(1, 21)
    splits = {"train": "red sofa", "dev": "blue sofa", "test": "green sofa"}
    store.append(
        {
            "runs": [
                {"run_id": "run_1", "verb": "ingest", "status": "finished", "config": "{}", "code_version": "1",
                 "started_at": at["created_at"]}
            ],
            "grades": [
                {"grade_id": f"g_{grade}", "grade": grade, "name": name, **at}
                for grade, name in enumerate(("irrelevant", "partly", "fully"))
            ],
            "accounts": [
                {"account_event_id": f"a_{pin.account}", "account": pin.account, "role": pin.role.value,
                 "public_key": pin.public_key, "pseudonym": pin.pseudonym, "by_account": "root", **at}
                for pin in people.values()
            ],
            "queries": [
                {"query_id": f"q_{split}", "text": text, "root_query_id": f"q_{split}", "split": split,
                 "source": "shop", **stamp}
                for split, text in splits.items()
            ],
            "docs": [
                {"doc_id": f"d_{n}", "title": f"Sofa {n}", "body": "", "fields": '{"colour": "red"}', "source": "shop",
                 **stamp}
                for n in numbers
            ],
            "pairs": [
                {"pair_id": f"p_{n}", "query_id": f"q_{split_of(n)}", "doc_id": f"d_{n}", "split": split_of(n),
                 "origin": "import", "source": "shop", **stamp}
                for n in numbers
            ],
            "candidates": [
                {"candidate_id": f"c_{n}", "pair_id": f"p_{n}", "grade": n % 3, "steps": STEPS, "rule_ids": [],
                 "confidence": 0.9, "proposer": "lexical", **stamp}
                for n in (*ALIKE, *ADJUDICATED)
            ],
            "screenings": [
                {"screening_id": f"s_{n}", "candidate_id": f"c_{n}", "screen": "all", "is_passed": True,
                 "reason": "no screen objects", **stamp}
                for n in (*ALIKE, *ADJUDICATED)
            ],
        }
    )  # fmt: skip
    store.append({"responses": [_response(n, account, stamp) for n in (*ALIKE, *ADJUDICATED) for account in GRADERS]})
    store.append({"judgments": [_judgment(n, stamp) for n in numbers]})
    add_features(store, Run("run_1"))


def judge_anew(store: Store, n: int) -> None:
    """Give an imported pair a later judgment of another grade, so that what is cut next is another snapshot."""
    later = _judgment(n, {**STAMP, "created_at": now()})
    store.append({"judgments": [later | {"judgment_id": f"j_{n:02d}_later", "grade": (n + 1) % 3}]})


def _response(n: int, account: str, stamp: dict[str, Any]) -> dict[str, Any]:
    grade = n % 3 if n in ALIKE else {"ana": 0, "bo": 2}[account]
    return {
        "response_id": f"r_{n}_{account}", "candidate_id": f"c_{n}", "pair_id": f"p_{n}", "account": account,
        "act": "submitted", "grade": grade, "is_replayed": False, "session": f"tab {account}", "sequence": n, **stamp,
    }  # fmt: skip


def _judgment(n: int, stamp: dict[str, Any]) -> dict[str, Any]:
    origin = "import:shop" if n in IMPORTED else "consensus" if n in ALIKE else "adjudicated"
    has_answers = n not in IMPORTED
    return {
        "judgment_id": f"j_{n:02d}", "pair_id": f"p_{n}", "grade": n % 3, "origin": origin,
        "candidate_id": f"c_{n}" if has_answers else None, "account": "dora" if n in ADJUDICATED else None,
        "response_ids": [f"r_{n}_{account}" for account in GRADERS] if has_answers else [], "steps": None,
        "is_replayed": False, **stamp,
    }  # fmt: skip
