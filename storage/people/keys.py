"""Signing keys: one ed25519 key an account, sealed under its password, at home and never in a workspace.

A key file holds the private key encrypted with ChaCha20-Poly1305 under an Argon2id key of the password; its cost stands
in the file, so a later default does not lock anybody out. Everything but the ciphertext is authenticated with it. A
wrong password and an unknown account take the same path through this file, cost the same and read the same.
"""

from __future__ import annotations

import getpass
import json
import os
import secrets
import stat
import sys
import unicodedata
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from storage import durable
from storage.errors import UserError
from storage.ids import canonical_json, digest
from storage.people.accounts import check_account, is_account_name
from storage.people.throttle import DEFAULT_PACE, Pace, counted_guess

FORMAT = 1
MIN_PASSWORD_CHARACTERS = 8
# Signatures made for anything else with the same key never verify here.
DOMAIN = b"afrel signature v1\n"
PASSWORD_FILE = "AFREL_PASSWORD_FILE"


class WrongPasswordError(UserError):
    """A password that does not open the key; the same where there is no such account."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess at a password costs (Argon2id, RFC 9106). The default takes 0.15 to 0.25 s and 64 MiB."""

    iterations: int = 2
    lanes: int = 1
    memory_kib: int = 65_536


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An account's unlocked key. `public_key` is 64 hex digits."""

    account: str
    public_key: str
    private: Ed25519PrivateKey = field(repr=False, compare=False)


def has_key(home: Path, account: str) -> bool:
    """Say whether an account has a key at home."""
    return _key_path(home, check_account(account)).exists()


def key_mark(home: Path, account: str) -> str | None:
    """Return what tells an account's key file from what it was before: another password is another mark; None for none.

    The mark tells nothing of key or password.
    """
    path = _key_path(home, account)
    try:
        written = path.stat()
    except OSError:
        return None
    return digest(f"{written.st_ino} {written.st_mtime_ns} {written.st_size}")


def create_key(home: Path, account: str, password: str, *, cost: Cost = Cost()) -> str:
    """Make an account's key and return its public half; UserError when the account has one or the password is short."""
    check_account(account)
    _check_new_password(password)
    path = _key_path(home, account)
    if path.exists():
        raise _held(account, path)
    private = Ed25519PrivateKey.generate()
    _prepare_folder(path.parent)
    try:
        durable.create(path, _seal(private, account=account, password=password, cost=cost), mode=0o600)
    except FileExistsError:
        raise _held(account, path) from None
    return _public_hex(private)


def set_aside_key(home: Path, account: str) -> Path | None:
    """Move an account's key file away, so that a new key can be made; return where it lies now, None for none."""
    path = _key_path(home, check_account(account))
    aside = path.with_name(f"{account}.aside-{secrets.token_hex(4)}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return None
    durable.sync(path.parent)
    return aside


def put_key_back(home: Path, account: str, aside: Path | None) -> None:
    """Undo `set_aside_key`, and the making of a key since."""
    path = _key_path(home, check_account(account))
    if aside is None:
        path.unlink(missing_ok=True)
    else:
        os.replace(aside, path)
    durable.sync(path.parent)


def unlock(home: Path, account: str, password: str, *, cost: Cost = Cost(), pace: Pace = DEFAULT_PACE) -> SigningKey:
    """Return an account's key; UserError, the same for an unknown account and a wrong password.

    Wrong passwords are counted, and make the next wait (`throttle`). An account costs what its file says, an unknown
    one what the file of some other account says, and `cost` where there is none.
    """
    decoy = _decoy(home, account, cost=cost)
    sealed = _read_sealed(home, account) or decoy
    private = counted_guess(home, account, lambda: _open(sealed, password), pace=pace)
    if private is None:
        raise WrongPasswordError(
            f"no key of account {account!r} in {home} opens with this password. Try again, or make the account's key: "
            "afrel --as ADMIN account add ACCOUNT --role ROLE"
        )
    return SigningKey(account, _public_hex(private), private)


def open_or_create_key(home: Path, account: str, password: str) -> str:
    """Return the public key of an account at home, made under the password when there is none."""
    return unlock(home, account, password).public_key if has_key(home, account) else create_key(home, account, password)


def change_password(
    home: Path,
    account: str,
    password: str,
    new_password: str,
    *,
    cost: Cost = Cost(),
) -> None:
    """Seal an account's key under a new password, at this cost. The key stays the same."""
    key = unlock(home, account, password, cost=cost)
    _check_new_password(new_password)
    path = _key_path(home, account)
    sealed = _seal(key.private, account=account, password=new_password, cost=cost)
    durable.replace(path, sealed, folder=path.parent, mode=0o600)


def sign(key: SigningKey, payload: Mapping[str, Any]) -> str:
    """Return the signature of a payload's canonical JSON, 128 hex digits."""
    return key.private.sign(DOMAIN + canonical_json(dict(payload)).encode()).hex()


def verify(public_key: str, payload: Mapping[str, Any], signature: str) -> bool:
    """Say whether the signature is this key's over this payload; anything malformed is a no."""
    try:
        message = DOMAIN + canonical_json(dict(payload)).encode()
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def read_password(account: str, *, is_new: bool = False) -> str:
    """Return the password from the file `AFREL_PASSWORD_FILE` names, else ask; a new one is asked for twice.

    Warns on stderr when others may read the file. UserError when there is neither a file nor a terminal.
    """
    if os.environ.get(PASSWORD_FILE):
        return _password_from_file(Path(os.environ[PASSWORD_FILE]))
    password = _ask(f"{'New password' if is_new else 'Password'} of {account}: ")
    if is_new and _ask("Again: ") != password:
        raise UserError(f"the two passwords for account {account!r} differ. Run the command again")
    return password


def _password_from_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"the password file {path} ({PASSWORD_FILE}) cannot be read: {error}") from None
    if stat.S_ISREG(mode) and mode & 0o077:
        print(f"warning: others may read the password file {path}. Mend it: chmod 600 {path}", file=sys.stderr)
    return text.removesuffix("\n").removesuffix("\r")


def _ask(prompt: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except (getpass.GetPassWarning, EOFError):
        raise UserError(f"no terminal to ask for a password. Name a file that holds it: {PASSWORD_FILE}=FILE") from None


_RESTORE = "Restore it from a backup of that folder, or have an admin pin a new key"


def _seal(private: Ed25519PrivateKey, *, account: str, password: str, cost: Cost) -> str:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    head = {
        "format": FORMAT,
        "account": account,
        "public_key": _public_hex(private),
        "kdf": {"name": "argon2id", "salt": salt.hex(), **asdict(cost)},
        "cipher": {"name": "chacha20-poly1305", "nonce": nonce.hex()},
    }
    secret = ChaCha20Poly1305(_derive(password, salt, cost=cost))
    sealed = secret.encrypt(nonce, private.private_bytes_raw(), canonical_json(head).encode())
    return json.dumps({**head, "sealed": sealed.hex()}, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A private key under a password, as its file holds it; `stated` is authenticated with it."""

    salt: bytes
    nonce: bytes
    ciphertext: bytes
    stated: bytes
    cost: Cost


def _read_sealed(home: Path, account: str) -> _Sealed | None:
    """Read an account's key file; None when there is none, UserError when it is damaged."""
    if not is_account_name(account):
        return None
    try:
        content = json.loads(_key_path(home, account).read_text(encoding="utf-8"))
    except OSError:
        return None
    except (ValueError, RecursionError):
        content = None
    sealed = _to_sealed(content, account)
    if sealed is None:
        raise UserError(f"the key file {_key_path(home, account)} is damaged. {_RESTORE}")
    return sealed


def _to_sealed(content: Any, account: str) -> _Sealed | None:
    """Return what a key file of this account says, None when it says no such thing."""
    try:
        head = {name: value for name, value in content.items() if name != "sealed"}
        cost = Cost(**{name: int(head["kdf"][name]) for name in Cost.__dataclass_fields__})
        salt, nonce = bytes.fromhex(head["kdf"]["salt"]), bytes.fromhex(head["cipher"]["nonce"])
        ciphertext = bytes.fromhex(content["sealed"])
        _kdf(salt, cost)
        stated = canonical_json(head).encode()
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return None
    if (head["format"], head["account"], len(nonce), len(ciphertext)) != (FORMAT, account, 12, 48):
        return None
    return _Sealed(salt, nonce, ciphertext, stated, cost)


def _decoy(home: Path, account: str, *, cost: Cost) -> _Sealed:
    """Return what no password opens, at the cost of one of the accounts here: always the same one for a name."""
    names = sorted(path.stem for path in (home / "keys").glob("*.json") if is_account_name(path.stem))
    like = None
    if names:
        name = names[int(digest(account), 16) % len(names)]
        with suppress(UserError):
            like = _read_sealed(home, name)
    return _Sealed(bytes(16), bytes(12), bytes(48), b"", like.cost if like is not None else cost)


def _open(sealed: _Sealed, password: str) -> Ed25519PrivateKey | None:
    """Return the key, or None for a wrong password."""
    secret = ChaCha20Poly1305(_derive(password, sealed.salt, cost=sealed.cost))
    try:
        return Ed25519PrivateKey.from_private_bytes(secret.decrypt(sealed.nonce, sealed.ciphertext, sealed.stated))
    except InvalidTag:
        return None


def _derive(password: str, salt: bytes, *, cost: Cost) -> bytes:
    return _kdf(salt, cost).derive(unicodedata.normalize("NFC", password).encode("utf-8", "surrogateescape"))


def _kdf(salt: bytes, cost: Cost) -> Argon2id:
    return Argon2id(salt=salt, length=32, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib)


def _public_hex(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes_raw().hex()


def _check_new_password(password: str) -> None:
    if len(password) < MIN_PASSWORD_CHARACTERS:
        raise UserError(
            f"the password has {len(password)} characters; it takes at least {MIN_PASSWORD_CHARACTERS}. Choose another"
        )


def _key_path(home: Path, account: str) -> Path:
    return home / "keys" / f"{account}.json"


def _held(account: str, path: Path) -> UserError:
    return UserError(f"account {account!r} already has a key ({path}). Change its password: afrel account password")


def _prepare_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for part in (folder, folder.parent):
        part.chmod(0o700)
