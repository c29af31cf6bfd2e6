"""From the store to a snapshot: which rows the tiers hold now, the directory, its rows in the store's register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from curation.tier_reading import read_tier_rows
from curation.tier_rows import rule_book
from curation.tiers import Tier, assign, parse_tiers
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import content_id
from storage.people.accounts import Pin
from storage.people.keys import SigningKey
from storage.progress import Watch, unwatched
from storage.rows import SnapshotRow, SnapshotTierRow
from storage.runs import code_version, start_run
from storage.session import read_scale
from storage.snapshots.cutting import Manifest, TierSpec, write_snapshot
from storage.snapshots.rows import CONTENT_SCHEMA

if TYPE_CHECKING:
    from storage.store import Store
    from storage.workspace import Workspace

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
    """What a cut would freeze: the tiers' rows, and how many settled pairs are left out, by reason."""

    tiers: tuple[Tier, ...]
    members: pl.DataFrame
    left_out: Mapping[str, int]


def rows_to_cut(workspace: Workspace, store: Store, *, watch: Watch = unwatched) -> ToCut:
    """Read what the workspace's tiers hold now; UserError for what has to be done before it can be frozen."""
    tiers = parse_tiers(workspace.config.get("tiers", []))
    rows = read_tier_rows(store, watch)
    if rows.n_unscreened:
        raise UserError(
            f"{rows.n_unscreened} candidates of settled pairs are unscreened. Screen them first: afrel screen"
        )
    if rows.n_without_features:
        raise UserError(
            f"{rows.n_without_features} settled pairs have no features yet: an ingest was cut short. "
            "Run it again: afrel ingest FILE --map …"
        )
    assigned = assign(rows.frame, tiers)
    members = assigned.filter(assigned["tier"].is_not_null())
    if members.is_empty():
        raise UserError(
            "no settled pair meets a tier, so there is nothing to freeze. See what is settled: afrel status"
        )
    return ToCut(tiers, members, {**rows.left_out, "meets no tier": len(assigned) - len(members)})


def freeze(
    workspace: Workspace,
    store: Store,
    to_cut: ToCut,
    *,
    cutter: SigningKey,
    pins: Mapping[str, Pin],
    watch: Watch = unwatched,
) -> dict[str, Any]:
    """Freeze what was read, under the rule book and scale of now; UserError when just this was revoked before."""
    cut = cut_snapshot(
        workspace,
        store,
        to_cut.members,
        tiers=tier_specs(to_cut.tiers),
        lineage=lineage_table(to_cut.members),
        rule_book=rule_book(store.frame("rules")),
        scale=read_scale(store),
        left_out=to_cut.left_out,
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
    return [TierSpec(tier.tier, tier.name, tier.where) for tier in tiers]


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
            provenance={"code_version": code_version(), "left_out": dict(left_out), "run_id": run.run_id},
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
    }


def _register_rows(
    workspace: Workspace, manifest: Manifest, members: pl.DataFrame, account: str, run_id: str
) -> dict[str, Any]:
    """Return the register's rows; hashes are read back from the lineage file, which names each pair's row."""
    snapshot_id, at = manifest.snapshot_id, now()
    hashes = pl.read_parquet(workspace.snapshots_dir / snapshot_id / "lineage.parquet", columns=["pair_id", "row_hash"])
    rows = members.select("pair_id", "tier", "judgment_id", "candidate_id").join(hashes, on="pair_id")
    rows = rows.with_columns(
        pl.lit(snapshot_id).alias("snapshot_id"),
        pl.Series(
            "tier_member_id", [content_id("tm", snapshot_id, h) for h in rows["row_hash"].to_list()], dtype=pl.String
        ),
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
