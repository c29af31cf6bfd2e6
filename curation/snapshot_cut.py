"""From the store to a snapshot: which rows the tiers hold now, the directory, its rows in the store's register."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from curation.near_duplicates import find_leaks
from curation.screening_config import read_screening_config
from curation.tier_choice import Choice, choose
from curation.tier_reading import read_tier_rows
from curation.tiers import Tier, parse_tiers
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import ID_HEX_DIGITS, content_id
from storage.people.accounts import Pin
from storage.people.keys import SigningKey
from storage.progress import Watch, unwatched
from storage.reads.tier_relation import DISPUTED_SQL, PAIRS_SQL, UNSCREENED_SQL, WITHOUT_FEATURES_SQL
from storage.rows import SnapshotRow, SnapshotTierRow
from storage.runs import code_version, start_run
from storage.snapshots.cutting import Manifest, TierSpec, write_snapshot
from storage.snapshots.rows import CONTENT_SCHEMA

if TYPE_CHECKING:
    from storage.store import Store
    from storage.workspace import Workspace

N_NAMED = 10  # rows that a refusal lists
LINEAGE_COLUMNS = (
    "pair_id",
    "judgment_id",
    "candidate_id",
    "judgment_origin",
    "reviewers",
    "judgment_run_id",
    "candidate_run_id",
)


@dataclass(frozen=True, slots=True)
class ToCut:
    """What a cut would freeze: rows, rule book and scale of one moment, and how many settled pairs are left out."""

    choice: Choice
    rule_book: Sequence[Mapping[str, Any]]
    scale: Scale


def rows_to_cut(workspace: Workspace, store: Store, *, watch: Watch = unwatched) -> ToCut:
    """Read what the workspace's tiers hold now; UserError for what has to be done before it can be frozen."""
    tiers = parse_tiers(workspace.config.get("tiers", []))
    rows = read_tier_rows(store, watch)
    if rows.n_unscreened:
        raise UserError(
            f"{rows.n_unscreened} candidates of settled pairs are unscreened. Screen them first: afrel screen. "
            f"{_see(UNSCREENED_SQL)}"
        )
    if rows.n_without_features:
        raise UserError(
            f"{rows.n_without_features} settled pairs have no features yet: an ingest was cut short. "
            f"Run it again: afrel ingest FILE --map …. {_see(WITHOUT_FEATURES_SQL)}"
        )
    choice = choose(rows, tiers, tokenizer=tokenizer_of(workspace))
    require_settled(choice.members)
    if choice.problems:
        listed = "\n".join(f"  {problem}" for problem in choice.problems)
        raise UserError(
            f"the rows there are fall short of what their tiers ask for, so nothing is frozen:\n{listed}\n"
            "Settle more pairs, or ask for less in afrel.toml. What each tier holds: afrel tier"
        )
    if choice.members.is_empty():
        raise UserError(
            "no settled pair meets a tier, so there is nothing to freeze. See what is settled: afrel status"
        )
    return ToCut(choice, rows.rule_book, rows.scale)


def tokenizer_of(workspace: Workspace) -> str | None:
    """Return the tokenizer's file that the workspace names under `[screening]`, None when it names none."""
    return read_screening_config(workspace.config.get("screening", {}), root=workspace.root).tokenizer


def require_settled(members: pl.DataFrame) -> None:
    """Return when no answer stands against a member's judgment; UserError says how many do and how to settle them."""
    disputed = members.filter(pl.col("is_disputed"))
    if len(disputed):
        some = ", ".join(disputed["pair_id"].sort().head(N_NAMED).to_list())
        raise UserError(
            f"{len(disputed)} pairs that would enter have answers that speak against their judgment, which does not "
            f"rest on them: {some}{' …' if len(disputed) > N_NAMED else ''}. Somebody has to decide: afrel --as "
            f"ADJUDICATOR adjudicate CANDIDATE --grade N --reason TEXT. {_see(DISPUTED_SQL)} (without test pairs)"
        )


def require_no_leak(members: pl.DataFrame) -> None:
    """Return when no train member's query is nearly one of a dev or test member; UserError lists those that are."""
    is_train = pl.col("split") == "train"
    leaks = find_leaks(
        members.filter(is_train).select("pair_id", "query"), members.filter(~is_train).select("query_id", "query")
    )
    if len(leaks):
        listed = "\n".join(
            f"  {row['pair_id']}: {row['query'][:80]!r} is nearly {row['matched'][:80]!r} of {row['matched_id']} "
            f"(similarity {row['score']:.2f})"
            for row in leaks.head(N_NAMED).to_dicts()
        )
        ids = ", ".join(f"'{pair_id}'" for pair_id in leaks["pair_id"].head(N_NAMED).to_list())
        raise UserError(
            f"{len(leaks)} train rows are of queries that are nearly dev or test queries, so nothing is frozen:\n"
            f"{listed}\n{_see(PAIRS_SQL.format(ids=ids))}"
        )


def freeze(
    workspace: Workspace,
    store: Store,
    to_cut: ToCut,
    *,
    cutter: SigningKey,
    pins: Mapping[str, Pin],
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Freeze what was read; UserError when it leaks, or when just this was revoked before."""
    members = to_cut.choice.members
    require_no_leak(members)
    cut = cut_snapshot(
        workspace,
        store,
        members,
        tiers=tier_specs(to_cut.choice.tiers),
        lineage=lineage_table(members),
        rule_book=to_cut.rule_book,
        scale=to_cut.scale,
        left_out=to_cut.choice.left_out,
        n_shared_docs=to_cut.choice.n_shared_docs,
        cutter=cutter,
        pins=pins,
        watch=watch,
    )
    if not cut["is_new"] and store.read("snapshot_revocations", snapshot_id=cut["snapshot_id"]).num_rows:
        raise UserError(
            f"{cut['snapshot_id']} holds exactly these rows and was revoked. Mend what was wrong first: "
            "a judgment (afrel adjudicate), a rule (afrel approve --reject) or the tiers in afrel.toml"
        )
    return cut


def tier_specs(tiers: Sequence[Tier]) -> list[TierSpec]:
    """Return tiers as a snapshot names them."""
    return [TierSpec(tier.tier, tier.name, tier.where, tier.balance.to_table() or None) for tier in tiers]


def snapshot_rows(members: pl.DataFrame) -> pa.Table:
    """Return tier members as snapshot rows: content only, without their hash."""
    return members.select(CONTENT_SCHEMA.names).to_arrow()


def lineage_table(members: pl.DataFrame) -> pa.Table:
    """Return where each member's grade and rationale came from; people by pseudonym."""
    return members.select(LINEAGE_COLUMNS).to_arrow()


def cut_snapshot(
    workspace: Workspace,
    store: Store,
    members: pl.DataFrame,
    *,
    tiers: Sequence[TierSpec],
    lineage: pa.Table,
    rule_book: Sequence[Mapping[str, Any]],
    scale: Scale,
    left_out: Mapping[str, int],
    n_shared_docs: int,
    cutter: SigningKey,
    pins: Mapping[str, Pin],
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Write the snapshot and register it; return what `afrel snapshot --json` prints.

    The directory comes first and whole; the register's rows are content, so a cut that was killed between the two is
    completed by cutting again.
    """
    with start_run(store, verb="snapshot", config={}, account=cutter.account) as run:
        manifest = write_snapshot(
            workspace.snapshots_dir,
            snapshot_rows(members),
            tiers,
            scale=scale,
            rule_book=rule_book,
            lineage=lineage,
            provenance={
                "code_version": code_version(),
                "left_out": dict(left_out),
                "n_shared_docs": n_shared_docs,
                "run_id": run.run_id,
            },
            cutter=cutter,
            pseudonym=pins[cutter.account].pseudonym,
            watch=watch,
        )
        registered = store.append(_register_rows(workspace, manifest, members, cutter.account, run.run_id))
        run.counts.update(snapshot_id=manifest.snapshot_id, rows=manifest.n_rows, is_new=manifest.is_new)
    return {
        "snapshot_id": manifest.snapshot_id,
        "is_new": manifest.is_new or bool(registered.get("snapshots")),
        "n_rows": manifest.n_rows,
        "directory": str(workspace.snapshots_dir / manifest.snapshot_id),
        "tiers": [{"tier": t.tier, "name": t.name, "n_rows": dict(t.n_rows)} for t in manifest.tiers],
        "left_out": dict(left_out),
        "n_shared_docs": n_shared_docs,
    }


def member_ids(snapshot_id: str, row_hashes: Sequence[str]) -> list[str]:
    """Return the id of each member: `content_id("tm", snapshot_id, row_hash)`, in a fifth of its time."""
    sha256, start = hashlib.sha256, f'["{snapshot_id}","'
    texts = (f'{start}{row_hash}"]' for row_hash in row_hashes)
    return [f"tm_{sha256(text.encode()).hexdigest()[:ID_HEX_DIGITS]}" for text in texts]


def _see(sql: str) -> str:
    """Return the sentence that shows the rows in the way."""
    return f'See them: afrel sql "{sql}"'


def _register_rows(
    workspace: Workspace, manifest: Manifest, members: pl.DataFrame, account: str, run_id: str
) -> dict[str, Any]:
    """Return the register's rows; hashes are read back from the lineage file, which names each pair's row."""
    snapshot_id, at = manifest.snapshot_id, now()
    hashes = pl.read_parquet(workspace.snapshots_dir / snapshot_id / "lineage.parquet", columns=["pair_id", "row_hash"])
    rows = members.select("pair_id", "tier", "judgment_id", "candidate_id").join(hashes, on="pair_id")
    rows = rows.with_columns(
        pl.lit(snapshot_id).alias("snapshot_id"),
        pl.Series("tier_member_id", member_ids(snapshot_id, rows["row_hash"].to_list()), dtype=pl.String),
    )
    return {
        "snapshots": [
            SnapshotRow(
                snapshot_id=snapshot_id,
                manifest_digest=manifest.digest,
                account=account,
                n_rows=manifest.n_rows,
                run_id=run_id,
                created_at=at,
            )
        ],
        "tiers": [
            SnapshotTierRow(
                snapshot_tier_id=content_id("st", snapshot_id, entry.tier),
                snapshot_id=snapshot_id,
                tier=entry.tier,
                name=entry.name,
                predicate=entry.predicate,
                digest=entry.digest,
                n_rows=sum(entry.n_rows.values()),
                created_at=at,
            )
            for entry in manifest.tiers
        ],
        "tier_members": rows,
    }
