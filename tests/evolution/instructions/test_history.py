"""What `afrel instructions` tells: versions with scores and standing, how two differ, what was turned away and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from curation.approvals import Decision, decide, undecided
from evolution.instructions.command import _check_provider
from evolution.instructions.history import read_history, told_difference, told_edit, told_version, told_whole
from storage.errors import UserError
from storage.ids import content_id
from storage.store import Store
from tests.evolution.conftest import ChatServer, fill
from tests.evolution.instructions.shop import PLAIN, grading, run, started


@pytest.fixture
def evolved(store: Store, server: ChatServer, tmp_path: Path) -> Store:
    fill(store, n_queries=10)
    started(store)
    grading(server)
    run(store, server, tmp_path, n_generations=2)
    return store


def test_every_version_and_edit_is_told_with_scores_reasons_and_differences(evolved: Store) -> None:
    history = read_history(evolved)
    first = history.version(content_id("i", PLAIN))
    best = max(
        history.versions,
        key=lambda one: one.scores["dev", "accuracy"]["value"] if ("dev", "accuracy") in one.scores else 0,
    )
    assert "dev macro_f1 0." in told_version(first)
    assert best.status == "proposed" and "dev objective +" in told_version(best)
    whole = told_whole(best)
    assert f"from {best.row['parent_id']}" in whole and whole.endswith(best.row["text"])
    assert "recall grade 1" in whole and "edit by lexical, labels by openai:m: " in whole
    compared = told_difference(first, best)
    assert compared.startswith(f"--- {first.instruction_id}\n+++ {best.instruction_id}") and "0.750" in compared
    assert best.compared_with(best)["diff"] == []
    with pytest.raises(UserError, match=r"no instruction i_nowhere\. See what there is: afrel instructions log --all"):
        history.version("i_nowhere")

    away = [one for one in history.versions if one.status == "turned away"]
    assert away and all("turned away" in told_version(one) for one in away)
    assert history.textless and all(edit["reason"] in told_edit(edit) for edit in history.textless)
    assert {one["status"] for one in history.to_json(every=False)["versions"]} == {"proposed"}
    assert len(history.to_json(every=True)["edits_without_text"]) == len(history.textless)


def test_people_may_approve_any_version_and_it_is_then_in_force(evolved: Store) -> None:
    history = read_history(evolved)
    away = next(one for one in history.versions if one.status == "turned away")
    decision = Decision("instruction", "approve", "dora", "I know better")
    chosen = undecided(evolved.frame("instruction_book"), [away.instruction_id], decision)
    assert decide(evolved, chosen, decision) == 1
    assert evolved.read("instruction_in_force").to_pylist()[0]["instruction_id"] == away.instruction_id
    now = read_history(evolved).version(away.instruction_id)
    assert (now.status, now.row["decided_for"]) == ("approved", "I know better")
    assert away.instruction_id in evolved.frame("instruction_standing")["instruction_id"].to_list()


def test_an_empty_store_has_no_versions(store: Store) -> None:
    assert read_history(store).versions == ()


def test_lexical_labels_are_refused_with_what_to_configure() -> None:
    with pytest.raises(
        UserError, match=r"reads no word of the instruction.*\[llm\] in afrel\.toml.*afrel evolve --dry-run"
    ):
        _check_provider("lexical")
    with pytest.raises(UserError, match="unknown provider 'smart'"):
        _check_provider("smart")
