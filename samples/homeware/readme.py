"""The data's README, written with the data so that its figures are the data's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from samples.homeware.catalogue import Doc
from samples.homeware.kinds import FIELDS
from samples.homeware.pairing import Pair
from samples.homeware.reviewers import ADJUDICATOR, TARGET_KAPPAS, Adjudication, Response, linear_kappa
from samples.homeware.truth import RULES

TEXT = """# homeware-data

A small shop, invented for afrel: homeware and groceries, English and some Chinese. Every brand, product, shopper and
reviewer is made up. Written by `python -m samples.homeware.generate`; do not edit by hand.

| file | rows | what |
|---|---:|---|
| `docs.jsonl` | {n_docs} | products: `doc_id`, `title`, `body`, up to {n_fields} fields; {n_chinese} in Chinese |
| `pairs.csv` | {n_pairs} | the pairs to judge, with `split`; no grades |
| `seed.csv` | {n_seed} | an earlier round: whole queries of every split with a grade, about 5% of them off by one |
| `responses.jsonl` | {n_responses} | recorded answers of {reviewers} |
| `adjudications.jsonl` | {n_adjudications} | {adjudicator}'s rulings on what they left open |
| `truth.csv` | {n_pairs} | the true grade and the rule that decides it; for measuring only, never ingest it |

Fields: {fields}.
A doc leaves out the fields it does not state.

Grades: 0 irrelevant, 1 partly, 2 substantially, 3 fully. The guideline is `samples/guideline.md`.

| split | queries | pairs | grade 0 | grade 1 | grade 2 | grade 3 |
|---|---:|---:|---:|---:|---:|---:|
{splits}

## What decides a grade

{n_frequent} frequent rules and {n_rare} rare ones (`rules.py`, `exceptions.py` in `samples/homeware/`). The first
frequent rule that holds decides, unless a rare rule overrides it. They read only what is in the query and the doc's
fields.

| decided by | pairs | share | pairs of one rule |
|---|---:|---:|---:|
| a frequent rule | {n_by_frequent} | {frequent_rate:.1%} | {frequent_span} |
| a rare rule | {n_by_rare} | {rare_rate:.1%} | {rare_span} |
| no rule: a grade of its own | {n_undecided} | {undecided_rate:.1%} | |

Splits are whole queries, chosen so that every rule has pairs in train and as many as possible in test and dev.

## The reviewers

Every pair was answered once, a fifth of them by all three. Kappa is Cohen's with linear weights, against the truth,
over graded answers. Errors are mostly one grade, likelier in the middle of the scale, and on rare rules half of them
are what the frequent rule would say; 3% are slips. One sitting of `ana` is 80 answers under two seconds, nearly
all the same grade. About 2% of answers are `cannot_tell` or `discarded`.

| who | answers | graded | kappa |
|---|---:|---:|---:|
{people}

{adjudicator} ruled on every pair where the three differ or one gave no grade, and on lone answers two or more grades
off.
"""


def write_readme(
    *,
    docs: Sequence[Doc],
    pairs: Sequence[Pair],
    seed_grades: Mapping[tuple[str, str], int],
    responses: Sequence[Response],
    adjudications: Sequence[Adjudication],
) -> str:
    """Return the README with the figures of this data."""
    by_rule = Counter(pair.rule_id for pair in pairs if pair.rule_id is not None)
    frequent = [by_rule[rule_id] for rule_id, rule in RULES.items() if not rule.overrides]
    rare = [by_rule[rule_id] for rule_id, rule in RULES.items() if rule.overrides]
    n_undecided = sum(pair.rule_id is None for pair in pairs)
    return TEXT.format(
        n_docs=len(docs),
        n_fields=len(FIELDS),
        n_chinese=sum(doc.is_chinese for doc in docs),
        n_pairs=len(pairs),
        n_seed=len(seed_grades),
        n_responses=len(responses),
        n_adjudications=len(adjudications),
        reviewers=", ".join(TARGET_KAPPAS),
        adjudicator=ADJUDICATOR,
        fields=", ".join(f"`{field}`" for field in FIELDS),
        splits="\n".join(_split_row(pairs, split) for split in ("train", "dev", "test")),
        n_frequent=len(frequent),
        n_rare=len(rare),
        n_by_frequent=sum(frequent),
        frequent_rate=sum(frequent) / len(pairs),
        frequent_span=f"{min(frequent)} to {max(frequent)}",
        n_by_rare=sum(rare),
        rare_rate=sum(rare) / len(pairs),
        rare_span=f"{min(rare)} to {max(rare)}",
        n_undecided=n_undecided,
        undecided_rate=n_undecided / len(pairs),
        people="\n".join(_people_rows(responses, adjudications)),
    )


def _split_row(pairs: Sequence[Pair], split: str) -> str:
    own = [pair for pair in pairs if pair.split == split]
    grades = Counter(pair.grade for pair in own)
    n_queries = len({pair.query_id for pair in own})
    return f"| {split} | {n_queries} | {len(own)} | " + " | ".join(str(grades[grade]) for grade in range(4)) + " |"


def _people_rows(responses: Sequence[Response], adjudications: Sequence[Adjudication]) -> list[str]:
    rows = []
    for reviewer in TARGET_KAPPAS:
        own = [response for response in responses if response.reviewer == reviewer]
        graded = [(response.grade, response.pair.grade) for response in own if response.grade is not None]
        kappa = linear_kappa([given for given, _ in graded], [true for _, true in graded])
        rows.append(f"| {reviewer} | {len(own)} | {len(graded)} | {kappa:.2f} |")
    kappa = linear_kappa([one.grade for one in adjudications], [one.pair.grade for one in adjudications])
    return [*rows, f"| {ADJUDICATOR} | {len(adjudications)} | {len(adjudications)} | {kappa:.2f} |"]
