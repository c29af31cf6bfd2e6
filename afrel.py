"""The front door: the `afrel` command. Knows every verb by name; imports a verb's room when it is used."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from storage.errors import UserError
from storage.session import Session

# verb -> (module, function, what it does). In the order of the work.
VERBS = {
    "init": ("curation.init_commands", "init", "Make a workspace: a scale of grades and a first instruction."),
    "account": ("storage.people.commands", "account", "Add people and their keys; list them; write the pins."),
    "ingest": ("curation.ingest_commands", "ingest", "Read queries, docs, pairs and judgments from files."),
    "pool": ("curation.pool_commands", "pool", "Pair queries with docs by BM25, from every range of ranks."),
    "evolve": ("evolution.instructions.command", "evolve", "Edit the labelling instruction; keep what scores better."),
    "instructions": ("evolution.instructions.log_command", "instructions", "Versions of it: log, show, diff."),
    "mine": ("evolution.rules.command", "mine", "Propose rules from judged pairs, or from disagreement."),
    "approve": ("evolution.commands", "approve", "Approve or reject rules and instructions."),
    "mutate": (
        "evolution.mutations.command",
        "mutate",
        "Rewrite pairs on purpose; keep those that are confirmed.",
    ),
    "label": ("evolution.labelling.command", "label", "Let a machine propose grade and rationale for pairs."),
    "batch": ("evolution.labelling.batch_command", "batch", "Label by a provider's batches: submit, status, collect."),
    "judge": ("evolution.judges.command", "judge", "Measure judges; judge and mend rationales step by step."),
    "screen": ("curation.screen_commands", "screen", "Check new candidates; set the bad ones aside with a reason."),
    "respond": ("review_app.commands", "respond", "Answer candidates, or replay recorded answers."),
    "adjudicate": ("review_app.commands", "adjudicate", "Settle pairs: by consensus, or by an adjudicator."),
    "serve": ("review_app.serve_command", "serve", "Open the review app in the browser."),
    "argilla": ("review_app.argilla_bridge.command", "argilla", "Let people answer in Argilla: up, push, pull."),
    "tier": ("curation.tier_commands", "tier", "Show what each curriculum tier would hold."),
    "snapshot": ("curation.tier_commands", "snapshot", "Freeze the tiers under a content hash."),
    "sign": ("storage.snapshots.commands", "sign", "Sign a snapshot's tiers, so that they may train."),
    "revoke": ("storage.snapshots.commands", "revoke", "Withdraw a snapshot: it trains nothing any more."),
    "verify": ("curation.verify_command", "verify", "Check a snapshot file by file, row by row."),
    "export": ("curation.export_commands", "export", "Write a snapshot's rows for other tools, with a card."),
    "diff": ("storage.snapshots.diff_command", "diff", "Show how two snapshots differ, row by row."),
    "gc": ("storage.snapshots.gc_command", "gc", "Remove snapshots that are superseded and that no run used."),
    "train": ("trainers.train_command", "train", "Train an answer-first model from a signed snapshot."),
    "check": ("trainers.preflight.command", "check", "Check that a model can carry a snapshot, training nothing."),
    "rollout": ("trainers.rollouts.command", "rollout", "Sample a trained model on train pairs: their difficulty."),
    "evaluate": ("trainers.commands", "evaluate", "Measure a trained model against baselines."),
    "score": ("trainers.commands", "score", "Score a file of pairs with a trained model."),
    "runs": ("trainers.runs.command", "runs", "List what was trained; compare two runs."),
    "report": ("trainers.report.command", "report", "Write one page about a run, to open offline and send round."),
    "jobs": ("storage.jobs.commands", "jobs", "Verbs that run by themselves: start, watch, cancel, resume."),
    "sql": ("storage.sql.commands", "sql", "Ask anything in SQL, on a read-only copy; keep queries by name."),
    "why": ("curation.commands", "why", "Show where a candidate, judgment or prediction comes from."),
    "status": ("storage.commands", "status", "Count everything in the workspace."),
    "doctor": ("storage.safekeeping.commands", "doctor", "Find what is wrong or left over; say what mends it."),
    "backup": ("storage.safekeeping.commands", "backup", "Copy the workspace to a folder, while others write."),
    "restore": ("storage.safekeeping.commands", "restore", "Make a workspace of a backup, every file checked."),
    "erase": ("storage.safekeeping.commands", "erase", "Blank a source, a query or a person's name for good."),
    "demo": ("samples.commands", "demo", "Run the whole cycle on the bundled sample."),
}


class VerbGroup(TyperGroup):
    """Commands by name, each imported when it is first asked for: `--help` must not pay for torch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands = dict.fromkeys(VERBS)  # type: ignore[arg-type]  # names only, for suggestions

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, function, line = VERBS[cmd_name]
        verb = getattr(import_module(module), function)
        if isinstance(verb, typer.Typer):
            return typer.main.get_group(verb)
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name=cmd_name, short_help=line)(verb)
        return typer.main.get_command(alone)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Verbs, in the order of the work"):
            formatter.write_dl([(verb, line) for verb, (_, _, line) in VERBS.items()])


app = typer.Typer(
    cls=VerbGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


@app.callback()
def afrel(
    ctx: typer.Context,
    workspace: Annotated[
        Path | None, typer.Option("-w", "--workspace", help="The workspace; else AFREL_WORKSPACE, else found above.")
    ] = None,
    account: Annotated[
        str | None, typer.Option("--as", metavar="ACCOUNT", help="Act as this account (password by prompt or file).")
    ] = None,
) -> None:
    """Answer-first relevance: from search judgments to signed training data and models.

    Example: afrel init demo --scale 0-3, then afrel -w demo ingest pairs.csv --map query=query,doc=title,grade=label
    """
    ctx.obj = Session(workspace, account)


def main() -> None:
    """Run the command line; a user's mistake is one line and exit status 2."""
    if "AFREL_JOB" in os.environ:  # a job that is cancelled ends as by Ctrl+C: its run says so
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except UserError as error:
        print(f"afrel: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
