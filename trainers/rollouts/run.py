"""Sample a split's pairs with a run, judge the samples by their grade, store both with what they say of difficulty.

A pair's difficulty is its pass@1: without bias the share of its samples that are right. pass@N of more follows from it
and is told as a curve. Batches are fixed by the pairs that are sampled and each has a seed of its own, so a command
that was killed goes on with the next batch and ends at the rows it would have had.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from curation.completion import ParseFailure, parse
from curation.pass_rates import pass_at
from curation.prompt_parts import prompt_parts
from storage.clock import now
from storage.errors import UserError
from storage.grades import Scale
from storage.ids import content_id, digest
from storage.store import Store
from trainers.models.ranker import Ranker
from trainers.rollouts.completions import Sampling, sample_completions
from trainers.rows.encoding import fit_prompt

AT_ONCE = 128  # completions that are generated together

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """One pair to sample: its prompt as the model knows it, and the settled grade its samples are judged by."""

    pair_id: str
    prompt: str
    grade: int


def asked_of(rows: Dataset, ranker: Ranker, *, limit: int | None) -> list[Asked]:
    """Return the pairs of rows to sample, the longest prompt first, so that what does not fit fails at once.

    With a limit, those pairs are drawn by their ids: the same ones every time.
    """
    drawn = sorted(range(len(rows)), key=lambda at: digest(rows[at]["pair_id"]))[:limit]
    asked = []
    for at in drawn:
        row = rows[at]
        parts = prompt_parts(row, has_evidence=ranker.has_evidence)
        prompt = fit_prompt(parts, ranker.tokenizer, ranker.max_prompt_tokens)
        if prompt is None:
            raise UserError(
                f"pair {row['pair_id']}: its query alone fills the {ranker.max_prompt_tokens} prompt tokens of "
                f"{ranker.run_id}. Train with a larger max_length: afrel train sft"
            )
        asked.append(Asked(row["pair_id"], prompt, row["grade"]))
    return sorted(asked, key=lambda one: (-len(one.prompt), one.pair_id))


def require_known(store: Store, asked: Sequence[Asked], snapshot_id: str) -> None:
    """Return when the pairs are this workspace's, told by a few of them; UserError for another's."""
    looked_at = [one.pair_id for one in asked[:: max(1, len(asked) // 20)]]
    missing = set(looked_at) - set(store.read("known_pairs", pair_ids=looked_at).column("pair_id").to_pylist())
    if missing:
        raise UserError(
            f"snapshot {snapshot_id} has pairs that are not in this workspace, such as {min(missing)}: rollouts on "
            "them could not be used. Name a snapshot that was cut here: afrel rollout RUN --snapshot S"
        )


def roll_out(
    store: Store,
    ranker: Ranker,
    asked: Sequence[Asked],
    sampling: Sampling,
    *,
    key: str,
    run_id: str,
    seed: int,
    held: Collection[str],
    tell: Tell,
) -> None:
    """Sample all pairs that are not `held` yet and append their rows, batch by batch."""
    done = 0
    for place, batch in enumerate(_batches(asked, max(1, AT_ONCE // sampling.n_samples))):
        done += len(batch)
        if any(one.pair_id not in held for one in batch):
            prompts = [one.prompt for one in batch]
            batch_seed = int(digest([key, seed, place])[:8], 16)
            answers = sample_completions(ranker.model, ranker.tokenizer, prompts, sampling, seed=batch_seed)
            store.append(rollout_rows(batch, answers, ranker.scale, key=key, train_run_id=ranker.run_id, run_id=run_id))
        tell("pairs sampled", done, len(asked))


def rollout_rows(
    batch: Sequence[Asked],
    answers: Sequence[Sequence[str]],
    scale: Scale,
    *,
    key: str,
    train_run_id: str,
    run_id: str,
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of tables rollouts and difficulty_scores for the answers to some pairs.

    An answer is right when it parses and has the settled grade; one that does not parse has no grade and is wrong.
    """
    shared = {"train_run_id": train_run_id, "run_id": run_id, "created_at": now()}
    rollouts, scores = [], []
    for one, texts in zip(batch, answers, strict=True):
        grades = [None if isinstance(read := parse(text, scale), ParseFailure) else read.grade for text in texts]
        rollouts += [
            {
                "rollout_id": content_id("ro", key, one.pair_id, sample),
                "pair_id": one.pair_id,
                "sample": sample,
                "completion": text,
                "grade": grade,
                "is_right": grade == one.grade,
                **shared,
            }
            for sample, (text, grade) in enumerate(zip(texts, grades, strict=True))
        ]
        n_right = sum(grade == one.grade for grade in grades)
        scores.append(
            {
                "difficulty_score_id": content_id("df", key, one.pair_id),
                "pair_id": one.pair_id,
                "pass_rate": pass_at(1, n_samples=len(texts), n_right=n_right),
                "n": len(texts),
                **shared,
            }
        )
    return {"rollouts": rollouts, "difficulty_scores": scores}


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of it: pairs by how many of their samples were right, and samples that are no completion."""

    n_pairs: int
    n_always: int
    n_sometimes: int
    n_never: int
    n_unparsed: int


def summarise(counts: Sequence[Mapping[str, Any]], *, n_samples: int) -> Summary:
    """Return the summary of `rollout_counts`."""
    right = [int(row["n_right"]) for row in counts]
    return Summary(
        len(right),
        sum(n == n_samples for n in right),
        sum(0 < n < n_samples for n in right),
        sum(n == 0 for n in right),
        sum(int(row["n_unparsed"]) for row in counts),
    )


def _batches(asked: Sequence[Asked], size: int) -> Iterator[Sequence[Asked]]:
    for start in range(0, len(asked), size):
        yield asked[start : start + size]
