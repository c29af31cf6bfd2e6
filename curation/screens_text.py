"""Screens of the words of a candidate: copied from the instruction, too long to be read, telling of a person."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import polars as pl

from curation.completion import render_prompt
from curation.personal_text import find_personal
from curation.screening_context import Finding, ScreeningContext, failures, rationale, read_steps
from curation.text import is_unspaced, tokenize
from storage.errors import UserError

TOKENS_PER_WORD = 1.4  # a rough middle of byte-pair tokenizers on English and Chinese; a real tokenizer counts exactly


def screen_copied_prompt(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """A long run of words of the instruction in the rationale."""
    n = context.config.copied_prompt
    instructions = {text_id: tokenize(text) for text_id, text in context.instructions.items()}
    told = {text_id: frozenset(_runs(tokens, n)) for text_id, tokens in instructions.items()}
    found = []
    for candidate_id, words in _rationales(candidates):
        runs = list(_runs(tokenize(words), n))
        for text_id, known in told.items():
            longest = _longest_streak([run in known for run in runs])
            if longest:
                length = longest + n - 1
                reason = f"{length} words in a row are of the instruction {text_id}"
                found.append(Finding(candidate_id, reason, float(length), text_id))
                break
    return failures("copied_prompt", found)


def screen_length(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:
    """Too many tokens in prompt and completion, leaving out the body, which is cut to fit."""
    count = token_counter(context.config.tokenizer)
    most = context.config.max_tokens
    found = []
    for row in candidates.iter_rows(named=True):
        prompt = render_prompt(row["query"], row["title"], fields=json.loads(row["fields"]))
        n = count(prompt + rationale(read_steps(row["steps"])), most)
        if n > most:
            found.append(Finding(row["candidate_id"], f"{n} tokens without the body, {most} fit", float(n)))
    return failures("length", found)


def flag_personal(candidates: pl.DataFrame, context: ScreeningContext) -> pl.DataFrame:  # noqa: ARG001
    """An e-mail address, phone or id number in query, doc or rationale: told, passed, masked by exports."""
    found = []
    for row in candidates.iter_rows(named=True):
        places = {
            "query": row["query"],
            "title": row["title"],
            "body": row["body"],
            "fields": "\n".join(str(value) for value in json.loads(row["fields"]).values()),
            "rationale": rationale(read_steps(row["steps"])),
        }
        counts = Counter((one.kind, place) for place, text in places.items() for one in find_personal(text))
        if counts:
            told = ", ".join(f"{n} {kind} in the {place}" for (kind, place), n in counts.items())
            found.append(Finding(row["candidate_id"], told, float(counts.total())))
    return failures("personal", found)


def token_counter(tokenizer: str | None) -> Callable[[str, int], int]:
    """Return a function that counts a text's tokens; of a text far over the given most it may say a lower bound."""
    if tokenizer is None:
        return _estimate
    from tokenizers import Tokenizer

    try:
        loaded = Tokenizer.from_file(tokenizer)
    except Exception as error:  # the library raises no narrower class
        raise UserError(
            f"{tokenizer} is not a tokenizer that can be read: {error}. "
            "Mend tokenizer under [screening] in afrel.toml, or leave it out, then: afrel screen"
        ) from error

    def count(text: str, most: int) -> int:
        # nobody has tokens of more than 64 characters: the rest of a text of megabytes changes no verdict
        return len(loaded.encode(text[: 64 * (most + 1)]).ids)

    return count


def _estimate(text: str, most: int) -> int:
    text = text[: 64 * (most + 1)]
    tokens = tokenize(text)
    n_unspaced = sum(is_unspaced(token) for token in tokens)
    return n_unspaced + round((len(tokens) - n_unspaced) * TOKENS_PER_WORD)


def _rationales(frame: pl.DataFrame) -> Iterator[tuple[str, str]]:
    for candidate_id, steps in frame.select("candidate_id", "steps").iter_rows():
        yield candidate_id, rationale(read_steps(steps))


def _runs(tokens: Sequence[str], n: int) -> Iterator[str]:
    for at in range(len(tokens) - n + 1):
        yield " ".join(tokens[at : at + n])


def _longest_streak(flags: Sequence[bool]) -> int:
    longest = streak = 0
    for flag in flags:
        streak = streak + 1 if flag else 0
        longest = max(longest, streak)
    return longest
