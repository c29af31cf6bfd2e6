"""The one place that holds the database open: commits facts, answers named reads, keeps what is derived.

Facts are inserted, never edited; rows whose id is already held are dropped, so a retry after any crash is safe. The
connection is hardened before the first request: no file but the hand-over and publish folders, settings locked.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from storage.clock import now
from storage.errors import UserError
from storage.process.admission import Admission
from storage.process.answering import answering, tables_found
from storage.process.claims import Chosen, ClaimDesk
from storage.process.commit import UPDATED_COLUMNS, Commit, Counts
from storage.process.gate import Gate
from storage.process.journal import Journal, Request, encode
from storage.process.kept_answers import KeptAnswers
from storage.process.opening import open_database
from storage.process.places import StoreIndexes
from storage.process.put_off import DeskAct
from storage.process.rebuilding import rebuild
from storage.publishing.published import begin_snapshot, publish
from storage.reads import READS
from storage.safekeeping.backup import back_up
from storage.safekeeping.backup_manifest import BackupManifest
from storage.safekeeping.doctor import examine
from storage.safekeeping.erasure import Erased, Kind, erase
from storage.safekeeping.finding import Finding, Severity
from storage.safekeeping.rewriting import take_over

LEFT_OVER_SECONDS = 3600
MOST_CHANGED_PAIRS = 200_000
REPLAY_AT_ONCE = 200
N_TRIES = 20  # to begin a checkpoint
BEGINNING_SECONDS = 0.02
HANDED_OVER = re.compile(r"[0-9a-f]{32}\.parquet")


class Owner:
    """The open database. Writes are serialised by a lock; reads run on cursors of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.handover_dir = root / "handover"
        self._publish_dir = root / ".publish"
        for folder in (self.handover_dir, self._publish_dir):
            folder.mkdir(exist_ok=True)
        for left_over in self.handover_dir.glob("*.parquet"):
            if time.time() - left_over.stat().st_mtime > LEFT_OVER_SECONDS:
                left_over.unlink()  # its client was killed; a living one still asks for its own
        self._connection = open_database(root, folders=(self.handover_dir, self._publish_dir))
        self.admission = Admission(self._connection)
        self._writing = threading.RLock()
        self.indexes = StoreIndexes(self._connection, root / "index", self.admission.columns, lock=self._writing)
        self.desk = ClaimDesk(self._connection, self.indexes)
        self._publishing = threading.Lock()  # taken before the gate is closed, and that before `_writing`
        self._gate = Gate()
        self._kept = KeptAnswers()
        self._changed_pairs: set[str] | None = None  # since the last publish; None: unknown
        self.journal = Journal(root)
        try:
            self._replay()
            self._align()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Fold the log into the file, save the indexes and let go of everything."""
        with self._writing:
            self.journal.close()
            with suppress(duckdb.Error, OSError):  # nothing is lost without: the next start reads the tables
                self.indexes.save()
            self.desk.close()
            self._connection.close()

    def admit(
        self, tables: Mapping[str, pa.Table], files: Mapping[str, str] = {}, update: Mapping[str, Any] | None = None
    ) -> Request:
        """Return a request that the database will take; UserError for one it would not."""
        for table, name in files.items():
            self.admission.check_table(table)
            self.admission.check_columns(table, self._handed_over(name))
        if update is not None:
            check_update(update)
        return Request(self.admission.admit(tables), files, update)

    def fold(self, requests: Sequence[Request], *, sequence: int | None = None) -> list[Counts | Exception]:
        """Commit several requests together; return rows newly held by table, or each request's own error.

        When one of them fails, all are undone and each is tried by itself, so that nobody pays for another's mistake.
        `sequence` is the last journal record among them.
        """
        with self._writing:
            try:
                return list(self._commit(requests, sequence))
            except duckdb.FatalException:
                raise
            except Exception as error:
                if len(requests) == 1 and sequence is None:
                    return [error]
            outcomes: list[Counts | Exception] = []
            for request in requests:
                try:
                    outcomes += self._commit([request], None)
                except duckdb.FatalException:
                    raise
                except Exception as error:
                    outcomes.append(error)
            self._commit([], sequence)
            return outcomes

    @contextmanager
    def answering(self, name: str, params: Mapping[str, Any], *, sees_test: bool) -> Iterator[pa.RecordBatchReader]:
        """Answer a named read as a reader that is good until the block ends (see `answering`)."""
        if not params and (kept := self._kept.find(name)) is not None:
            yield kept.to_reader()
            return
        self.load_indexes(tables_found(name))
        age = self._kept.age
        answer = answering(self._connection, self.indexes, name, params, sees_test=sees_test)
        with self._gate.passing(), answer as reader:
            if not READS[name].made_of:
                yield reader
                return
            whole = reader.read_all()
        self._kept.keep(name, whole, age=age)
        yield whole.to_reader()

    def choose(self, account: str, n: int, session: str, sequence: int, among: Sequence[str] | None = None) -> Chosen:
        """Choose the next n candidates for a reviewer; the rows of their leases are still to be committed."""
        try:
            "".join(among or ()).encode()
        except UnicodeEncodeError:
            raise UserError("a candidate to claim has half of a character in its id") from None
        self.load_indexes(["responses", "send_backs", *([] if among is None else ["candidates"])])
        return self.desk.choose(account, n, session, sequence, at=now(), among=among)

    def load_indexes(self, tables: Sequence[str]) -> None:
        """Read the indexes of these tables, unless they are in memory."""
        for table in tables:
            if not self.indexes.is_loaded(table):
                with self._writing:
                    for column in self.indexes.columns(table):
                        self.indexes.index(table, column)

    def back_up(self, target: Path) -> BackupManifest:
        """Copy the workspace to a new folder, all that is committed by now."""
        with self.paused():
            return back_up(self._connection, root=self.root, target=target)

    def examine(self) -> list[Finding]:
        """Return everything that should hold of the workspace and does not; indexes are compared with their tables."""
        with self._writing:
            findings = examine(self._connection, root=self.root)
            for table, column in self.indexes.differing():
                findings.append(
                    Finding(
                        Severity.WRONG, f"the index of {table}.{column} is not its table's", 1, "afrel doctor --rebuild"
                    )
                )
        return findings

    def erase(
        self, *, kind: Kind, value: str, account: str, reason: str | None, run_id: str, is_dry: bool = False
    ) -> Erased:
        """Blank a text or a name for good. Unless it was dry, this owner is closed then: the file is a new one.

        The caller holds `paused`, so that nothing is committed to the file that went.
        """
        asked = {"kind": kind, "value": value, "account": account, "reason": reason, "run_id": run_id}
        erased = erase(self._connection, root=self.root, is_dry=is_dry, **asked)  # type: ignore[arg-type]
        if erased.rewritten is not None:
            sequence = self.sequence()
            self.close()
            take_over(self.root, erased.rewritten)
            self.journal.drop(up_to=sequence)
        return erased

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Let nothing be committed, read or published meanwhile; what comes is acknowledged in the journal."""
        with self._publishing, self._gate.closed(), self._writing:
            yield

    def checkpoint(self) -> bool:
        """Fold DuckDB's log into its file, and let go of the journal the file now holds; say whether that was possible.

        It is not while a copy is being published, which reads one state for long. Readers are held up until it has
        begun; those that come then see what it folds.
        """
        if not self._publishing.acquire(blocking=False):
            return False
        try:
            with self._writing:
                self._pass_over_words(*self.journal.rotate())
            for _ in range(N_TRIES):
                with self._gate.closed(for_seconds=BEGINNING_SECONDS), self._writing:
                    try:
                        self._connection.execute("checkpoint").fetchall()
                    except duckdb.TransactionException:
                        continue  # a claim, or a reader that came before it had begun
                    self.journal.drop(up_to=self.sequence())
                    return True
        finally:
            self._publishing.release()
        return False

    def _pass_over_words(self, last: int, last_with_rows: int) -> None:
        """Count records that only tell of commits made elsewhere as in the database, once all with rows are.

        Else they would go with their segment, and the next start would miss them before the first record it finds.
        """
        if last_with_rows <= self.sequence() < last:
            self._connection.execute("update position set sequence = ?", [last]).fetchall()

    def save_indexes(self) -> None:
        """Write the indexes to disk, so that the next start need not read the tables."""
        with self._writing:
            self.indexes.save()

    def sequence(self) -> int:
        """Return the last journal record that is in the database."""
        ((sequence,),) = self._connection.execute("select sequence from position").fetchall()
        return int(sequence)

    def n_commits(self) -> int:
        """Return the number of commits the database has seen."""
        with self._writing:
            ((n_commits,),) = self._connection.execute("select n_commits from position").fetchall()
        return int(n_commits)

    def log_bytes(self) -> int:
        """Return the size of DuckDB's log."""
        log = self.root / "afrel.duckdb.wal"
        return log.stat().st_size if log.exists() else 0

    def publish(self) -> Path:
        """Bring the read-only copy up to the facts committed by now; return its path. Commits go on meanwhile."""
        with self._publishing:
            cursor = self._connection.cursor()
            try:
                with self._writing:  # what changed belongs to exactly this view of the facts
                    begin_snapshot(cursor)
                    changed, self._changed_pairs = self._changed_pairs, set()
                pairs = None if changed is None else sorted(changed)
                return publish(cursor, root=self.root, scratch=self._publish_dir, changed_pairs=pairs)
            except BaseException:
                with self._writing:
                    self._changed_pairs = None
                raise
            finally:
                cursor.close()

    def has_published(self) -> bool:
        """Say whether there is a read-only copy to keep up to date."""
        return (self.root / "published.duckdb").exists()

    def note_committed(self, counts: Counts) -> None:
        """Tell the journal of a commit whose rows it does not hold, so that its loss would be seen."""
        if any(counts.values()):
            request = Request(committed={**counts, "n_commits": self.n_commits()})
            self.journal.write([encode(request)])

    def rebuild(self) -> dict[str, int]:
        """Derive the standing of all candidates anew, without the indexes; return how many rows differed."""
        with self._writing:
            self.indexes.mend()
            differing = rebuild(self._connection)
            self._changed_pairs = None
            self.desk.forget()
        return {"candidate_status": differing}

    def _commit(self, requests: Sequence[Request], sequence: int | None) -> list[Counts]:
        commit = Commit(self._connection, self.indexes, admission=self.admission, handover=self.handover_dir)
        counts = commit.run(requests, sequence)
        self._kept.forget({table for request in requests for table in (*request.tables, *request.files)})
        self.desk.update(commit.derived)
        for request in requests:
            self.desk.catch_up(acts_of(request))
            self.desk.hold(leases_of(request))
            if "responses" in request.files:
                self.desk.forget()
        if self._changed_pairs is not None:
            for rows in commit.derived:
                if len(self._changed_pairs) + rows.num_rows > MOST_CHANGED_PAIRS:
                    self._changed_pairs = None
                    break
                self._changed_pairs.update(rows["pair_id"].to_pylist())
        if sequence is not None:
            self.journal.mark_folded(sequence)
        return counts

    def _handed_over(self, name: str) -> list[str]:
        """Return the columns of a hand-over file; UserError for a name that is none of a client's, or no Parquet."""
        path = self.handover_dir / name
        if not HANDED_OVER.fullmatch(name) or path.is_symlink() or not path.is_file():
            raise UserError(f"{name!r:.80} is no file in {self.handover_dir}. Run the command again")
        try:
            return list(pq.read_schema(path).names)
        except (OSError, pa.ArrowException) as error:
            raise UserError(f"{path} is no whole Parquet file: {str(error).splitlines()[0]}") from error

    def _replay(self) -> None:
        """Put into the database what was acknowledged and is not in it."""
        at = self.sequence()
        n_commits, folded = self.n_commits(), self.journal.folded()
        group: list[Request] = []
        last = at
        for sequence, requests in self.journal.replay(after=at):
            for request in requests:
                if request.committed and int(request.committed["n_commits"]) > n_commits:
                    raise _lost(self.root, request.committed)
            group += [request for request in requests if not request.committed]
            last = sequence
            if len(group) >= REPLAY_AT_ONCE:
                self._replay_group(group, last)
                group = []
        if folded > last:
            raise UserError(
                f"{self.root / 'afrel.duckdb'} is older than its journal: it ends at request {last} of {folded}. Put "
                "the right file back, or restore a backup: afrel restore BACKUP NEW_FOLDER. To go on without what is "
                f"missing, remove {self.journal.folder / 'folded'}"
            )
        if last > at:
            self._replay_group(group, last)
            print(f"{datetime.now():%F %T} put back requests {at + 1} to {last} from the journal", file=sys.stderr)

    def _replay_group(self, group: Sequence[Request], sequence: int) -> None:
        try:
            outcomes = self.fold(group, sequence=sequence)
        except duckdb.Error as error:
            raise UserError(
                f"the database of {self.root} cannot take what the journal holds: {str(error).splitlines()[0]}. "
                "Nothing that was acknowledged is lost. Make room on the disk, then run the command again"
            ) from error
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                print(f"{datetime.now():%F %T} a request of the journal was refused: {outcome}", file=sys.stderr)

    def _align(self) -> None:
        """Derive everything when the standing of candidates is not theirs row by row: after a migration, say."""
        if self.indexes.n_rows("candidates") != self.indexes.n_rows("candidate_status"):
            self.rebuild()


def acts_of(request: Request) -> list[DeskAct]:
    """Return each response among a request's rows, as far as the claim desk cares."""
    rows = request.tables.get("responses")
    if rows is None:
        return []
    columns = (rows[name].to_pylist() for name in ("response_id", "pair_id", "account", "act"))
    return [DeskAct(*values) for values in zip(*columns, strict=True)]


def leases_of(request: Request) -> list[tuple[str, str, datetime]]:
    """Return candidate, account and end of each lease among a request's rows."""
    rows = request.tables.get("leases")
    if rows is None:
        return []
    return list(zip(*(rows[name].to_pylist() for name in ("candidate_id", "account", "until")), strict=True))


def check_update(update: Mapping[str, Any]) -> None:
    """Return when these columns of a run or a job may be set; UserError otherwise."""
    what, table, own = ("job", "jobs", "job_id") if "job_id" in update else ("run", "runs", "run_id")
    columns = UPDATED_COLUMNS[table]
    unknown = sorted(set(update) - set(columns) - {own})
    if unknown or len(update) < 2:
        raise UserError(f"of a {what} {', '.join(columns)} can be set, not {unknown[:10]!r:.200}")


def _lost(root: Path, committed: Mapping[str, int]) -> UserError:
    what = ", ".join(f"{n:,} rows of {table}" for table, n in committed.items() if table != "n_commits")
    return UserError(
        f"{root / 'afrel.duckdb.wal'} was shortened: {what}, taken from a file, are missing. Put the right file back, "
        "or restore a backup: afrel restore BACKUP NEW_FOLDER. To go on without them, and then run the command that "
        f"brought them again, remove {root / 'journal'}"
    )
