"""The verb `judge`: measure a judge, have it judge the steps of rationales, have a critic mend the weak ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.calls.interrupted import going_on
from evolution.calls.options import AsJson, DryRun, LlmSchema, MaxCost, MaxRequests, MaxTokens
from storage.errors import UserError
from storage.session import Session, read_scale

if TYPE_CHECKING:
    from evolution.calls.asking import Served
    from evolution.calls.budget import Limits
    from evolution.calls.burn_bar import BurnBar
    from storage.grades import Scale
    from storage.store import Store

Model = Annotated[str | None, typer.Option(help="Else the role's in afrel.toml [llm].")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many rationales.")]
Concurrency = Annotated[int, typer.Option(min=1, max=1024, help="Calls at a time, at most.")]

judge = typer.Typer(
    help="Measure judges; let them judge rationales step by step; mend weak ones.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@judge.command()
def card(
    ctx: typer.Context,
    model: Model = None,
    pairs: Annotated[int, typer.Option(min=30, help="Judged train pairs to ask about, each in five forms.")] = 100,
    seed: Annotated[int, typer.Option(help="Of the draw of the pairs.")] = 0,
    concurrency: Concurrency = 64,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    show: Annotated[bool, typer.Option("--show", help="Show the cards there are; ask nothing.")] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Measure what moves a judge that should not: length, repeated words, order, wording; and whether it over-rates.

    Example: afrel -w shop judge card --model large --pairs 200
    """
    from evolution.judges.card_run import CardPlan, make_card
    from evolution.judges.told import print_card, print_cards
    from storage.people.accounts import Act

    session: Session = ctx.obj
    if show:
        session.allow(Act.PREPARE)
        with session.store() as store:
            print_cards(store, as_json=as_json)
        return
    limits = (max_cost, max_tokens, max_requests)
    with _bench(session, "judge", model, verb="card", words="asking the judge", at=concurrency, limits=limits) as bench:
        plan = CardPlan(bench.scale, bench.served, pairs, seed)
        report = make_card(bench.store, plan, account=session.account, is_dry=dry_run, progress=bench.shown)
    print_card(report, is_dry=dry_run, as_json=as_json)


@judge.command()
def steps(
    ctx: typer.Context,
    model: Model = None,
    limit: Limit = None,
    concurrency: Concurrency = 64,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Have each step of a rationale judged against the expert's word or the approved rules; train pairs only.

    Example: afrel -w shop judge steps --limit 500 --max-cost 2
    """
    from evolution.judges.step_run import StepPlan, judge_steps
    from evolution.judges.told import print_steps

    session: Session = ctx.obj
    limits = (max_cost, max_tokens, max_requests)
    with _bench(session, "judge", model, verb="steps", words="judging steps", at=concurrency, limits=limits) as bench:
        plan = StepPlan(bench.scale, bench.served, limit)
        report = judge_steps(bench.store, plan, account=session.account, is_dry=dry_run, progress=bench.shown)
    print_steps(report, is_dry=dry_run, as_json=as_json)


@judge.command()
def refine(
    ctx: typer.Context,
    model: Model = None,
    limit: Limit = None,
    concurrency: Concurrency = 64,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Have rationales with a step found wrong audited and written anew for the same grade, kept as preferences.

    Example: afrel -w shop judge refine --limit 200
    """
    from evolution.judges.refine_run import RefinePlan, refine_rationales
    from evolution.judges.told import print_refined

    session: Session = ctx.obj
    limits = (max_cost, max_tokens, max_requests)
    with _bench(session, "critic", model, verb="refine", words="refining", at=concurrency, limits=limits) as bench:
        plan = RefinePlan(bench.scale, bench.served, limit)
        report = refine_rationales(bench.store, plan, account=session.account, is_dry=dry_run, progress=bench.shown)
    print_refined(report, is_dry=dry_run, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Bench:
    """What a command of this verb works at: the store, its scale, the server, and the bar that shows how far it is."""

    store: Store
    scale: Scale
    served: Served
    shown: BurnBar


@contextmanager
def _bench(
    session: Session,
    role: str,
    model: str | None,
    *,
    verb: str,
    words: str,
    at: int,
    limits: tuple[float | None, int | None, int | None],
) -> Iterator[_Bench]:
    """Open the store for a role that is asked `at` so many at a time within limits; an interrupt says how to go on."""
    from evolution.calls.budget import Limits
    from evolution.calls.burn_bar import burn_bar
    from storage.people.accounts import Act

    session.allow(Act.PREPARE)
    served = _served(session, role, model, concurrency=at, limits=Limits(*limits), verb=verb)
    with session.store() as store, going_on(f"afrel judge {verb}"), burn_bar(words) as shown:
        yield _Bench(store, read_scale(store), served, shown)


def _served(session: Session, role: str, model: str | None, *, concurrency: int, limits: Limits, verb: str) -> Served:
    """Return the server a role is asked at; UserError where no model is named."""
    from evolution.calls.asking import Served
    from evolution.calls.llm_config import read_llm_config
    from evolution.calls.openai_llm import OpenAILLM

    config = read_llm_config(session.workspace.config.get("llm", {}), role)
    named = model or config.model
    if not named:
        raise UserError(
            f"no model named for the {role}. Name one: afrel judge {verb} --model MODEL, "
            f"or model = … in afrel.toml [llm.roles.{role}]"
        )
    return Served(
        llm=OpenAILLM(config),
        model=named,
        parameters=config.parameters,
        spool_dir=session.workspace.spool_dir,
        seed=config.seed,
        concurrency=concurrency,
        limits=limits,
        prices=config.prices,
    )
