"""The verb that labels: what was typed, what it may cost, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.calls.interrupted import going_on
from evolution.calls.options import AsJson, DryRun, LlmSchema, MaxCost, MaxRequests, MaxTokens
from storage.errors import UserError
from storage.session import Session, read_scale

if TYPE_CHECKING:
    from evolution.calls.budget import Limits
    from evolution.calls.estimate import Estimate
    from evolution.calls.llm import LLM
    from evolution.calls.llm_config import LlmConfig
    from evolution.labelling.run import LabelPlan, LabelReport
    from storage.grades import Scale


def label(
    ctx: typer.Context,
    provider: Annotated[str, typer.Option(help="lexical (no model) or openai (any compatible server).")] = "lexical",
    model: Annotated[str | None, typer.Option(help="For openai; else the one in afrel.toml [llm].")] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=2, max=64, help="Store this many rollouts of a served model for each pair instead."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many pairs.")] = None,
    concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Calls at a time, at most; fewer while the server cannot keep up.")
    ] = 64,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Propose a grade and a rationale for every pair that has none yet from this proposer under this rule book.

    Example: afrel -w shop label --provider lexical
    """
    from evolution.calls.budget import Limits
    from evolution.calls.burn_bar import burn_bar
    from evolution.labelling.estimate import estimate_labels
    from evolution.labelling.run import label_pairs
    from evolution.labelling.sampling_told import sample, tell
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    if samples is not None and provider == "lexical":
        raise UserError(
            "lexical says the same each time, so it has no samples. "
            f"Name a server: afrel label --provider openai --samples {samples}"
        )
    limits = Limits(max_cost, max_tokens, max_requests)
    with session.store() as store:
        plan = label_plan(
            session, provider, model, limit=limit, concurrency=concurrency, limits=limits, scale=read_scale(store)
        )
        if samples is not None:
            with burn_bar("sampling") as shown:
                sampled = sample(store, plan, samples, account=session.account, is_dry=dry_run, progress=shown)
            tell(sampled, as_json=as_json)
            return
        with going_on(_again(plan)), burn_bar("labelling") as shown:
            report = label_pairs(store, plan, account=session.account, is_dry=dry_run, progress=shown)
        estimate = estimate_labels(store, plan) if dry_run and plan.llm is not None else None
    _print_labelled(report, plan, estimate, is_dry=dry_run, as_json=as_json)
    if report.failures and not report.n_labelled:
        raise typer.Exit(1)  # a script must see that nothing was labelled


def label_plan(
    session: Session,
    provider: str,
    model: str | None,
    *,
    limit: int | None,
    concurrency: int,
    limits: Limits,
    scale: Scale,
) -> LabelPlan:
    """Return what a verb is to label with; UserError for a provider nobody knows or a model nobody named."""
    from evolution.calls.llm_config import read_llm_config
    from evolution.labelling.run import LabelPlan

    if provider not in ("lexical", "openai"):
        raise UserError(f"unknown provider {provider!r}. Name lexical or openai: afrel label --provider lexical")
    config = read_llm_config(session.workspace.config.get("llm", {}), "labeller")
    named = model or config.model
    if provider == "openai" and not named:
        raise UserError(
            "no model named. Name one: afrel label --provider openai --model MODEL, or model = … in afrel.toml [llm]"
        )
    is_served = provider == "openai"
    return LabelPlan(
        scale=scale,
        llm=_connect(config) if is_served else None,
        model=named if is_served and named else "lexical",
        parameters=config.parameters,
        limit=limit,
        concurrency=concurrency,
        spool_dir=session.workspace.spool_dir,
        seed=config.seed,
        limits=limits,
        prices=config.prices,
    )


def _connect(config: LlmConfig) -> LLM:
    from evolution.calls.openai_llm import OpenAILLM

    return OpenAILLM(config)


def _again(plan: LabelPlan) -> str:
    return "afrel label" if plan.llm is None else "afrel label --provider openai"


def _print_labelled(
    report: LabelReport, plan: LabelPlan, estimate: Estimate | None, *, is_dry: bool, as_json: bool
) -> None:
    proposer = plan.proposer
    if as_json:
        counts = {
            "proposer": proposer,
            "pairs": report.n_pairs,
            "labelled": report.n_labelled,
            "new_candidates": report.n_new,
            "exchanges": report.n_exchanges,
            "held_replies": report.n_held_replies,
            "drained_replies": report.n_drained,
            "in_flight_when_cut_short": report.n_in_flight,
            "in_a_batch": report.n_in_batch,
            "stopped": report.stopped,
            "used": report.burn or None,
            "estimate": None if estimate is None else estimate.to_json(),
            "failures": dict(report.failures),
            "grades": {str(grade): n for grade, n in sorted(report.grades.items())},
        }
        print(json.dumps(counts, ensure_ascii=False))
        return
    if report.n_in_batch:
        print(f"{report.n_in_batch} pairs wait for a batch and are left to it. Fetch it: afrel batch collect")
    if not report.n_pairs:
        print(f"nothing to do: every pair has a candidate of {proposer} under this rule book")
        return
    if is_dry:
        print(f"{report.n_pairs} pairs to label by {proposer} (dry run)")
        if estimate is not None:
            print(estimate.told())
        return
    grades = ", ".join(f"{n} of grade {grade}" for grade, n in sorted(report.grades.items()))
    print(f"{report.n_labelled} of {report.n_pairs} pairs labelled by {proposer}{': ' + grades if grades else ''}")
    from evolution.calls.asking import Asked

    asked = Asked(
        n_held=report.n_held_replies,
        n_drained=report.n_drained,
        n_in_flight=report.n_in_flight,
        stopped=report.stopped,
        burn=report.burn,
        failures=report.failures,
    )
    asked.tell(again=_again(plan), lost=" and have no candidate")
