"""The verb `judge` as a user types it: estimate, card, a cause that needs it, verdicts, refinement, nothing to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chat_server import ChatService, HttpReply, HttpRequest, chat_server, completion
from tests.conftest import Afrel
from tests.evolution.conftest import label_text
from tests.evolution.judges.shop_judges import rating, seen, true_grade
from tests.evolution.judges.test_step_run import labels_shown, mends, said, verdicts

CAUSE = '\n[[review_causes]]\ncause = "wrong_steps"\npredicate = "n_wrong_steps > 0"\nn_required = 1\n'


def answer(request: HttpRequest) -> HttpReply:
    """A fair judge, which finds every step on attributes wrong, and a critic that mends them."""
    kind = request.json()["response_format"]["json_schema"]
    if kind["name"] == "label_reply":
        return HttpReply(body=completion(label_text(true_grade(seen(request)))))
    if kind["name"] == "critic_reply":
        return mends(request)
    if "steps" in kind["schema"]["properties"]:
        return said(verdicts(labels_shown(request), wrong="attributes"))
    return rating(true_grade)(request)


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path) -> Iterator[tuple[Path, ChatService]]:
    """20 queries of three docs each, all train and judged, labelled and screened; and a pair nobody judged."""
    folder = tmp_path / "shop"
    rows = ["query,title,grade,split"]
    for n in range(20):
        rows += [f"red mug number {n},{title},{grade},train" for title, grade in (("red mug", 2), ("blue mug", 1))]
        rows.append(f"red mug number {n},red lamp,0,train")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    afrel("init", folder, "--scale", "0-2")
    mapped = "query=query,title=title,grade=grade,split=split"
    afrel("ingest", tmp_path / "pairs.csv", "--map", mapped, workspace=folder)
    afrel("label", workspace=folder)
    afrel("screen", workspace=folder)
    with chat_server(answer) as service:
        (folder / "afrel.toml").write_text(f'[llm]\nbase_url = "{service.url}"\nkey_variable = ""\nmodel = "m"\n')
        yield folder, service


@pytest.mark.slow
def test_from_an_estimate_to_a_preference(afrel: Afrel, shop: tuple[Path, ChatService]) -> None:
    folder, service = shop
    toml = (folder / "afrel.toml").read_text()

    def said_by(*words: str) -> str:
        return afrel(*words, workspace=folder).stdout

    assert "300 calls (dry run)" in said_by("judge", "card", "--dry-run")
    assert "no judge has a card" in said_by("judge", "card", "--show")
    assert "nothing to do: no step was judged yet" in said_by("judge", "refine")
    assert service.n_requests == 0
    (folder / "afrel.toml").write_text(toml + CAUSE)
    refused = afrel("screen", workspace=folder, ok=False)
    assert refused.returncode == 2 and "afrel judge card --model MODEL" in refused.stderr
    first = said_by("judge", "steps")
    assert "60 of them wrong: 60 not_in_texts" in first and "has no passing card" in first
    assert "nothing to do" in said_by("judge", "steps")
    told = said_by("judge", "card")
    assert told.count("passed  ") == 5 and "openai:m has a passing card" in told
    assert "nothing to do" in said_by("judge", "card")
    assert "openai:m has a passing card" in said_by("judge", "card", "--show")
    assert "nothing to do" in said_by("screen")
    refined = json.loads(said_by("judge", "refine", "--json"))
    assert refined["refined"] == refined["weak"] > 0 and refined["failures"] == {}
    assert "nothing to do" in said_by("judge", "refine")
    sampled = said_by("label", "--provider", "openai", "--samples", "2")
    assert "120 rollouts of 60 pairs" in sampled and "pass@1 1.000, pass@2 1.000 over 60" in sampled
    assert "nothing to do" in said_by("label", "--provider", "openai", "--samples", "2")
    assert "lexical says the same" in afrel("label", "--samples", "2", workspace=folder, ok=False).stderr
    ids = [finding for finding in json.loads(said_by("doctor", "--json"))["findings"] if "ids" in finding["what"]]
    assert ids == []
