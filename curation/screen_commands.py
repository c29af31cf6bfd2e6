"""`afrel screen`: check candidates no screen has seen, say what each screen goes by, explain one candidate."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from storage.config_schema import Schema, schema_option
from storage.progress_bar import watched
from storage.session import Session

if TYPE_CHECKING:
    from curation.screening_config import ScreeningConfig
    from storage.store import Store


def _screening_schema() -> Schema:
    from curation.table_schemas import screening_schema

    return screening_schema()


def screen(
    ctx: typer.Context,
    explain: Annotated[
        str | None, typer.Option(metavar="CANDIDATE", help="Show all screens said of a candidate, and what it matched.")
    ] = None,
    list_screens: Annotated[bool, typer.Option("--list", help="Show the screens and their thresholds.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be set aside; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    _schema: Annotated[bool, schema_option("[screening] in afrel.toml", _screening_schema)] = False,
) -> None:
    """Check every candidate no screen has seen; what fails is set aside with a reason and what it matched.

    Example: afrel -w shop screen --explain c_3fa9…
    """
    from curation.screening_config import read_screening_config
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    workspace = session.workspace
    config = read_screening_config(workspace.config.get("screening", {}), root=workspace.root)
    if list_screens:
        _list(config, as_json=as_json)
        return
    with session.store() as store:
        if explain is not None:
            _explain(store, explain, as_json=as_json)
        else:
            _screen(session, store, config, is_dry=dry_run, as_json=as_json)


def _screen(session: Session, store: Store, config: ScreeningConfig, *, is_dry: bool, as_json: bool) -> None:
    from curation.screening_run import screen_store, screening_rows
    from storage.runs import start_run

    if not is_dry:
        _declare_causes(session, store)
    folder = None if is_dry else session.workspace.root / "sketches"
    with watched() as watch:
        screening = screen_store(store, config, sketch_folder=folder, watch=watch)
    if screening is None:
        why_idle = "every candidate is screened" if store.read("any_candidate").num_rows else "no candidates yet: label"
        print(json.dumps({"screened": 0}) if as_json else f"nothing to do: {why_idle}")
        return
    failures, flags = screening.found.failures, screening.found.flags
    n_screened, n_failed = len(screening.candidates), failures["candidate_id"].n_unique()
    if not is_dry:
        with start_run(store, verb="screen", config={}, account=session.account) as run:
            store.append({"screenings": screening_rows(screening, run.run_id)})
            run.counts.update(screened=n_screened, set_aside=n_failed)
    by_screen = Counter(failures["screen"].to_list())
    flagged = Counter(flags["screen"].to_list())
    if as_json:
        told = {"screened": n_screened, "set_aside": n_failed, "by_screen": dict(by_screen), "flagged": dict(flagged)}
        print(json.dumps({**told, "shared_docs": screening.n_shared_docs}))
        return
    detail = "".join(f"; {n} {name}" for name, n in by_screen.most_common())
    print(f"{n_screened} candidates screened, {n_failed} set aside{detail}{' (dry run)' if is_dry else ''}")
    if flagged["personal"]:
        print(f"{flagged['personal']} passed with personal data in them, which exports mask")
    if flagged["near_rationale"]:
        print(f"{flagged['near_rationale']} passed with a rationale that is nearly another pair's")
    if screening.n_shared_docs:
        print(f"{screening.n_shared_docs} of train have a doc that dev or test pairs have too, which is no leak")


def _list(config: ScreeningConfig, *, as_json: bool) -> None:
    from curation.screening import AMONG_SOUND, FLAGS, SCREENS

    for name, screen in (SCREENS | AMONG_SOUND | FLAGS).items():
        thresholds = screen.thresholds(config)
        if as_json:
            told = {"screen": name, "finds": screen.line, "is_flag": name in FLAGS, "thresholds": thresholds}
            print(json.dumps(told, ensure_ascii=False))
            continue
        shown = ", ".join(f"{key} = {value if value is not None else 'none'}" for key, value in thresholds.items())
        print(f"{name:<17} {screen.line}{f' [{shown}]' if shown else ''}")


def _explain(store: Store, candidate_id: str, *, as_json: bool) -> None:
    from curation.screening_story import explain

    for said in explain(store, candidate_id):
        if as_json:
            print(json.dumps(said.row | {"matched": said.matched}, default=str, ensure_ascii=False))
            continue
        row = said.row
        score = "" if row["score"] is None else f" [{row['score']:.2f}]"
        print(f"{row['screen']}: {'passed' if row['is_passed'] else 'failed'}{score}: {row['reason']}")
        for line in said.matched:
            print(f"    {line}")


def _declare_causes(session: Session, store: Store) -> None:
    """Bring the causes for a second look in the store up to what `afrel.toml` says."""
    from curation.review_policy import cause_rows, check_judges, checked_causes
    from storage.clock import now

    wanted = checked_causes(session.workspace.config.get("review_causes", []))
    check_judges(wanted, store.read("judge_standing").to_pylist())
    held = {row["cause"]: (row["predicate"], row["n_required"]) for row in store.read("review_causes").to_pylist()}
    changed = [c for c in wanted if held.get(c.cause) != (c.predicate, c.n_required)]
    store.append({"review_causes": cause_rows(changed, now(), dropped=sorted(set(held) - {c.cause for c in wanted}))})
