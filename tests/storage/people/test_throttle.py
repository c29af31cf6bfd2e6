"""Guessing gets slow for whoever guesses, however many processes they start, and an unknown name behaves like any."""

from __future__ import annotations

import json
import math
import os
import re
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from storage.errors import UserError
from storage.people.keys import Cost, create_key, unlock
from storage.people.throttle import Pace
from tests.conftest import ROOT, Afrel

CHEAP = Cost(iterations=1, lanes=1, memory_kib=64)
PASSWORD = "correct horse"
OUTCOMES = {"opens with this password": "wrong", "Try again in": "wait"}
QUICK = Pace(n_free=2, first_seconds=0.4, longest_seconds=0.4)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_key(tmp_path / "home", "ana", PASSWORD, cost=CHEAP)
    return tmp_path / "home"


def guess(home: Path, account: str = "ana", password: str = "wrong horse", pace: Pace = QUICK) -> str:
    """Guess once; return what came of it: open, wrong or wait."""
    try:
        unlock(home, account, password, cost=CHEAP, pace=pace)
    except UserError as error:
        return OUTCOMES[re.search("opens with this password|Try again in", str(error))[0]]  # type: ignore[index]
    return "open"


def counted(home: Path) -> list[int]:
    """Return the wrong passwords in a row that are held, over all names."""
    return [n for path in (home / "attempts").glob("*.json") for n, _ in json.loads(path.read_text())["wrong"].values()]


def alter(home: Path, **changed: Any) -> None:
    """Change every file of counts; `at` is added to the times."""
    for path in (home / "attempts").glob("*.json"):
        content = json.loads(path.read_text())
        for entry in content["wrong"].values():
            entry[1] += changed.get("at", 0)
        path.write_text(json.dumps(content | {"boot_id": changed.get("boot_id", content["boot_id"])}))


def test_waits_double_from_the_fourth_guess_to_half_a_minute() -> None:
    assert [Pace().wait_after(n) for n in range(11)] == [0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert Pace().wait_after(10_000) == 30


def test_after_the_free_guesses_even_the_right_password_has_to_wait_and_then_opens(home: Path) -> None:
    assert [guess(home), guess(home), guess(home), guess(home, password=PASSWORD)] == ["wrong", "wrong", "wait", "wait"]
    time.sleep(0.45)
    assert guess(home, password=PASSWORD) == "open"
    assert counted(home) == []
    assert [guess(home), guess(home), guess(home)] == ["wrong", "wrong", "wait"]


def test_the_message_says_how_many_were_wrong_and_when_to_try_again(home: Path) -> None:
    for _ in range(3):
        guess(home, pace=Pace())
    with pytest.raises(
        UserError, match=r"^3 wrong passwords in a row were given for account 'ana'\. Try again in 1 s$"
    ):
        unlock(home, "ana", PASSWORD)


def test_a_refused_guess_does_not_make_the_wait_longer(home: Path) -> None:
    guess(home)
    guess(home)
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        outcome = guess(home)
        if outcome != "wait":
            break
        time.sleep(0.01)
    assert outcome == "wrong"
    assert counted(home) == [3]


def test_one_account_does_not_wait_for_anothers_wrong_passwords(home: Path) -> None:
    create_key(home, "bo", PASSWORD, cost=CHEAP)
    assert [guess(home) for _ in range(3)] == ["wrong", "wrong", "wait"]
    assert guess(home, "bo", PASSWORD) == "open"


@pytest.mark.parametrize("name", ["eve", "../keys/ana", "A password, by mistake", ""])
def test_a_name_without_an_account_waits_the_same_and_reads_the_same(home: Path, name: str) -> None:
    def said(account: str) -> list[str]:
        messages = []
        for _ in range(4):
            with pytest.raises(UserError) as error:
                unlock(home, account, "wrong horse", cost=CHEAP)
            messages.append(str(error.value).replace(repr(account), "X"))
        return messages

    assert said(name) == said("ana")
    assert sorted(counted(home)) == [3, 3]


def kind_of(path: Path) -> tuple[str, str]:
    """What of a file could tell of an account: its suffix, and which values it holds, be they long or short."""
    held = json.loads(path.read_text()) if path.suffix == ".json" else path.stat().st_size
    return path.suffix, str(sorted(held) if isinstance(held, dict) else held)


def test_what_lies_at_home_does_not_tell_a_name_nor_whether_it_is_an_account(home: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    for place in (home, empty):
        guess(place, "ana")
    kinds = [sorted(map(kind_of, (place / "attempts").iterdir())) for place in (home, empty)]
    assert kinds[0] == kinds[1]
    guess(home, "A password, by mistake")
    text = "".join(path.read_text() + path.name for path in (home / "attempts").iterdir())
    assert "ana" not in text and "mistake" not in text


def test_what_can_be_no_name_is_counted_as_one_so_that_no_digest_of_a_password_lies_at_home(home: Path) -> None:
    guess(home, "A password, by mistake")
    guess(home, "Another one")
    assert counted(home) == [2]


def test_counts_are_for_the_owner_only_and_nothing_half_written_is_left(home: Path) -> None:
    guess(home)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in (home, home / "attempts", *(home / "attempts").iterdir())}
    assert {modes.pop("home"), modes.pop("attempts")} == {0o700}
    assert set(modes.values()) == {0o600} and len(modes) == 3
    assert not [name for name in modes if name.startswith(".")]


def test_a_start_of_the_machine_keeps_the_count_and_a_wait_begins_anew_once(home: Path) -> None:
    guess(home)
    guess(home)
    alter(home, boot_id="another start", at=-1000)
    assert guess(home) == "wait"
    time.sleep(0.2)
    assert guess(home) == "wait"
    time.sleep(0.25)
    assert guess(home) == "wrong"
    assert counted(home) == [3]


@pytest.mark.parametrize("back", [60, 10**9])
def test_a_clock_that_runs_behind_the_counts_neither_locks_out_nor_clears_them(home: Path, back: int) -> None:
    guess(home)
    guess(home)
    alter(home, at=back)
    assert guess(home) == "wait"
    time.sleep(0.45)
    assert guess(home) == "wrong"
    assert counted(home) == [3]


def test_the_clock_on_the_wall_plays_no_part(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    guess(home)
    guess(home)
    for wall in (0.0, 4e9):
        monkeypatch.setattr(time, "time", lambda wall=wall: wall)
        assert guess(home) == "wait"


def test_a_count_is_forgotten_after_a_long_while(home: Path) -> None:
    pace = Pace(n_free=2, first_seconds=0.1, longest_seconds=0.1, forget_seconds=0.3)
    assert [guess(home, pace=pace) for _ in range(3)] == ["wrong", "wrong", "wait"]
    time.sleep(0.35)
    assert [guess(home, pace=pace) for _ in range(3)] == ["wrong", "wrong", "wait"]


def test_waiting_until_the_count_is_forgotten_gives_fewer_guesses_than_the_longest_wait() -> None:
    pace = Pace()
    assert pace.n_free < pace.forget_seconds / pace.longest_seconds / 10


def test_damaged_counts_are_a_plain_error_that_says_what_to_remove(home: Path) -> None:
    guess(home)
    (path,) = (home / "attempts").glob("*.json")
    path.write_text('{"wrong": {')
    with pytest.raises(UserError, match=f"damaged.*rm {path}"):
        unlock(home, "ana", PASSWORD)


def test_where_counts_cannot_be_kept_no_password_is_tried(home: Path) -> None:
    (home / "attempts").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be counted in .*attempts: File exists"):
        unlock(home, "ana", PASSWORD)


# Forks n children that start together and guess until `seconds` are over; prints [guesses made, guesses refused].
GUESSERS = """
import json, os, sys, time
from pathlib import Path
from storage.people.keys import Cost, unlock
from storage.errors import UserError
home, account, n, seconds, password = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]
reading, writing = os.pipe()
start, end = time.monotonic() + 0.3, time.monotonic() + 0.3 + seconds
for child in range(n):
    if os.fork() == 0:
        made = refused = opened = 0
        time.sleep(max(0, start - time.monotonic()))
        while True:
            try:
                unlock(home, account, password, cost=Cost(iterations=1, lanes=1, memory_kib=64))
                opened += 1
            except UserError as error:
                refused += "Try again in" in str(error)
                made += "Try again in" not in str(error)
            if time.monotonic() > end:
                break
            time.sleep(0.005)
        os.write(writing, (json.dumps([made, refused, opened]) + chr(10)).encode())
        os._exit(0)
os.close(writing)
print(os.fdopen(reading).read(), time.monotonic() - start)
"""


def guess_in_processes(home: Path, account: str, n: int, seconds: float, password: str) -> tuple[list[int], float]:
    """Return guesses made, refused and right, over n processes, and the seconds it took."""
    words = [str(home), account, str(n), str(seconds), password]
    done = subprocess.run(
        [sys.executable, "-c", GUESSERS, *words], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
    )
    *counts, took = done.stdout.split("\n", n)
    assert len(counts) == n
    return [sum(column) for column in zip(*map(json.loads, counts), strict=True)], float(took)


@pytest.mark.parametrize("account", ["ana", "eve"])
def test_twenty_processes_guess_no_faster_than_one(home: Path, account: str) -> None:
    """Three free guesses, then one after 1 s, 3 s, 7 s …: in t seconds 3 + floor(log2(t + 1)) at most."""
    (made, refused, opened), took = guess_in_processes(home, account, 20, 1.3, "wrong horse")
    assert 3 <= made <= 3 + math.floor(math.log2(took + 1))
    assert refused > 20 and opened == 0
    assert counted(home) == [made]


def test_twenty_processes_with_the_right_password_all_get_in(home: Path) -> None:
    (made, refused, opened), _ = guess_in_processes(home, "ana", 20, 0.0, PASSWORD)
    assert (made, refused, opened) == (0, 0, 20)
    assert counted(home) == []


def test_a_guess_that_is_killed_before_its_answer_has_counted(tmp_path: Path) -> None:
    create_key(tmp_path, "ana", PASSWORD, cost=Cost(iterations=60, lanes=1, memory_kib=65_536))
    code = "import sys\nfrom pathlib import Path\nfrom storage.people.keys import unlock\n"
    code += "unlock(Path(sys.argv[1]), 'ana', 'no')"
    for killed in range(1, 4):
        process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
        until = time.monotonic() + 20
        while counted(tmp_path) != [killed] and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
        assert process.wait() < 0
    assert counted(tmp_path) == [3]
    with pytest.raises(UserError, match="Try again in 1 s"):
        unlock(tmp_path, "ana", PASSWORD)


@pytest.mark.slow
def test_the_command_line_says_and_does_the_same_for_a_wrong_password_and_an_unknown_name(
    afrel: Afrel, tmp_path: Path
) -> None:
    folder = tmp_path / "w"
    afrel("init", folder)
    afrel("account", "add", "root", "--role", "admin", workspace=folder)
    (tmp_path / "password").write_text("another password")
    said = []
    for name in ("root", "nobody"):
        done = [afrel("account", "retire", "root", workspace=folder, account=name, ok=False) for _ in range(2)]
        said.append([(d.returncode, d.stdout, d.stderr.replace(repr(name), "X")) for d in done])
    assert said[0] == said[1]
    assert said[0][0][0] == 2 and "opens with this password" in said[0][0][2]
    assert os.listdir(tmp_path / "home" / "keys") == ["root.json"]
