"""Verbs of the domain: screen candidates, cut tiers into snapshots, ask why."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.errors import UserError
from storage.session import Session, read_scale

if TYPE_CHECKING:
    import polars as pl

    from curation.tiers import Tier
    from storage.rows import ScreeningRow
    from storage.store import Store


def screen(
    ctx: typer.Context,
    explain: Annotated[str | None, typer.Option(metavar="CANDIDATE", help="Show what a candidate failed.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be set aside; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every candidate no screen has seen; what fails is set aside with a reason and what it matched.

    Example: afrel -w shop screen
    """
    from curation.screening import ScreeningContext, query_digest, screen_all
    from storage.people.accounts import Act
    from storage.runs import start_run

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    with session.store() as store:
        if explain is not None:
            _explain(store, explain, as_json=as_json)
            return
        if not dry_run:
            _declare_causes(session, store)
        candidates = store.frame("unscreened")
        if candidates.is_empty():
            why_idle = (
                "every candidate is screened" if store.read("any_candidate").num_rows else "no candidates yet: label"
            )
            print(json.dumps({"screened": 0}) if as_json else f"nothing to do: {why_idle}")
            return
        context = ScreeningContext(
            scale=read_scale(store),
            known_rule_ids=frozenset(store.read("rules").column("rule_id").to_pylist()),
            held_back_queries={
                query_digest(row["query"]): row["query_id"] for row in store.read("held_back_queries").to_pylist()
            },
            standing=store.frame("screened_candidates"),
        )
        failures = screen_all(candidates, context)
        if not dry_run:
            with start_run(store, verb="screen", config={}, account=session.account) as run:
                store.append({"screenings": _screening_rows(candidates, failures, run.run_id)})
                run.counts.update(screened=len(candidates), set_aside=failures["candidate_id"].n_unique())
    n_failed = failures["candidate_id"].n_unique()
    by_screen = Counter(failures["screen"].to_list())
    if as_json:
        print(json.dumps({"screened": len(candidates), "set_aside": n_failed, "by_screen": dict(by_screen)}))
        return
    detail = "".join(f"; {n} {name}" for name, n in by_screen.most_common())
    print(f"{len(candidates)} candidates screened, {n_failed} set aside{detail}{' (dry run)' if dry_run else ''}")


def _explain(store: Store, candidate_id: str, *, as_json: bool) -> None:
    rows = store.read("why_screenings", id=candidate_id).to_pylist()
    if not rows:
        raise UserError(f"no screen has seen a candidate {candidate_id!r}. Screen what is new: afrel screen")
    for row in rows:
        if as_json:
            print(json.dumps(row, default=str, ensure_ascii=False))
        else:
            matched = f" (matched {row['matched_id']})" if row["matched_id"] else ""
            print(f"{row['screen']}: {'passed' if row['is_passed'] else 'failed'}: {row['reason']}{matched}")


def _screening_rows(candidates: pl.DataFrame, failures: pl.DataFrame, run_id: str) -> list[ScreeningRow]:
    from storage.clock import now
    from storage.ids import content_id
    from storage.rows import ScreeningRow

    at = now()

    def row(candidate_id: str, screen: str, *, is_passed: bool, **more: Any) -> ScreeningRow:
        screening_id = content_id("s", candidate_id, screen)
        return ScreeningRow(
            screening_id=screening_id,
            candidate_id=candidate_id,
            screen=screen,
            is_passed=is_passed,
            run_id=run_id,
            created_at=at,
            **more,
        )

    failed = set(failures["candidate_id"].to_list())
    passed = [one for one in candidates["candidate_id"].to_list() if one not in failed]
    return [row(**failure, is_passed=False) for failure in failures.to_dicts()] + [
        row(one, "all", is_passed=True, reason="no screen objects") for one in passed
    ]


def _declare_causes(session: Session, store: Store) -> None:
    """Bring the causes for a second look in the store up to what `afrel.toml` says."""
    from curation.review_policy import cause_rows, checked_causes
    from storage.clock import now

    wanted = checked_causes(session.workspace.config.get("review_causes", []))
    held = {row["cause"]: (row["predicate"], row["n_required"]) for row in store.read("review_causes").to_pylist()}
    changed = [c for c in wanted if held.get(c.cause) != (c.predicate, c.n_required)]
    store.append({"review_causes": cause_rows(changed, now(), dropped=sorted(set(held) - {c.cause for c in wanted}))})


def tier(
    ctx: typer.Context,
    where: Annotated[
        str | None, typer.Option(help="Try a predicate instead of the workspace's tiers; its columns are in the docs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what each tier would hold if it were cut now. Writes nothing; `afrel snapshot` cuts.

    Example: afrel -w shop tier --where "is_revised and n_answers >= 2"
    """
    from curation.tier_counts import count_tiers
    from curation.tier_reading import read_tier_rows
    from curation.tiers import Tier, assign, parse_tiers
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.SQL)
    tiers = (Tier(1, "tried", where),) if where is not None else parse_tiers(session.workspace.config.get("tiers", []))
    with session.store(sees_test=True) as store:
        rows = read_tier_rows(store)
        # whoever tries predicates must not read test grades off the counts
        tried = rows.frame if where is None else rows.frame.filter(rows.frame["split"] != "test")
        assigned = assign(tried, tiers)
        cut = None if where is not None else _cut_already(store, assigned, tiers)
    counts = count_tiers(assigned, tiers)
    left_out = {**rows.left_out, "meets no tier": int(assigned["tier"].is_null().sum())}
    n_test = int((assigned["tier"].is_not_null() & (assigned["split"] == "test")).sum())
    if as_json:
        told = {"tiers": [asdict(count) for count in counts], "test": n_test, "left_out": left_out, "snapshot_id": cut}
        print(json.dumps(told, ensure_ascii=False))
        return
    if cut is not None:
        print(f"nothing to do: {cut} holds exactly these rows")
    for count in counts:
        grades = ", ".join(f"{n} of grade {grade}" for grade, n in count.train_grades.items())
        print(
            f"tier {count.tier} {count.name:<8} train {count.train:>6}  dev {count.dev:>5}   train: {grades or 'none'}"
        )
    if where is None:
        print(f"test    {n_test:>26} rows; which tier they meet is not shown, for it tells of their grades")
    print("left out: " + ", ".join(f"{n} {reason}" for reason, n in left_out.items()))


def _cut_already(store: Store, assigned: pl.DataFrame, tiers: tuple[Tier, ...]) -> str | None:
    """Return the snapshot that holds exactly these rows, None when they are not cut yet."""
    from curation.snapshot_cut import snapshot_rows, tier_specs
    from curation.tier_rows import rule_book
    from storage.snapshots.cutting import identify

    members = assigned.filter(assigned["tier"].is_not_null())
    book = rule_book(store.frame("rules"))
    snapshot_id = identify(snapshot_rows(members), tier_specs(tiers), scale=read_scale(store), rule_book=book)
    return snapshot_id if snapshot_id in store.read("snapshots").column("snapshot_id").to_pylist() else None


def snapshot(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be frozen; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Freeze the tiers as they are now, under an id that is the hash of what is in them.

    Example: afrel -w shop --as cleo snapshot
    """
    from curation.snapshot_cut import freeze, rows_to_cut
    from storage.people.accounts import Act

    session: Session = ctx.obj
    key = session.require(Act.CUT)
    pins = session.pins()
    with session.store(sees_test=True) as store:
        to_cut = rows_to_cut(session.workspace, store)
        if dry_run:
            print(f"would freeze {len(to_cut.members)} rows; left out: {dict(to_cut.left_out)}")
            return
        cut = freeze(session.workspace, store, to_cut, cutter=key, pins=pins)
    if as_json:
        print(json.dumps(cut, ensure_ascii=False))
        return
    if not cut["is_new"]:
        print(f"nothing to do: {cut['snapshot_id']} holds exactly these rows already")
        return
    print(f"{cut['snapshot_id']}: {cut['n_rows']} rows in {cut['directory']}")
    for one in cut["tiers"]:
        splits = ", ".join(f"{n} {split}" for split, n in one["n_rows"].items() if split != "test")
        print(f"  tier {one['tier']} {one['name']}: {splits}")
    print(f"  test, of all tiers: {sum(one['n_rows'].get('test', 0) for one in cut['tiers'])}")
    print("left out: " + ", ".join(f"{n} {reason}" for reason, n in cut["left_out"].items()))
    print(f"next, by another account: afrel --as ACCOUNT sign {cut['snapshot_id']}", file=sys.stderr)


def why(
    ctx: typer.Context,
    asked_id: Annotated[str, typer.Argument(metavar="ID", help="A candidate, judgment, prediction, answer or pair.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the chain: source, mutation, prompt, model, rules, screens, people, snapshot, run, prediction, what it took.

    Example: afrel -w shop why c_3fa9…
    """
    from curation.lineage import why as chain

    session: Session = ctx.obj
    with session.store() as store:
        links = chain(store, asked_id)
    if as_json:
        print(json.dumps([link.to_dict() for link in links], ensure_ascii=False))
        return
    for link in links:
        print(f"{'>' if link.link_id == asked_id else ' '} {link.kind:<11} {link.link_id:<22} {link.text}")
