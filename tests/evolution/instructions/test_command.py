"""`afrel evolve` and `afrel instructions` as typed, from a workspace without a server to an approved version."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.chat_server import HttpReply, HttpRequest, chat_server, completion
from tests.conftest import Afrel
from tests.evolution.conftest import COLOURS, KINDS, label_text
from tests.evolution.instructions.shop import grade, shown_pair


def write_pairs(path: Path) -> None:
    """The shop of the evolution tests as a file: ten queries, every sixth of them dev."""
    rows = ["query,title,colour,kind,label,split"]
    for n in range(10):
        colour, kind = COLOURS[n % 4], KINDS[n % 3]
        other, another = COLOURS[(n + 1) % 4], KINDS[(n + 1) % 3]
        split = "dev" if n % 6 == 5 else "train"
        for c, k, settled in ((colour, kind, 2), (other, kind, 1), (colour, another, 0), (other, another, 0)):
            rows.append(f"{colour} {kind} number {n},{c} {k},{c},{k},{settled},{split}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def answer(request: HttpRequest) -> HttpReply:
    body = request.json()
    return HttpReply(body=completion(label_text(grade(body["messages"][0]["content"], *shown_pair(body)))))


@pytest.mark.slow
def test_from_nothing_configured_to_an_approved_version(afrel: Afrel, tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    write_pairs(tmp_path / "pairs.csv")
    (tmp_path / "guideline.md").write_text("Grade what the searcher would think of the thing.\n")
    afrel("init", shop, "--scale", "0-2", "--guideline", tmp_path / "guideline.md")
    afrel("account", "add", "root", "--role", "admin", workspace=shop)
    columns = "query=query,title=title,field.colour=colour,field.kind=kind,grade=label,split=split"
    afrel("ingest", tmp_path / "pairs.csv", "--map", columns, workspace=shop)
    refused = afrel("evolve", "--provider", "lexical", workspace=shop, ok=False)
    assert refused.returncode == 2 and "reads no word of the instruction" in refused.stderr
    assert "no model named for the labeller" in afrel("evolve", workspace=shop, ok=False).stderr
    critic = afrel("evolve", "--operator", "critic", "--dry-run", workspace=shop, ok=False)
    assert "critic takes a model: --evolver openai" in critic.stderr
    dry = afrel("evolve", "--dry-run", workspace=shop).stdout
    assert "36 train and 4 dev pairs" in dry and "sharpened: Between" in dry and "nothing can be estimated" in dry
    with chat_server(answer) as service:
        toml = f'[llm]\nbase_url = "{service.url}"\nkey_variable = ""\nmodel = "m"\n'
        (shop / "afrel.toml").write_text(toml)
        assert "a wide guess" in afrel("evolve", "--dry-run", workspace=shop).stdout
        assert service.n_requests == 0
        made = json.loads(afrel("evolve", "--generations", "1", "--json", workspace=shop).stdout)
        assert made["accepted"] >= 1 and made["exchanges"] == service.n_requests
        assert "nothing to do" in afrel("evolve", "--generations", "1", workspace=shop).stdout
        assert made["exchanges"] == service.n_requests
    best, first = made["population"][0]["instruction_id"], made["instruction_id"]
    assert "turned away" in afrel("instructions", "log", "--all", workspace=shop).stdout
    assert f"+++ {best}" in afrel("instructions", "diff", first, best, workspace=shop).stdout
    afrel("approve", "--kind", "instruction", best, workspace=shop, account="root")
    shown = json.loads(afrel("instructions", "show", best, "--json", workspace=shop).stdout)
    assert (shown["status"], shown["parent_id"]) == ("approved", first)
    assert "fine" in afrel("doctor", workspace=shop).stdout
