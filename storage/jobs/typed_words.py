"""A command as typed behind `afrel jobs start`, read by the verb's own parser: what it refuses is refused at once.

What was typed is kept by flag and value, so that the job's process gets what was checked and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from storage.errors import UserError
from storage.jobs.job_command import JobCommand, Scalar
from storage.jobs.verbs import find_verb

CONFIG = "--config"


def read_words(front_door: Any, words: Sequence[str]) -> tuple[JobCommand, Path | None]:
    """Return the command that words make, and the file of its configuration, if it names one.

    `front_door` is the context of `afrel` itself, whose command knows every verb. Usage errors are the verb's own.
    """
    find_verb(words[0])
    verb, rest, context = words[0], list(words[1:]), front_door
    command = front_door.command.get_command(front_door, verb)
    while hasattr(command, "get_command"):  # a verb of verbs, such as judge
        known = command.list_commands(context)
        if not rest or rest[0] not in known:
            raise UserError(f"{verb} as a job takes one of {', '.join(known)}. Try: afrel jobs start {verb} {known[0]}")
        verb, command, rest = f"{verb} {rest[0]}", command.get_command(context, rest[0]), rest[1:]
    parsed = command.make_context(verb, rest, parent=front_door)
    typed: list[str] = []
    options: dict[str, Scalar | list[Scalar]] = {}
    for parameter in command.params:
        source = parsed.get_parameter_source(parameter.name)
        if source is None or source.name != "COMMANDLINE":
            continue
        value = parsed.params[parameter.name]
        if parameter.param_type_name == "argument":
            typed += [str(_plain(one)) for one in (value if isinstance(value, list | tuple) else [value])]
        elif value is False:
            options[max(parameter.secondary_opts, key=len)] = True
        else:
            many = isinstance(value, list | tuple)
            options[max(parameter.opts, key=len)] = [_plain(one) for one in value] if many else _plain(value)
    config = options.pop(CONFIG, None)
    asked = JobCommand(verb, tuple(typed), options, folder=os.getcwd())
    return asked, None if config is None else Path(str(config))


def _plain(value: Any) -> Scalar:
    """Return a parsed value as JSON holds it."""
    if isinstance(value, Enum):
        return str(value.value)
    return value if isinstance(value, bool | int | float) else str(value)
