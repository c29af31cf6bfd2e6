"""What every verb that asks a server takes: the limits of what it may use. Imported before anything heavy."""

from __future__ import annotations

from typing import Annotated

import typer

MaxCost = Annotated[float | None, typer.Option(min=0, help="Spend at most this much, by [llm.prices] in afrel.toml.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Use at most this many tokens, prompts and replies.")]
MaxRequests = Annotated[int | None, typer.Option(min=1, help="Send at most this many requests.")]
