"""What verbs that ask a server take alike: the limits of what they may use, how they tell. Imports nothing heavy."""

from __future__ import annotations

from typing import Annotated

import typer

from storage.config_schema import Schema, schema_option


def _llm_schema() -> Schema:
    from evolution.calls.llm_schema import llm_schema

    return llm_schema()


MaxCost = Annotated[float | None, typer.Option(min=0, help="Spend at most this much, by [llm.prices] in afrel.toml.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Use at most this many tokens, prompts and replies.")]
MaxRequests = Annotated[int | None, typer.Option(min=1, help="Send at most this many requests.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count and estimate; write nothing, ask nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
LlmSchema = Annotated[bool, schema_option("[llm] in afrel.toml", _llm_schema)]
