"""Each grade as one token, the same after every prompt and distinct from the others: the contract all else rests on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

from storage.grades import Scale

Problems = dict[str, list[str]]  # what is wrong -> where


def grade_tokens(
    prompts: Sequence[str],
    encode: Callable[[str], list[int]],
    tokenizer: PreTrainedTokenizerBase,
    scale: Scale,
    problems: Problems,
) -> tuple[int, ...]:
    """Return the token id of each grade as it follows each of the prompts, alone and before a step.

    What is wrong is added to `problems`; then the result is empty.
    """
    found: dict[int, set[tuple[int, ...]]] = {grade: set() for grade in scale.values}
    for prompt in prompts:
        before = encode(prompt)
        for grade in scale.values:
            alone = encode(prompt + scale.token(grade))
            followed = encode(prompt + scale.token(grade) + "\nintent: a")
            pieces = alone[len(before) :]
            if alone[: len(before)] != before or len(pieces) != 1:
                read = [tokenizer.decode([token]) for token in (pieces or alone[-1:])]
                _add(problems, "a grade is not one token after the prompt", f"grade {grade} becomes {read}")
            elif followed[: len(alone)] != alone:
                _add(problems, "a grade's token changes when a step follows it", f"grade {grade}")
            elif str(tokenizer.decode(pieces)).strip() != scale.token(grade):
                _add(problems, "a grade's token does not read back as the grade", f"grade {grade}")
            found[grade].add(tuple(pieces))
    if any(len(ids) != 1 or len(next(iter(ids))) != 1 for ids in found.values()):
        _add(problems, "a grade has not the same single token in every prompt", f"grades {scale.values}")
        return ()
    tokens = tuple(next(iter(ids))[0] for ids in found.values())
    if len(set(tokens)) != len(tokens):
        _add(problems, "two grades share a token", f"tokens {tokens} of grades {scale.values}")
        return ()
    return tokens


def _add(problems: Problems, problem: str, where: str) -> None:
    problems.setdefault(problem, []).append(where)
