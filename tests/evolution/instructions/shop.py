"""The judged shop of the evolution tests, as an evolution sees it, and a grader whose grades depend on what it is told.

The grader reads the instruction: by itself it looks at the kind of thing only, so that another colour is graded 2; told
of the colour it grades it 1. A sentence of the tests makes it get a certain slice wrong.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from curation.rules import Rule, make_rule
from evolution.calls.budget import Limits
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.instructions.desk import ServedRole
from evolution.instructions.ground import Ground, read_ground
from evolution.instructions.operators import OPERATORS
from evolution.instructions.plan import EvolvePlan
from evolution.instructions.run import EvolveReport, evolve
from evolution.instructions.situation import Errors, Situation
from evolution.instructions.train_search import TrainSearch
from storage.clock import now
from storage.store import Store
from tests.evolution.conftest import COLOURS, KEY, KINDS, SCALE, ChatServer, completion, label_text

PLAIN = "Grade what the searcher would think of the thing."
HARM = "Grade the colour, and give every towel the lowest grade."
TOWELS = make_rule(
    "The right towel is fully right.", "list_contains(doc_attributes, 'kind=towel') and n_attribute_conflicts = 0", 2
)
MODEL_FREE = tuple(name for name, one in OPERATORS.items() if one.model_free is not None)


def started(store: Store, text: str = PLAIN) -> None:
    """Give the store its first instruction."""
    row = {"instruction_id": "", "text": text, "operator": "guideline", "generation": 0, "run_id": "run_0"}
    from storage.ids import content_id

    store.append({"instructions": [{**row, "instruction_id": content_id("i", text), "created_at": now()}]})


def ruled(store: Store, *rules: Rule) -> None:
    """Propose rules."""
    rows = [
        {"rule_id": one.rule_id, "text": one.text, "condition": one.condition, "grade": one.grade, "origin": "mined",
         "run_id": "run_0", "created_at": now()}
        for one in rules
    ]  # fmt: skip
    store.append({"rules": rows})


def grade(instruction: str, query: str, title: str) -> int:
    """Grade a pair as the instruction says."""
    (colour, kind), (asked_colour, asked_kind) = _things(title), _things(query)
    if kind != asked_kind:
        return 0
    if "every towel the lowest" in instruction and kind == "towel" and colour == asked_colour:
        return 0
    if "colour" in instruction:
        return 2 if colour == asked_colour else 1
    return 2


def _things(text: str) -> tuple[str, str]:
    words = text.split()
    return next(word for word in words if word in COLOURS), next(word for word in words if word in KINDS)


def work_of(body: dict[str, Any]) -> str:
    """Return what a request asks for: label, evolver, critic."""
    return str(body["response_format"]["json_schema"]["name"]).removesuffix("_reply")


def shown_pair(body: dict[str, Any]) -> tuple[str, str]:
    """Return the query and title of a labelling request."""
    user = body["messages"][1]["content"]
    found = re.search(r"<query>\n([^\n]*)\n</query>.*?title: ([^\n]*)", user, flags=re.S)
    assert found is not None
    return found[1], found[2]


def grading(server: ChatServer, *, edit: str | dict[str, str] = "{}", spoil: Any = None) -> None:
    """Let a server label by its instruction and answer every request for an edit alike, or by what is asked for first
    in its schema; `spoil` may answer first.
    """

    def answer(body: dict[str, Any]) -> tuple[int, Any]:
        spoilt = spoil(body) if spoil is not None else None
        if spoilt is not None:
            return spoilt  # type: ignore[no-any-return]
        if work_of(body) != "label":
            asked = next(iter(body["response_format"]["json_schema"]["schema"]["properties"]))
            return 200, completion(edit if isinstance(edit, str) else edit[asked])
        return 200, completion(label_text(grade(body["messages"][0]["content"], *shown_pair(body))))

    server.default = answer


def sentence(text: str) -> str:
    return json.dumps({"sentence": text, "why": "it was not said"})


def plan(server: ChatServer, folder: Path, *, is_written: bool = False, **changed: Any) -> EvolvePlan:
    config = LlmConfig("m", base_url=server.url, key_variable="LOCAL_KEY", max_retries=0, timeout_seconds=5)

    def role(work: str) -> ServedRole:
        return ServedRole(work, OpenAILLM(config, {"LOCAL_KEY": KEY}), "openai", "m", {"max_completion_tokens": 100})

    whole: dict[str, Any] = {
        "scale": SCALE,
        "labeller": role("label"),
        "writers": {work: role(work) for work in ("evolver", "critic")} if is_written else {},
        "operators": tuple(OPERATORS) if is_written else MODEL_FREE,
        "n_generations": 2,
        "n_edits": 3,
        "n_pairs": 200,
        "spool_dir": folder / "spool",
        "limits": Limits(),
        "ceiling": 8,
    }
    return EvolvePlan(**{**whole, **changed})


def run(store: Store, server: ChatServer, folder: Path, **changed: Any) -> EvolveReport:
    return evolve(store, plan(server, folder, **changed), account=None)


def seen(store: Store) -> Ground:
    """What an evolution of the shop stands on."""
    return read_ground(store, SCALE, n_pairs=200)


def situation(ground: Ground, *, text: str | None = None, attempt: int = 0, is_labelled: bool = True) -> Situation:
    """The first instruction (or a text) with the errors the grader makes under it on train."""
    from evolution.instructions.situation import Version

    version = Version(text, 1) if text is not None else ground.start
    rows = ground.train.select("pair_id", "query", "title").rows() if is_labelled else []
    said = {pair_id: grade(version.text, query, title) for pair_id, query, title in rows}
    return Situation(version, None, Errors(ground.train, said), SCALE, TrainSearch(ground.train, SCALE), attempt)
