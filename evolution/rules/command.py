"""The verb `mine`: rules from judgments or from disagreement, and what of the judged pairs the rules cover."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.calls.interrupted import going_on
from evolution.calls.options import AsJson, LlmSchema, MaxCost, MaxRequests, MaxTokens
from evolution.commands import FromJudgments, JudgmentOrigin
from storage.errors import UserError
from storage.session import Session, read_scale

if TYPE_CHECKING:
    from evolution.calls.asking import Served
    from evolution.calls.budget import Limits

AGAIN = "afrel mine --from disagreements --provider openai"
CONCURRENCY = 4


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
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Show what the rules cover by tier, grade and agreement; mine nothing.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the rules, or the clusters and an estimate; write nothing.")
    ] = False,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Propose rules from judged train pairs, or from disagreements on them, and cast their votes on all pairs.

    Example: afrel -w shop mine --max-rules 60
    """
    from evolution.calls.budget import Limits
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
        limits = Limits(max_cost, max_tokens, max_requests)
        served = _served(session, model, limits) if provider is Provider.OPENAI else None
        _mine_disagreements(session, served, max_clusters, judgments, dry_run=dry_run, as_json=as_json)


def _mine_disagreements(
    session: Session,
    served: Served | None,
    max_clusters: int,
    judgments: JudgmentOrigin,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    from evolution.calls.burn_bar import burn_bar
    from evolution.rules.disagreement_run import DisagreementPlan, mine_disagreements
    from evolution.rules.report import print_disagreements

    with session.store() as store, burn_bar("proposing") as shown:
        plan = DisagreementPlan(read_scale(store), max_clusters, judgments.value, served)
        with going_on(AGAIN):
            report = mine_disagreements(store, plan, account=session.account, is_dry=dry_run, progress=shown)
    print_disagreements(report, plan.proposer, again=AGAIN, is_dry=dry_run, as_json=as_json)


def _served(session: Session, model: str | None, limits: Limits) -> Served:
    """Return the evolver's server; UserError where no model is named."""
    from evolution.calls.asking import Served
    from evolution.calls.llm_config import read_llm_config
    from evolution.calls.openai_llm import OpenAILLM
    from evolution.rules.requests import ROLE

    config = read_llm_config(session.workspace.config.get("llm", {}), ROLE)
    named = model or config.model
    if not named:
        raise UserError(f"no model named. Name one: {AGAIN} --model MODEL, or model = … in afrel.toml [llm]")
    return Served(
        OpenAILLM(config),
        named,
        config.parameters,
        session.workspace.spool_dir,
        seed=config.seed,
        concurrency=CONCURRENCY,
        limits=limits,
        prices=config.prices,
    )
