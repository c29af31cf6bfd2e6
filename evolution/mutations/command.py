"""The verb that mutates: by the model-free forms, or by a model behind any OpenAI-compatible server."""

from __future__ import annotations

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

ROLE = "evolver"
AGAIN = "afrel mutate --provider openai"


def mutate(
    ctx: typer.Context,
    operator: Annotated[list[str] | None, typer.Option(help="One of --list; repeatable. Default: all.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many mutations.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    provider: Annotated[str, typer.Option(help="lexical (no model) or openai (any compatible server).")] = "lexical",
    model: Annotated[str | None, typer.Option(help="For openai; else the one in afrel.toml [llm].")] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=1024, help="Calls at a time, at most, for openai.")] = 16,
    judgments: FromJudgments = JudgmentOrigin.ALL,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    show: Annotated[bool, typer.Option("--list", help="Show the operators and what each declares.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the mutations, or an estimate; write nothing.")
    ] = False,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Rewrite judged train pairs on purpose; an independent verifier confirms the declared effect or eliminates it.

    Example: afrel -w shop mutate --operator attribute_swap --limit 100
    """
    from evolution.calls.budget import Limits
    from evolution.calls.burn_bar import burn_bar
    from evolution.mutations import OPERATORS
    from evolution.mutations.report import print_mutated, print_operators
    from evolution.mutations.run import MutatePlan, mutate_pairs
    from storage.people.accounts import Act

    if show:
        print_operators(as_json=as_json)
        return
    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    limits = Limits(max_cost, max_tokens, max_requests)
    served = _served(session, provider, model, limits, concurrency=concurrency)
    with session.store() as store, burn_bar("mutating") as shown:
        plan = MutatePlan(
            scale=read_scale(store),
            operators=operator or list(OPERATORS),
            limit=limit,
            seed=seed,
            judgments=judgments.value,
            served=served,
        )
        with going_on(AGAIN):
            report = mutate_pairs(store, plan, account=session.account, is_dry=dry_run, progress=shown)
    print_mutated(report, again=AGAIN, is_dry=dry_run, as_json=as_json)
    if report.asked.failures and not report.drawn:
        raise typer.Exit(1)  # a script must see that nothing was rewritten


def _served(session: Session, provider: str, model: str | None, limits: Limits, *, concurrency: int) -> Served | None:
    """Return the server a run is to ask, None for the model-free forms."""
    from evolution.calls.asking import Served
    from evolution.calls.llm_config import read_llm_config
    from evolution.calls.openai_llm import OpenAILLM

    if provider not in ("lexical", "openai"):
        raise UserError(f"unknown provider {provider!r}. Name lexical or openai: afrel mutate --provider lexical")
    if provider == "lexical":
        return None
    config = read_llm_config(session.workspace.config.get("llm", {}), ROLE)
    named = model or config.model
    if not named:
        raise UserError(
            "no model named. Name one: afrel mutate --provider openai --model MODEL, or model = … in afrel.toml [llm]"
        )
    return Served(
        OpenAILLM(config),
        named,
        config.parameters,
        session.workspace.spool_dir,
        seed=config.seed,
        concurrency=concurrency,
        limits=limits,
        prices=config.prices,
    )
