"""The verb `mine`: rules from judgments or from disagreement, and what of the judged pairs the rules cover."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from evolution.commands import AsJson, FromJudgments, JudgmentOrigin
from storage.errors import UserError
from storage.session import Session, read_scale


class MineFrom(StrEnum):
    """What rules are mined from."""

    JUDGMENTS = "judgments"
    DISAGREEMENTS = "disagreements"


class Provider(StrEnum):
    """Who proposes rules for disagreements."""

    LEXICAL = "lexical"
    OPENAI = "openai"


def mine(
    ctx: typer.Context,
    max_rules: Annotated[int, typer.Option(min=1, help="From judgments: at most this many rules.")] = 120,
    judgments: FromJudgments = JudgmentOrigin.ALL,
    source: Annotated[
        MineFrom, typer.Option("--from", help="judgments; or where people, machines and models disagree.")
    ] = MineFrom.JUDGMENTS,
    max_clusters: Annotated[int, typer.Option(min=1, help="From disagreements: rules asked for.")] = 20,
    provider: Annotated[
        Provider, typer.Option(help="From disagreements: lexical (no model) or openai (any compatible server).")
    ] = Provider.LEXICAL,
    model: Annotated[str | None, typer.Option(help="For openai; else the evolver's in afrel.toml [llm].")] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Show what the rules cover by tier, grade and agreement; mine nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the rules or clusters; write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Propose rules from judged train pairs, or from disagreements on them, and cast their votes on all pairs.

    Example: afrel -w shop mine --max-rules 60
    """
    from evolution.rules.report import print_coverage, print_mined
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    if coverage:
        with session.store() as store:
            print_coverage(store.frame("rule_coverage_matrix"), as_json=as_json)
    elif source is MineFrom.JUDGMENTS:
        from evolution.rules.book import mine_book

        with session.store() as store:
            report = mine_book(
                store,
                scale=read_scale(store),
                max_rules=max_rules,
                account=session.account,
                judgments=judgments.value,
                is_dry=dry_run,
            )
        print_mined(report, is_dry=dry_run, as_json=as_json)
    else:
        _mine_disagreements(session, provider, model, max_clusters, judgments, dry_run=dry_run, as_json=as_json)


def _mine_disagreements(
    session: Session,
    provider: Provider,
    model: str | None,
    max_clusters: int,
    judgments: JudgmentOrigin,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from evolution.rules.disagreement_run import DisagreementPlan, mine_disagreements
    from evolution.calls.llm_config import read_llm_config
    from evolution.rules.report import print_disagreements
    from evolution.calls.openai_llm import OpenAILLM
    from evolution.rules.requests import ROLE

    config = read_llm_config(session.workspace.config.get("llm", {}), ROLE)
    named = model or config.model
    is_served = provider is Provider.OPENAI
    if is_served and not named:
        raise UserError(
            "no model named. Name one: afrel mine --from disagreements --provider openai --model MODEL, "
            "or model = … in afrel.toml [llm]"
        )
    with session.store() as store, _progress() as shown:
        plan = DisagreementPlan(
            scale=read_scale(store),
            llm=OpenAILLM(config) if is_served and not dry_run else None,
            model=named if is_served and named else "lexical",
            parameters=config.parameters if is_served else {},
            seed=config.seed if is_served else None,
            max_clusters=max_clusters,
            judgments=judgments.value,
            spool_dir=session.workspace.spool_dir,
        )
        report = mine_disagreements(store, plan, account=session.account, is_dry=dry_run, progress=shown)
    print_disagreements(report, plan.proposer, is_dry=dry_run, as_json=as_json)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Show a bar on stderr where somebody watches."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("proposing", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
