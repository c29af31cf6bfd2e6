"""The verb that labels by a provider's batches: half the price at most providers, within a day."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.calls.options import AsJson, LlmSchema, MaxCost, MaxRequests, MaxTokens
from storage.session import Session, read_scale

if TYPE_CHECKING:
    from evolution.calls.llm_config import LlmConfig
    from evolution.calls.openai_batches import OpenAIBatches
    from evolution.labelling.batch_files import BatchFile

batch = typer.Typer(
    help="Label by a provider's batches: submit, status, collect.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@batch.command()
def submit(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Option(help="Else the one in afrel.toml [llm].")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many pairs.")] = None,
    max_cost: MaxCost = None,
    max_tokens: MaxTokens = None,
    max_requests: MaxRequests = None,
    as_json: AsJson = False,
    _schema: LlmSchema = False,
) -> None:
    """Send the pairs that `afrel label --provider openai` would label, as batches.

    Example: afrel -w shop batch submit --limit 5000
    """
    from evolution.calls.budget import Limits
    from evolution.calls.burn_bar import burn_bar
    from evolution.labelling.batch_run import submit_labels
    from evolution.labelling.command import label_plan
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    config, batches = _reach(session)
    with session.store() as store, burn_bar("sending") as shown:
        limits = Limits(max_cost, max_tokens, max_requests)
        scale = read_scale(store)
        plan = label_plan(session, "openai", model, limit=limit, concurrency=1, limits=limits, scale=scale)
        report = submit_labels(
            store, plan, batches, with_logprobs=config.logprobs, account=session.account, progress=shown
        )
    if as_json:
        counts = {"batches": report.batches, "sent": report.n_sent, "waiting": report.n_waiting, "held": report.n_held}
        print(json.dumps({**counts, "is_budget_spent": report.is_budget_spent}))
        return
    left = [f"{report.n_waiting} lie in batches already"] if report.n_waiting else []
    left += [f"{report.n_held} have a reply (afrel label --provider openai)"] if report.n_held else []
    left += [f"the budget of {limits.told()} has no room for more"] if report.is_budget_spent else []
    also = f"; {', '.join(left)}" if left else ""
    if not report.n_sent:
        print(f"nothing to do: no request to send{also}")
        return
    print(f"{report.n_sent} requests in {len(report.batches)} batches: {', '.join(report.batches)}{also}")
    print("see how far they are: afrel batch status")


@batch.command()
def status(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Ask the provider how far the batches are that are not collected yet.

    Example: afrel -w shop batch status
    """
    from evolution.labelling.batch_files import open_batches
    from evolution.labelling.batch_run import settle_unknown
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    folder = session.workspace.spool_dir
    if not open_batches(folder):
        print("[]" if as_json else "nothing to do: no batch is open")
        return
    _, batches = _reach(session)
    settle_unknown(folder, batches)
    told = [_state_of(one, batches) for one in open_batches(folder)]
    if as_json:
        print(json.dumps(told))
        return
    for row in told:
        print("{batch_id}  {status}  {n_done} of {n_requests} done, {n_failed} failed  {host}".format(**row))
    if any(row["is_over"] for row in told):
        print("fetch what is over: afrel batch collect")


@batch.command()
def collect(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Store what finished batches gave back; `afrel label --provider openai` then finds it paid for.

    Example: afrel -w shop batch collect
    """
    from evolution.calls.burn_bar import burn_bar
    from evolution.labelling.batch_files import open_batches
    from evolution.labelling.batch_run import collect_batches
    from storage.people.accounts import Act

    session: Session = ctx.obj
    session.allow(Act.PREPARE)
    folder = session.workspace.spool_dir
    if not open_batches(folder):
        print(json.dumps({"batches": 0}) if as_json else "nothing to do: no batch is open")
        return
    config, batches = _reach(session)
    with session.store() as store, burn_bar("collecting") as shown:
        report = collect_batches(store, folder, batches, config.prices, progress=shown)
    if as_json:
        counts = {"batches": report.n_batches, "good": report.n_good, "open": len(report.open)}
        print(json.dumps({**counts, "failures": dict(report.failures)}, ensure_ascii=False))
        return
    for state in report.open:
        print(f"{state.batch_id}  {state.status}  {state.n_done} of {state.n_requests} done: not over yet")
    if report.n_batches:
        print(f"{report.n_good} replies from {report.n_batches} batches. Use them: afrel label --provider openai")
    if report.failures:
        reasons = "; ".join(f"{n} {reason}" for reason, n in report.failures.most_common())
        print(
            f"{sum(report.failures.values())} without a usable reply: {reasons}. Send those again: afrel batch submit"
        )


def _state_of(one: BatchFile, batches: OpenAIBatches) -> dict[str, object]:
    told: dict[str, object] = {"batch_id": one.batch_id, "host": one.host, "model": one.model}
    if one.host != batches.host or one.batch_id is None:
        counts = {"n_requests": len(one.requests), "n_done": 0, "n_failed": 0}
        return {**told, **counts, "status": "of another host", "is_over": False}
    state = batches.state(one.batch_id)
    return {
        **told,
        "status": state.status,
        "n_requests": state.n_requests,
        "n_done": state.n_done,
        "n_failed": state.n_failed,
        "is_over": state.is_over,
    }


def _reach(session: Session) -> tuple[LlmConfig, OpenAIBatches]:
    """Return the labeller's config and the batches of its host."""
    from evolution.calls.llm_config import read_llm_config
    from evolution.calls.openai_batches import OpenAIBatches
    from evolution.calls.server_access import ServerAccess

    config = read_llm_config(session.workspace.config.get("llm", {}), "labeller")
    return config, OpenAIBatches(ServerAccess(config))
