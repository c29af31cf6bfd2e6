"""Verify a snapshot: every byte and field against the manifest, the rows, the id and the pins.

Nothing inside the directory vouches for itself: row hashes, tier digests and the id are computed anew, and signatures
are held against pinned keys. Any file that should not be there is as much a problem as one that is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from storage.errors import UserError
from storage.people.accounts import Pin
from storage.progress import Stage, Watch, unwatched
from storage.snapshots.files import in_parallel
from storage.snapshots.manifest import (
    LINEAGE,
    MANIFEST,
    PROVENANCE,
    REVOCATIONS,
    SIGNATURES,
    FileEntry,
    Manifest,
    cut_anew,
    data_paths,
    read_manifest,
    scale_content,
    spec_content,
)
from storage.snapshots.row_checks import FileRows, checked
from storage.snapshots.rows import NO_KEYS, rows_digest, rows_id
from storage.snapshots.seals import (
    NotEntitledError,
    Revocation,
    SealError,
    check_tier_signature,
    cutter_of,
    read_provenance,
    read_revocations,
)

N_SIGNATURES_NEEDED = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a file, by its path inside the snapshot."""

    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a snapshot was found to be. It is sound when there are no `problems`.

    `signed_tiers` has every tier, with the accounts whose signatures count; `not_counted` are sound signatures of
    accounts that these pins do not entitle to sign.
    """

    manifest: Manifest | None
    problems: tuple[Problem, ...]
    signed_tiers: Mapping[int, tuple[str, ...]]
    not_counted: tuple[Problem, ...]
    revoked: tuple[Revocation, ...]
    cutter: Pin | None


def verify_snapshot(
    directory: Path, pins: Mapping[str, Pin], *, reads_test: bool = True, watch: Watch = unwatched
) -> Verification:
    """Check a snapshot directory against itself and the pins; every problem is named, none raises.

    With `reads_test` False the test rows stay unread: their files are held against the manifest by their bytes, and
    only the row hashes are taken from them.
    """
    if not directory.is_dir():
        raise UserError(f"there is no snapshot at {directory}. List yours: afrel status")
    try:
        manifest = read_manifest(directory)
    except UserError as error:
        return Verification(None, (Problem(MANIFEST, str(error)),), {}, (), (), None)
    found = content_problems(directory, manifest, reads_test=reads_test, watch=watch)
    return _read_seals(directory, manifest, pins, found)


def glance_at(directory: Path, pins: Mapping[str, Pin]) -> Verification:
    """Return what shows of a snapshot without reading its data files: which there are, their sizes, every signature.

    Bytes changed in place do not show; `verify_snapshot` finds them.
    """
    try:
        manifest = read_manifest(directory)
    except UserError as error:
        return Verification(None, (Problem(MANIFEST, str(error)),), {}, (), (), None)
    sizes = [Problem(file.path, what) for file in manifest.files if (what := _size_problem(directory, file))]
    return _read_seals(directory, manifest, pins, _file_list_problems(directory, manifest) + sizes)


def _read_seals(directory: Path, manifest: Manifest, pins: Mapping[str, Pin], found: Iterable[Problem]) -> Verification:
    """Return what a snapshot's signed statements say of it, beside what was found wrong with its content."""
    problems = list(found)
    cutter: Pin | None = None
    revoked: tuple[Revocation, ...] = ()
    try:
        cutter = cutter_of(manifest, read_provenance(directory), pins)
    except SealError as error:
        problems.append(Problem(PROVENANCE, str(error)))
    try:
        revoked = read_revocations(directory, manifest, pins=pins, cutter=cutter)
    except SealError as error:
        problems.append(Problem(REVOCATIONS, str(error)))
    signed: dict[int, tuple[str, ...]] = {entry.tier: () for entry in manifest.tiers}
    not_counted = []
    for path in _signature_files(directory):
        place = f"{SIGNATURES}/{path.name}"
        try:
            tier, account = check_tier_signature(path, manifest, pins=pins, cutter=cutter)
        except SealError as error:
            problems.append(Problem(place, str(error)))
        except NotEntitledError as error:
            not_counted.append(Problem(place, str(error)))
        else:
            signed[tier] = (*signed[tier], account)
    return Verification(manifest, tuple(problems), signed, tuple(not_counted), revoked, cutter)


def require_trainable(
    directory: Path,
    pins: Mapping[str, Pin],
    *,
    tiers: Collection[int] | None = None,
    known_revoked: Collection[int | None] = (),
) -> Manifest:
    """Return the manifest of a snapshot whose tiers are whole, signed and not revoked; UserError says how to mend it.

    `tiers` None means every tier that has rows. `known_revoked` are the tiers (None: all) that the workspace's own
    rows say are revoked: a directory alone cannot show that its revocations were put back to an earlier, signed state.
    """
    verification = verify_snapshot(directory, pins, reads_test=False)
    manifest = verification.manifest
    if manifest is None or verification.problems:
        first, *others = verification.problems
        more = f" (and {len(others)} more: afrel verify {directory.name})" if others else ""
        raise UserError(f"snapshot {directory.name} is altered: {first}{more}. {cut_anew()}")
    wanted = [entry.tier for entry in manifest.tiers if sum(entry.n_rows.values())] if tiers is None else list(tiers)
    for tier in wanted:
        manifest.find_tier(tier)
        _require_not_revoked(verification, manifest, tier=tier, known_revoked=known_revoked)
    for tier in wanted:
        n_signatures = len(verification.signed_tiers[tier])
        if n_signatures < N_SIGNATURES_NEEDED:
            held = [str(problem) for problem in verification.not_counted if f"tier_{tier}." in problem.path]
            aside = f"; not counted: {'; '.join(held)}" if held else ""
            raise UserError(
                f"snapshot {manifest.snapshot_id} tier {tier} is not signed ({n_signatures} of "
                f"{N_SIGNATURES_NEEDED}{aside}). Sign it: afrel --as ACCOUNT sign {manifest.snapshot_id} --tier {tier}"
            )
    return manifest


def content_problems(
    directory: Path, manifest: Manifest, *, reads_test: bool = True, watch: Watch = unwatched
) -> list[Problem]:
    """Return what is wrong with the manifest, the files it names and the rows in them; signatures are left aside."""
    problems = _file_list_problems(directory, manifest)
    n_bytes, n_bytes_checked = sum(file.n_bytes for file in manifest.files), 0
    sound: set[str] = set()
    for file, what in zip(manifest.files, in_parallel(partial(_file_problem, directory), manifest.files), strict=True):
        if what:
            problems.append(Problem(file.path, what))
        else:
            sound.add(file.path)
        n_bytes_checked += file.n_bytes
        watch(Stage.CHECKING_FILES, n_bytes_checked, n_bytes)
    return problems + list(_row_problems(directory, manifest, sound=sound, reads_test=reads_test, watch=watch))


def _file_list_problems(directory: Path, manifest: Manifest) -> list[Problem]:
    """Return what is wrong with the manifest and with which files there are."""
    problems = []
    if (directory / MANIFEST).read_bytes() != manifest.to_json().encode():
        problems.append(Problem(MANIFEST, "its text is not the one afrel writes"))
    if directory.name.startswith("snap_") and directory.name != manifest.snapshot_id:
        problems.append(Problem(MANIFEST, f"it is {manifest.snapshot_id}'s, in the directory of {directory.name}"))
    expected = {*data_paths(manifest), LINEAGE, PROVENANCE}
    named = [file.path for file in manifest.files]
    if sorted(named) != sorted(expected):
        problems.append(Problem(MANIFEST, f"its files do not fit its counts: {sorted(expected ^ set(named))}"))
    problems += [Problem(path, "this is a link, not a file") for path in sorted(_links(directory))]
    for path in sorted(_present(directory) - expected - {MANIFEST, REVOCATIONS}):
        if not path.startswith(f"{SIGNATURES}/"):
            problems.append(Problem(path, "this file does not belong to the snapshot"))
    return problems


def _file_problem(directory: Path, file: FileEntry) -> str | None:
    if what := _size_problem(directory, file):
        return what
    return None if sha256_of(directory / file.path) == file.sha256 else "its bytes are not those the manifest names"


def _size_problem(directory: Path, file: FileEntry) -> str | None:
    """Return what is wrong with a file that shows without reading it."""
    path = directory / file.path
    if not path.is_file() or path.is_symlink() or not path.resolve().is_relative_to(directory.resolve()):
        return "this file is missing"
    if path.stat().st_size != file.n_bytes:
        return f"it has {path.stat().st_size} bytes, the manifest says {file.n_bytes}"
    return None


def _row_problems(
    directory: Path, manifest: Manifest, *, sound: set[str], reads_test: bool, watch: Watch
) -> Iterator[Problem]:
    """Yield what is wrong with rows, digests and id. Files whose bytes are altered are named already and not read."""
    hashes = {entry.tier: [NO_KEYS["row_hash"]] for entry in manifest.tiers}
    places = data_paths(manifest)
    asked = [
        FileRows(path, directory / path, tier, split, is_read=reads_test or split != "test")
        for path, (tier, split) in places.items()
        if path in sound
    ]
    for file in checked(asked, lambda n: watch(Stage.CHECKING_ROWS, n, manifest.n_rows)):
        yield from (Problem(file.name, what) for what in file.problems())
        held = file.hashes()
        if held is None:
            continue
        hashes[file.tier].append(held)
        n_rows = manifest.find_tier(file.tier).n_rows[file.split]
        if len(held) != n_rows:
            yield Problem(file.name, f"it has {len(held)} rows, the manifest says {n_rows}")
        if not (held[1:] > held[:-1]).all():
            yield Problem(file.name, "its rows are repeated or out of order")
    if not places.keys() <= sound:
        return
    of_tier = {tier: pl.concat(parts) for tier, parts in hashes.items()}
    for entry in manifest.tiers:
        if rows_digest(of_tier[entry.tier]) != entry.digest:
            yield Problem(MANIFEST, f"the digest of tier {entry.tier} is not that of its rows")
    snapshot_id = rows_id(
        pl.concat([NO_KEYS["row_hash"], *of_tier.values()]),
        tiers=[spec_content(entry.spec) for entry in manifest.tiers],
        scale=scale_content(manifest.scale),
        rule_book=[dict(rule) for rule in manifest.rule_book],
    )
    if snapshot_id != manifest.snapshot_id:
        yield Problem(MANIFEST, f"its rows, predicates, scale and rule book make {snapshot_id}, not its own id")


def _require_not_revoked(
    verification: Verification, manifest: Manifest, *, tier: int, known_revoked: Collection[int | None]
) -> None:
    for revocation in verification.revoked:
        if revocation.tier in (None, tier):
            which = "" if revocation.tier is None else f" tier {tier}"
            raise UserError(
                f"snapshot {manifest.snapshot_id}{which} was revoked by {revocation.account!r} on "
                f"{revocation.at[:10]}: {revocation.reason}. Cut another: afrel --as ACCOUNT snapshot"
            )
    if {None, tier} & set(known_revoked):
        raise UserError(
            f"snapshot {manifest.snapshot_id} tier {tier} is revoked in the workspace, yet its {REVOCATIONS} does not "
            "say so: it was put back. Cut another: afrel --as ACCOUNT snapshot"
        )


def _signature_files(directory: Path) -> list[Path]:
    folder = directory / SIGNATURES
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _present(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}


def _links(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_symlink()}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
