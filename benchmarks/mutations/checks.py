"""How far the verifier of mutations can be believed: against the truth on the bundled sample, and what it confirms.

Every operator is tried on every judged train pair, without the run's bounds, so that each has as many mutations as it
can. On the sample the verifier is fitted on the seed's judgments (5% of them off by one), as in the demo, and its word
is held against the true grades; pairs whose true grade no rule decides are left out, and so are rewritings whose
meaning cannot be read. Of real judgements the truth of a rewriting is not known.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.mutations.truth import true_grade
from curation.intervals import wilson
from evolution.mutations import OPERATORS, Corpus, MutatedPair, Original, holds, rewrite
from evolution.mutations.verifier import Check, Claim, PairText, Verifier, fit_verifier
from samples.homeware.catalogue import Doc
from samples.homeware.generate import build_sample
from samples.homeware.intents import Query
from storage.grades import TREC_NAMES, Scale

SCALES = {n: Scale(tuple(range(n)), TREC_NAMES[n]) for n in (3, 4)}


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged train pair with its root query."""

    original: Original
    root: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A mutation, the verdict, and whether its effect is true (None: unknown)."""

    judged: Judged
    mutated: MutatedPair
    check: Check
    is_true: bool | None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: counts of one operator."""

    operator: str
    n: int
    n_confirmed: int
    n_known: int
    n_true: int
    n_confirmed_known: int
    n_confirmed_true: int


def sample_mutations(seed: int) -> tuple[list[Tried], Verifier]:
    """Return every mutation of the sample's judged train pairs with its verdict and its truth."""
    sample = build_sample()
    judged, truths = [], {}
    for pair in sample.pairs:
        key = (pair.query_id, pair.doc.doc_id)
        if pair.split == "train" and key in sample.seed_grades:
            one = Original(
                " ".join(key), pair.query.text, pair.doc.title, pair.doc.body, pair.doc.written, sample.seed_grades[key]
            )
            judged.append(Judged(one, pair.query_id))
            if pair.rule_id is not None:
                truths[one.pair_id] = (pair.query, pair.doc, pair.grade)
    corpus = Corpus([doc.written for doc in sample.docs], sorted({one.original.query for one in judged}))
    mutations, verifier = _try_all(judged, corpus, SCALES[4], seed)
    return [
        Tried(one, mutated, check, _is_true(mutated, truths.get(one.original.pair_id)))
        for one, mutated, check in mutations
    ], verifier


def search_mutations(folder: Path, seed: int, *, n_pairs: int) -> tuple[list[Tried], Verifier]:
    """Return mutations of train pairs of a Chinese web search collection (titles only); the truth is not known."""
    judged = [_of_search(row) for row in search_pairs(folder)]
    corpus = Corpus([], sorted({one.original.query for one in judged}))
    verifier = _fit(judged, SCALES[3])
    chosen = [_of_search(row) for row in search_pairs(folder, n_pairs=n_pairs)]
    drawn = list(_draw(chosen, corpus, SCALES[3], seed))
    checks = verifier.check([_claim(one, mutated) for one, mutated in drawn])
    return [Tried(one, mutated, check, None) for (one, mutated), check in zip(drawn, checks, strict=True)], verifier


def search_pairs(folder: Path, *, n_pairs: int | None = None) -> list[dict[str, Any]]:
    """Return the collection's train pairs, or a fixed draw of them."""
    pairs = pl.read_parquet(folder / "qbqtc" / "pairs.parquet").filter(pl.col("split") == "train")
    rows = pairs.unique(("query", "title"), maintain_order=True).to_dicts()
    return rows if n_pairs is None else random.Random(0).sample(rows, min(n_pairs, len(rows)))


def rows(tried: Sequence[Tried]) -> list[Row]:
    """Count by operator, all of them last."""
    named = [(name, [one for one in tried if one.mutated.operator == name]) for name in OPERATORS]
    return [_count(name, of_it) for name, of_it in [*named, ("all", list(tried))]]


def table(found: Sequence[Row]) -> str:
    """Return the counts as Markdown, with 95% intervals (Wilson)."""
    has_truth = any(row.n_known for row in found)
    head = ["operator", "mutations", "confirmed"]
    head += (
        ["declared effect true", "precision of confirmed", "recall of true", "false eliminated"] if has_truth else []
    )
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for row in found:
        cells = [row.operator, str(row.n), rate(row.n_confirmed, row.n)]
        if has_truth:
            cells += [rate(row.n_true, row.n_known), rate(row.n_confirmed_true, row.n_confirmed_known)]
            n_false = row.n_known - row.n_true
            n_eliminated = n_false - (row.n_confirmed_known - row.n_confirmed_true)
            cells += [rate(row.n_confirmed_true, row.n_true), rate(n_eliminated, n_false)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rate(n_hits: int, n: int) -> str:
    """Return a share with its interval and n: `.83 [.71, .91] of 52`."""
    found = wilson(n_hits, n)
    if found is None:
        return "–"
    shown = [f"{value:.2f}".removeprefix("0") for value in (n_hits / n, found.low, found.high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}] of {n}"


def _of_search(row: Mapping[str, Any]) -> Judged:
    original = Original(str(row["pair_id"]), row["query"], row["title"], "", {}, int(row["label"]))
    return Judged(original, str(row["query_id"]))


def _try_all(
    judged: Sequence[Judged], corpus: Corpus, scale: Scale, seed: int
) -> tuple[list[tuple[Judged, MutatedPair, Check]], Verifier]:
    verifier = _fit(judged, scale)
    drawn = list(_draw(judged, corpus, scale, seed))
    checks = verifier.check([_claim(one, mutated) for one, mutated in drawn])
    return [(one, mutated, check) for (one, mutated), check in zip(drawn, checks, strict=True)], verifier


def _draw(judged: Iterable[Judged], corpus: Corpus, scale: Scale, seed: int) -> Iterator[tuple[Judged, MutatedPair]]:
    for one in judged:
        for name, operator in OPERATORS.items():
            chance = random.Random(f"{seed} {one.original.pair_id} {name}")
            mutated = rewrite(operator, one.original, corpus, scale=scale, draw=chance)
            if mutated is not None:
                yield one, mutated


def _fit(judged: Sequence[Judged], scale: Scale) -> Verifier:
    texts = [PairText(one.original.query, one.original.title, one.original.body, one.root) for one in judged]
    return fit_verifier(texts, [one.original.grade for one in judged], scale=scale)


def _claim(one: Judged, mutated: MutatedPair) -> Claim:
    original = one.original
    return Claim(
        PairText(original.query, original.title, original.body, one.root),
        PairText(mutated.query, mutated.title, mutated.body, one.root),
        mutated.effect,
        mutated.effect_grade,
    )


def _is_true(mutated: MutatedPair, truth: tuple[Query, Doc, int] | None) -> bool | None:
    if truth is None:
        return None
    intent, doc, before = truth
    after = true_grade(mutated.operator, intent, doc, mutated.query)
    if after is None:
        return None
    return holds(mutated.effect, before=before, after=after, bound=mutated.effect_grade)


def _count(name: str, tried: Sequence[Tried]) -> Row:
    known = [one for one in tried if one.is_true is not None]
    return Row(
        name,
        len(tried),
        sum(one.check.is_confirmed for one in tried),
        len(known),
        sum(bool(one.is_true) for one in known),
        sum(one.check.is_confirmed for one in known),
        sum(one.check.is_confirmed and bool(one.is_true) for one in known),
    )
