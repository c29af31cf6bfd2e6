"""`afrel respond` as a reviewer types it: grade, edit, undo, redo, later, and what it says to a muddle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage.store import Store
from storage.workspace import Workspace
from tests.conftest import Afrel
from tests.review_app.review_rows import add_pair

NUMBER = 0xF << 60  # a pair no audit draws, so that an accepted suggestion needs one answer
CANDIDATE = f"c_{NUMBER}"


@pytest.fixture
def shop(afrel: Afrel, tmp_path: Path) -> Path:
    """A workspace with admin `root` and one candidate, graded 2 of bad, fair, good, best."""
    folder = tmp_path / "shop"
    (tmp_path / "guideline.md").write_text("# Grade\nHow good it is.\n")
    afrel("init", folder, "--scale", "bad,fair,good,best", "--guideline", tmp_path / "guideline.md")
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    with Store.connect(Workspace.open(folder), sees_test=True) as store:
        add_pair(store, NUMBER)
    return folder


@pytest.mark.slow
def test_a_reviewer_grades_edits_undoes_and_redoes_by_the_command_line(afrel: Afrel, shop: Path) -> None:
    def respond(*words: str) -> list[str]:
        said = afrel("respond", CANDIDATE, *words, workspace=shop, account="root").stdout.strip()
        return said.removeprefix(f"{CANDIDATE}: ").split("; now ")

    answered = "answered (1 of 1 answers)"
    revised = "awaiting_review (1 of 2 answers)"  # a revised grade asks for a second answer
    assert respond("--grade", "1") == ["submitted fair", revised]
    assert respond("--accept") == ["submitted good", answered]
    assert respond("--later") == ["later, your answer is submitted good", answered]
    assert respond("--undo") == ["withdrawn later, your answer is submitted good", answered]
    assert respond("--undo") == ["withdrawn submitted good, your answer is submitted fair", revised]
    nothing = "awaiting_review (0 of 1 answers)"
    assert respond("--undo") == ["withdrawn submitted fair, no answer of yours stands", nothing]
    told = json.loads(respond("--redo", "--json")[0])
    assert (told["act"], told["grade"], told["standing"]) == ("submitted", 1, {"act": "submitted", "grade": 1})
    assert respond("--redo") == ["submitted good", answered]
    assert respond("--redo") == ["later, your answer is submitted good", answered]
    spent = afrel("respond", CANDIDATE, "--redo", workspace=shop, account="root", ok=False)
    assert spent.returncode == 2
    assert f"root has undone nothing on {CANDIDATE} that could be redone" in " ".join(spent.stderr.split())


@pytest.mark.slow
def test_a_muddled_answer_is_refused_with_what_to_type(afrel: Afrel, shop: Path) -> None:
    muddles = [
        ([CANDIDATE], "say one thing"),
        ([CANDIDATE, "--undo", "--redo"], "say one thing"),
        ([CANDIDATE, "--grade", "1", "--later"], "say one thing"),
        ([CANDIDATE, "--undo", "--rationale", "too small"], "say one thing"),
        ([CANDIDATE, "--undo"], f"root has said nothing on {CANDIDATE} that could be undone"),
        (["--later"], "an answer needs its candidate"),
    ]
    for words, said in muddles:
        done = afrel("respond", *words, workspace=shop, account="root", ok=False)
        assert (done.returncode, said in " ".join(done.stderr.split())) == (2, True), done.stderr
