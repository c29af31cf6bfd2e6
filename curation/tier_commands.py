"""`afrel tier` and `afrel snapshot`: see what the tiers would hold, and freeze it under the hash of what is in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from storage.config_schema import Schema, schema_option
from storage.session import Session

if TYPE_CHECKING:
    from curation.snapshot_cut import ToCut
    from curation.tier_choice import Choice
    from curation.tier_counts import TierCount
    from curation.tier_rows import TierRows
    from storage.store import Store


def _tiers_schema() -> Schema:
    from curation.table_schemas import tiers_schema

    return tiers_schema()


def tier(
    ctx: typer.Context,
    where: Annotated[
        str | None, typer.Option(help="Try a predicate instead of the workspace's tiers; its columns are in the docs.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    _schema: Annotated[bool, schema_option("[[tiers]] in afrel.toml", _tiers_schema)] = False,
) -> None:
    """Show what each tier would hold if it were cut now. Writes nothing; `afrel snapshot` cuts.

    Example: afrel -w shop tier --where "is_revised and n_answers >= 2"
    """
    from curation.snapshot_cut import tokenizer_of
    from curation.tier_choice import NO_TIER, choose
    from curation.tier_counts import count_tiers
    from curation.tier_reading import read_tier_rows
    from curation.tiers import Tier, parse_tiers
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.SQL)
    tiers = (Tier(1, "tried", where),) if where is not None else parse_tiers(session.workspace.config.get("tiers", []))
    with session.store(sees_test=True) as store:
        rows = read_tier_rows(store)
        # whoever tries predicates must not read test grades off the counts
        tried = rows if where is None else replace(rows, frame=rows.frame.filter(rows.frame["split"] != "test"))
        choice = choose(tried, tiers, tokenizer=tokenizer_of(session.workspace))
        cut = None if where is not None else _cut_already(store, rows, choice)
    counts = count_tiers(choice)
    # of test rows only how many may enter: which tier they meet, or that they meet none, tells of their grades
    is_test = choice.assigned["split"] == "test"
    n_test, n_lost = int(is_test.sum()), int((is_test & choice.assigned["tier"].is_null()).sum())
    choice = replace(choice, left_out={**choice.left_out, NO_TIER: choice.left_out[NO_TIER] - n_lost})
    if as_json:
        told = {
            "tiers": [asdict(count) for count in counts],
            "test": n_test,
            "left_out": dict(choice.left_out),
            "n_shared_docs": choice.n_shared_docs,
            "n_disputed": int(choice.members["is_disputed"].sum()),
            "problems": choice.problems,
            "snapshot_id": cut,
        }
        print(json.dumps(told, ensure_ascii=False))
        return
    if cut is not None:
        print(f"nothing to do: {cut} holds exactly these rows")
    _print_counts(counts)
    if where is None:
        print(f"test    {n_test:>26} rows; which tier they meet is not shown, for it tells of their grades")
    _print_rest(choice)


def snapshot(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be frozen; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Freeze the tiers as they are now, under an id that is the hash of what is in them.

    Refused while candidates are unscreened, answers stand against a judgment, or a tier is short of what it asks for.
    Example: afrel -w shop --as cleo snapshot
    """
    from curation.snapshot_cut import freeze, require_no_leak, rows_to_cut
    from storage.people.accounts import Act

    session: Session = ctx.obj
    key = session.require(Act.CUT)
    pins = session.pins()
    with session.store(sees_test=True) as store:
        to_cut = rows_to_cut(session.workspace, store)
        if dry_run:
            require_no_leak(to_cut.choice.members)
            _print_dry(to_cut, as_json=as_json)
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
    print("left out: " + _left_out(cut["left_out"]))
    print(f"next, by another account: afrel --as ACCOUNT sign {cut['snapshot_id']}", file=sys.stderr)


def _cut_already(store: Store, rows: TierRows, choice: Choice) -> str | None:
    """Return the snapshot that holds exactly these rows, None when they are not cut yet."""
    from curation.snapshot_cut import snapshot_rows, tier_specs
    from storage.snapshots.cutting import identify

    specs = tier_specs(choice.tiers)
    snapshot_id = identify(snapshot_rows(choice.members), specs, scale=rows.scale, rule_book=rows.rule_book)
    return snapshot_id if snapshot_id in store.read("snapshots").column("snapshot_id").to_pylist() else None


def _print_dry(to_cut: ToCut, *, as_json: bool) -> None:
    from curation.tier_counts import count_tiers

    choice = to_cut.choice
    counts = count_tiers(choice)
    n_rows = len(choice.members)
    if as_json:
        told: dict[str, Any] = {"would_freeze": n_rows, "tiers": [asdict(count) for count in counts]}
        told |= {"left_out": dict(choice.left_out), "n_shared_docs": choice.n_shared_docs}
        print(json.dumps(told, ensure_ascii=False))
        return
    print(f"would freeze {n_rows} rows")
    _print_counts(counts)
    _print_rest(choice)


def _print_counts(counts: Sequence[TierCount]) -> None:
    for count in counts:
        grades = ", ".join(f"{n} of grade {grade}" for grade, n in count.train_grades.items())
        print(
            f"tier {count.tier} {count.name:<8} train {count.train:>6}  dev {count.dev:>5}   train: {grades or 'none'}"
        )
        for line in _balance_lines(count):
            print(f"  {line}")


def _balance_lines(count: TierCount) -> list[str]:
    """Return how unlike the grade counts are, with what they were before balancing, and slices and tokens if set."""
    lines = []
    if count.cv is not None:
        was = "" if count.cv_before in (None, count.cv) else f" (was {count.cv_before:.3f} before balancing)"
        lines.append(f"coefficient of variation of its train grades {count.cv:.3f}{was}")
    lines += [f"slice {name}: {share:.1%} of its train rows" for name, share in count.shares.items()]
    if count.n_tokens is not None:
        lines.append(f"about {count.n_tokens} tokens to train on")
    return lines


def _print_rest(choice: Choice) -> None:
    print("left out: " + _left_out(choice.left_out))
    print(f"train rows whose doc dev or test has, too, under another query: {choice.n_shared_docs}")
    disputed = int(choice.members["is_disputed"].sum())
    if disputed:
        print(f"would be refused: answers speak against the judgments of {disputed} pairs (afrel snapshot lists them)")
    for problem in choice.problems:
        print(f"would be refused: {problem}")


def _left_out(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {reason}" for reason, n in left_out.items())
