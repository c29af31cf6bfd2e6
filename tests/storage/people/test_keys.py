"""A key opens with its password only, stays private on disk, and its signatures hold for one payload."""

from __future__ import annotations

import json
import os
import random
import stat
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import UserError
from storage.people.keys import Cost, SigningKey, change_password, create_key, read_password, sign, unlock, verify

CHEAP = Cost(iterations=1, lanes=1, memory_kib=64)
PASSWORD = "correct horse"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    create_key(tmp_path / "home", "ana", PASSWORD, cost=CHEAP)
    return tmp_path / "home"


def _key_file(home: Path) -> Path:
    return home / "keys" / "ana.json"


def test_a_key_opens_with_its_password_and_is_the_one_made(tmp_path: Path) -> None:
    public_key = create_key(tmp_path, "ana", PASSWORD, cost=CHEAP)
    key = unlock(tmp_path, "ana", PASSWORD, cost=CHEAP)
    assert (key.account, key.public_key) == ("ana", public_key)
    assert len(bytes.fromhex(public_key)) == 32


def test_folders_and_file_are_for_the_owner_only_and_nothing_else_is_left(home: Path) -> None:
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "keys", _key_file(home))]
    assert modes == [0o700, 0o700, 0o600]
    assert [path.name for path in (home / "keys").iterdir()] == ["ana.json"]


def test_the_private_key_and_the_password_are_not_in_the_file_or_the_repr(home: Path) -> None:
    key = unlock(home, "ana", PASSWORD)
    text = _key_file(home).read_text()
    assert key.private.private_bytes_raw().hex() not in text + repr(key)
    assert PASSWORD not in text


def test_unknown_account_and_wrong_password_read_the_same(home: Path) -> None:
    with pytest.raises(UserError) as wrong:
        unlock(home, "ana", "wrong horse", cost=CHEAP)
    with pytest.raises(UserError) as unknown:
        unlock(home, "eve", PASSWORD, cost=CHEAP)
    with pytest.raises(UserError) as path:
        unlock(home, "../keys/ana", PASSWORD, cost=CHEAP)
    messages = [str(error.value).replace(name, "X") for error, name in ((wrong, "'ana'"), (unknown, "'eve'"))]
    assert messages[0] == messages[1]
    assert str(path.value).replace("'../keys/ana'", "X") == messages[0]


def _unknown_to_known(home: Path, cost: Cost) -> list[float]:
    """Return what a wrong password takes for names without an account over those with one, in CPU time and by the wall.

    Medians of 25 each, by turns, so that a busy machine is busy for both.
    """
    spent: dict[str, list[tuple[float, float]]] = {"known": [], "unknown": []}
    for number in range(25):
        for kind in random.Random(number).sample(["known", "unknown"], 2):
            started = time.process_time(), time.perf_counter()
            with pytest.raises(UserError, match="opens with this password"):
                unlock(home, f"{kind}{number}", "wrong horse", cost=cost)
            spent[kind].append((time.process_time() - started[0], time.perf_counter() - started[1]))
    unknown, known = ([statistics.median(c) for c in zip(*spent[k], strict=True)] for k in ("unknown", "known"))
    return [u / k for u, k in zip(unknown, known, strict=True)]


@pytest.mark.parametrize("default", [8_192, 64])
def test_unknown_account_and_wrong_password_cost_the_same(tmp_path: Path, default: int) -> None:
    """Also where the accounts here were made when the default was another."""
    for number in range(25):
        create_key(tmp_path, f"known{number}", PASSWORD, cost=Cost(iterations=1, lanes=1, memory_kib=8_192))
    processor, wall = _unknown_to_known(tmp_path, Cost(iterations=1, lanes=1, memory_kib=default))
    assert 0.75 < processor < 1.33
    assert 0.6 < wall < 1.67


def test_the_default_cost_is_dear_enough() -> None:
    assert Cost().memory_kib * Cost().iterations >= 2 * 65_536


def test_a_second_key_for_an_account_is_refused_and_the_first_stays(home: Path) -> None:
    before = _key_file(home).read_bytes()
    with pytest.raises(UserError, match="already has a key"):
        create_key(home, "ana", "another password", cost=CHEAP)
    assert _key_file(home).read_bytes() == before


@pytest.mark.parametrize("account", ["../eve", "a/b", "", "Ana"])
def test_a_key_for_an_unsafe_account_name_is_refused(tmp_path: Path, account: str) -> None:
    with pytest.raises(UserError, match="account name"):
        create_key(tmp_path, account, PASSWORD, cost=CHEAP)


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="7 characters; it takes at least 8"):
        create_key(tmp_path, "ana", "1234567", cost=CHEAP)


def test_changing_the_password_keeps_the_key_and_closes_the_old_way(home: Path) -> None:
    before = unlock(home, "ana", PASSWORD).public_key
    change_password(home, "ana", PASSWORD, "battery staple", cost=CHEAP)
    assert unlock(home, "ana", "battery staple").public_key == before
    with pytest.raises(UserError, match="opens with this password"):
        unlock(home, "ana", PASSWORD)
    assert stat.S_IMODE(_key_file(home).stat().st_mode) == 0o600


def test_changing_the_password_needs_the_old_one(home: Path) -> None:
    with pytest.raises(UserError, match="opens with this password"):
        change_password(home, "ana", "wrong horse", "battery staple", cost=CHEAP)
    assert unlock(home, "ana", PASSWORD)


def test_composed_and_decomposed_letters_are_one_password(tmp_path: Path) -> None:
    create_key(tmp_path, "ana", "caf\u00e9 caf\u00e9", cost=CHEAP)
    assert unlock(tmp_path, "ana", "cafe\u0301 cafe\u0301")


@pytest.mark.parametrize("name", ["public_key", "kdf", "cipher", "sealed", "account", "format"])
def test_a_key_file_altered_anywhere_does_not_open(home: Path, name: str) -> None:
    content = json.loads(_key_file(home).read_text())
    value = content[name]
    content[name] = {**value, "name": "other"} if isinstance(value, dict) else 9 if name == "format" else "00" * 32
    _key_file(home).write_text(json.dumps(content))
    with pytest.raises(UserError):
        unlock(home, "ana", PASSWORD)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"kdf": 1}'])
def test_a_damaged_key_file_is_a_plain_error(home: Path, text: str) -> None:
    _key_file(home).write_text(text)
    with pytest.raises(UserError, match="damaged"):
        unlock(home, "ana", PASSWORD)


def test_a_key_file_moved_to_another_account_does_not_open(home: Path) -> None:
    os.rename(_key_file(home), home / "keys" / "eve.json")
    with pytest.raises(UserError):
        unlock(home, "eve", PASSWORD)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    home = tmp_path_factory.mktemp("home")
    create_key(home, "ana", PASSWORD, cost=CHEAP)
    return unlock(home, "ana", PASSWORD)


payloads = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=3)


@settings(max_examples=60, deadline=None)
@given(payloads, payloads)
def test_a_signature_holds_for_its_payload_only(
    key: SigningKey, payload: dict[str, object], other: dict[str, object]
) -> None:
    signature = sign(key, payload)
    assert verify(key.public_key, payload, signature)
    assert verify(key.public_key, other, signature) == (payload == other)


def test_a_signature_without_the_domain_prefix_does_not_hold(key: SigningKey) -> None:
    assert not verify(key.public_key, {"a": 1}, key.private.sign(b'{"a":1}').hex())


@pytest.mark.parametrize(
    ("public_key", "signature"), [("", "00" * 64), ("zz", "00" * 64), ("00" * 32, ""), ("00" * 31, "x")]
)
def test_malformed_keys_and_signatures_do_not_hold(public_key: str, signature: str) -> None:
    assert not verify(public_key, {"a": 1}, signature)


def test_another_key_does_not_verify(key: SigningKey, tmp_path: Path) -> None:
    other = create_key(tmp_path, "eve", PASSWORD, cost=CHEAP)
    assert not verify(other, {"a": 1}, sign(key, {"a": 1}))


def test_the_password_comes_from_the_file_without_its_line_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "password"
    file.write_text(" with spaces \n")
    file.chmod(0o600)
    monkeypatch.setenv("AFREL_PASSWORD_FILE", str(file))
    assert read_password("ana") == " with spaces "
    assert capsys.readouterr().err == ""


def test_a_password_file_that_others_may_read_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD)
    file.chmod(0o644)
    monkeypatch.setenv("AFREL_PASSWORD_FILE", str(file))
    assert read_password("ana") == PASSWORD
    assert f"chmod 600 {file}" in capsys.readouterr().err


def test_a_missing_password_file_is_a_plain_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFREL_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(UserError, match="cannot be read"):
        read_password("ana")


def test_without_a_file_and_a_terminal_the_error_names_the_file() -> None:
    code = "from storage.people.keys import read_password\nfrom storage.errors import UserError\n"
    code += "try: read_password('ana')\nexcept UserError as error: print(error)"
    environment = {name: value for name, value in os.environ.items() if name != "AFREL_PASSWORD_FILE"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,
        env=environment,
    )
    assert "AFREL_PASSWORD_FILE=FILE" in done.stdout
