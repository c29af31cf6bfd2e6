"""Whether a tokenizer's chat template carries answer-first rows: of interest to who serves a model behind a chat API.

Training itself writes prompts as plain text, so nothing here stops it. A template that puts words between its cue and
the answer (an empty thought, say) makes the first token of a reply another thing than the grade.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from curation.completion import parse
from storage.grades import Scale
from trainers.rows.grade_tokens import grade_tokens


@dataclass(frozen=True, slots=True)
class ChatForm:
    """How a template carries rows. `options` are what it must be called with; without `problems` it is sound."""

    options: dict[str, bool]
    problems: tuple[str, ...]


def check_chat(
    tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], completions: Sequence[str], scale: Scale
) -> ChatForm | None:
    """Return how the template carries some rows, by the options that do best; None without a template."""
    if not tokenizer.chat_template:
        return None
    forms = [
        ChatForm(options, tuple(_problems(tokenizer, prompts, completions, scale, options)))
        for options in ({}, {"enable_thinking": False})
    ]
    return min(forms, key=lambda form: len(form.problems))  # of equals the plain one


def _problems(
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    completions: Sequence[str],
    scale: Scale,
    options: dict[str, bool],
) -> list[str]:
    found: dict[str, list[str]] = {}
    cues: list[str] = []
    template: Callable[..., object] = tokenizer.apply_chat_template  # whose other keywords are the template's own

    def render(messages: Sequence[Mapping[str, str]], **more: bool) -> str:
        return str(template(list(messages), tokenize=False, **more, **options))

    for prompt, completion in zip(prompts, completions, strict=True):
        asked = [{"role": "user", "content": prompt}]
        try:
            cue = render(asked, add_generation_prompt=True)
            whole = render([*asked, {"role": "assistant", "content": completion}])
        except (TemplateError, ValueError, TypeError) as error:
            return [f"the template fails on a question and its answer: {error}"]
        cues.append(cue)
        if prompt.strip() not in cue:
            found.setdefault("the template changes the prompt", []).append(cue[-80:])
        if not whole.startswith(cue):
            found.setdefault("the conversation does not begin with the cue an answer is asked for by", []).append(cue)
        elif not whole[len(cue) :].startswith(completion):
            found.setdefault("something stands between the cue and the grade", []).append(whole[len(cue) :][:16])
        elif parse(whole[len(cue) :][: len(completion)], scale) != parse(completion, scale):
            found.setdefault("the answer does not read back", []).append(completion[:40])
    grade_tokens(cues, _reads_markers(tokenizer), tokenizer, scale, found)
    return [f"{what}, e.g. {where[0]!r}" for what, where in found.items()]


def _reads_markers(tokenizer: PreTrainedTokenizerBase) -> Callable[[str], list[int]]:
    """Return the encoding of a server: a template's own markers are single tokens."""

    def encode(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False, split_special_tokens=False)["input_ids"])

    return encode
