"""The verb `evolve`: what was typed, who labels, who writes, and what a run may cost."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.calls.interrupted import going_on
from evolution.calls.options import AsJson, LlmSchema, MaxCost, MaxRequests, MaxTokens
from storage.errors import UserError
from storage.session import Session, read_scale

if TYPE_CHECKING:
    from evolution.calls.budget import Limits
    from evolution.instructions.desk import ServedRole
    from evolution.instructions.plan import EvolvePlan
    from storage.store import Store

AGAIN = "afrel evolve"


class Evolver(StrEnum):
    """Who writes the edits."""

    LEXICAL = "lexical"
    OPENAI = "openai"


def evolve(
    ctx: typer.Context,
    generations: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 3,
    edits: Annotated[int, typer.Option(min=1, max=100, help="Edits tried in each generation.")] = 5,
    pairs: Annotated[int, typer.Option(min=8, help="Judged pairs of train, and of dev, that each is scored on.")] = 200,
    operator: Annotated[
        list[str] | None, typer.Option(help="One of the operators of docs/instructions.md; repeatable. Default: all.")
    ] = None,
    evolver: Annotated[
        Evolver, typer.Option(help="Who writes edits: lexical (no model) or openai (evolver, critic in afrel.toml).")
    ] = Evolver.LEXICAL,
    provider: Annotated[
        str, typer.Option(help="Who labels for the scores: openai (any compatible server).")
    ] = "openai",
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Estimate, show first edits; write and ask nothing.")
    ] = False,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Edit the labelling instruction, score each version on train and dev judgments, keep what makes no slice worse.

    Example: afrel -w shop evolve --evolver openai --max-cost 5
    """
    from evolution.calls.budget import Limits
    from evolution.instructions.ground import read_ground
    from evolution.instructions.report import print_dry, print_evolved
    from evolution.instructions.run import evolve as run_evolution
    from evolution.instructions.run import preview
    from storage.people.accounts import Act
    from storage.progress_bar import progress_bar

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    _check_provider(provider)
    limits = Limits(max_cost, max_tokens, max_requests)
    sizes = (generations, edits, pairs)
    with session.store() as store, progress_bar() as tell:
        plan = _plan(session, store, evolver, operator, sizes, limits=limits, is_dry=dry_run)
        if dry_run:
            ground = read_ground(store, plan.scale, n_pairs=pairs)
            estimate = None
            if all(role.model for role in (plan.labeller, *plan.writers.values())):
                from evolution.instructions.estimate import estimate_evolution

                estimate = estimate_evolution(store, plan, ground)
            print_dry(ground, plan, preview(ground, plan), estimate, as_json=as_json)
            return
        with going_on(AGAIN):
            report = run_evolution(store, plan, account=session.account, tell=tell)
    print_evolved(report, plan, as_json=as_json)


def _check_provider(provider: str) -> None:
    if provider == "openai":
        return
    if provider == "lexical":
        raise UserError(
            "lexical cannot score instructions: it grades by features and rule votes and reads no word of the "
            "instruction, so every version would score alike. Name a server that reads it under [llm] in afrel.toml "
            "(model, base_url, key_variable; docs/llm.md), then: afrel evolve. What would be edited, without a score: "
            "afrel evolve --dry-run"
        )
    raise UserError(f"unknown provider {provider!r}. Labels for the scores come from openai: afrel evolve")


def _plan(
    session: Session,
    store: Store,
    evolver: Evolver,
    operators: list[str] | None,
    sizes: tuple[int, int, int],
    *,
    limits: Limits,
    is_dry: bool,
) -> EvolvePlan:
    from evolution.calls.llm_config import read_llm_config
    from evolution.instructions.operators import OPERATORS
    from evolution.instructions.plan import EvolvePlan
    from evolution.labelling.request import ROLE as LABEL

    is_written = evolver is Evolver.OPENAI
    known = [name for name, one in OPERATORS.items() if is_written or one.model_free is not None]
    if unknown := [name for name in operators or [] if name not in known]:
        takes_model = " critic takes a model: --evolver openai." if "critic" in unknown else ""
        raise UserError(f"unknown operator {', '.join(unknown)}. Name one of: {', '.join(known)}.{takes_model}")
    labeller = _role(session, "labeller", LABEL, is_dry=is_dry)
    writers = {work: _role(session, work, work, is_dry=is_dry) for work in ("evolver", "critic")} if is_written else {}
    n_generations, n_edits, n_pairs = sizes
    return EvolvePlan(
        scale=read_scale(store),
        labeller=labeller,
        writers=writers,
        operators=tuple(operators or known),
        n_generations=n_generations,
        n_edits=n_edits,
        n_pairs=n_pairs,
        spool_dir=session.workspace.spool_dir,
        limits=limits,
        prices=read_llm_config(session.workspace.config.get("llm", {}), "labeller").prices,
    )


def _role(session: Session, named: str, work: str, *, is_dry: bool) -> ServedRole:
    """Return the model of a role of afrel.toml for a kind of work; a dry run needs neither key nor model."""
    from evolution.calls.llm_config import read_llm_config
    from evolution.calls.openai_llm import PROVIDER, OpenAILLM
    from evolution.instructions.desk import ServedRole

    config = read_llm_config(session.workspace.config.get("llm", {}), named)
    if not config.model and not is_dry:
        raise UserError(
            f"no model named for the {named}. Name one: model = … in afrel.toml [llm], or [llm.roles.{named}]; "
            "what would be edited, without a score: afrel evolve --dry-run"
        )
    llm = None if is_dry else OpenAILLM(config)
    return ServedRole(work, llm, PROVIDER, config.model or "", config.parameters, config.seed)
