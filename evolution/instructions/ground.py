"""What an evolution stands on: the judged train and dev pairs it scores on, the rule slices, the instruction it begins
with. Test pairs are not among them: the read it is made of holds none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from curation.features import FEATURE_SCHEMA
from curation.rules import ABSTAIN, Rule, vote_matrix
from evolution.instructions.gate import Slice
from evolution.instructions.scores import Mask, Truth
from evolution.instructions.sections import quotes
from evolution.instructions.situation import Version
from evolution.labelling.grading import Grader, fit_grader
from evolution.labelling.materials import fit_on_train, instruction_in_force, materials
from evolution.labelling.request import LabelMaterial
from evolution.prompts import load_prompt
from evolution.rules.book import approved_rules
from evolution.rules.forgotten import forgotten_rules, voted_on
from storage.errors import UserError
from storage.grades import Scale
from storage.store import Store

MAX_CHARACTERS = 40_000  # of an instruction: every request carries it
WATCHED_RATE = 0.25  # of the drawn pairs of a split, at most: what is scored beside them for rules that were forgotten


@dataclass(frozen=True, slots=True)
class Ground:
    """The scored pairs in one order, train before dev: `pair_ids`, `truth`, `is_dev` and `is_drawn` run parallel.

    The objective is that of the pairs drawn (`is_drawn`). The others are pairs of rules a model forgot when it was last
    trained (`forgotten`): the gate looks at them too, for of a rare rule a draw holds one or two.
    `train` are all judged train pairs with texts and features, which edits are made from, `is_forgotten` those a
    forgotten rule votes on; `rules` the approved ones, which labelling lists. `blank_id` names the instruction in force
    where it was empty and the built-in one is taken.
    """

    start: Version
    blank_id: str | None
    scale: Scale
    train: pl.DataFrame
    scored: pl.DataFrame
    truth: Truth
    is_dev: Mask
    is_drawn: Mask
    forgotten: tuple[Rule, ...]
    slices: tuple[Slice, ...]
    rules: tuple[Rule, ...]

    @property
    def gated(self) -> tuple[Slice, ...]:
        """The slices no edit may make worse: those of rules. Without any rule, those of grades.

        What one grade wins another may lose, and the objective weighs that; that a rule is forgotten it does not see.
        """
        of_rules = tuple(one for one in self.slices if one.is_rule)
        return of_rules or self.slices

    @property
    def pair_ids(self) -> list[str]:
        """The scored pairs."""
        return self.scored["pair_id"].to_list()

    def ids_of(self, *, dev: bool) -> list[str]:
        """Return the scored pairs of one split."""
        return [one for one, is_dev in zip(self.pair_ids, self.is_dev, strict=True) if is_dev == dev]

    def unquoted(self, *texts: str) -> Mask:
        """Return which scored pairs no one of the instructions quotes: a quoted one would tell its own grade."""
        shown = self.scored.select("query", "title").rows()
        return np.array([not any(quotes(text, query, title) for text in texts) for query, title in shown], np.bool_)

    def materials(self, store: Store) -> Mapping[str, LabelMaterial]:
        """Return what a labelling request says of each scored pair, by its id."""
        grader = fit_on_train(store, self.rules, self.scale) if self.rules else _no_grader(self.train, self.scale)
        texts = self.scored.select("pair_id", "query", "title", "body", "fields")
        features = self.scored.select(list(FEATURE_SCHEMA))
        found = materials(texts, features, self.rules, grader, with_proposals=False)
        return {one.pair_id: one for one in found}


def read_ground(store: Store, scale: Scale, *, n_pairs: int) -> Ground:
    """Read what an evolution stands on; at most `n_pairs` pairs of each split are drawn, always the same.

    UserError where there is nothing to learn from or to select by.
    """
    pairs = store.frame("instruction_pairs").join(store.frame("all_features"), on="pair_id", maintain_order="left")
    forgotten = forgotten_rules(store)
    pairs = pairs.with_columns(pl.Series("is_forgotten", voted_on(forgotten, pairs), pl.Boolean))
    train, dev = (pairs.filter(pl.col("split") == split).sort("pair_id") for split in ("train", "dev"))
    _check(train, "train", "to learn from")
    _check(dev, "dev", "to select by")
    scored = pl.concat([_scored(train, n_pairs), _scored(dev, n_pairs)])
    places = {grade: place for place, grade in enumerate(scale.values)}
    queries = np.unique(scored["root_query_id"].to_numpy(), return_inverse=True)[1]
    truth = Truth(np.array([places[grade] for grade in scored["grade"]], np.intp), queries, len(scale.values))
    start, blank_id = _start(store)
    return Ground(
        start=start,
        blank_id=blank_id,
        scale=scale,
        train=train,
        scored=scored,
        truth=truth,
        is_dev=(scored["split"] == "dev").to_numpy(),
        is_drawn=scored["is_drawn"].to_numpy(),
        forgotten=forgotten,
        slices=_slices(store, scored, truth, scale),
        rules=tuple(approved_rules(store)),
    )


def _scored(pairs: pl.DataFrame, n_pairs: int) -> pl.DataFrame:
    """Return the pairs drawn of a split, and after them some that forgotten rules vote on."""
    drawn, rest = pairs.head(n_pairs), pairs.slice(n_pairs)  # ids are hashes, so the first are a draw
    watched = rest.filter("is_forgotten").head(round(WATCHED_RATE * len(drawn)))
    return pl.concat([one.with_columns(is_drawn=pl.lit(one is drawn)) for one in (drawn, watched)])


def _no_grader(train: pl.DataFrame, scale: Scale) -> Grader:
    """Return a grader of nothing: it is there to weigh rules, and fitting it takes long."""
    nothing = train.head(0).select(list(FEATURE_SCHEMA))
    return fit_grader(nothing, [], np.zeros((0, 0), np.bool_), [], queries=[], scale=scale)


def _check(pairs: pl.DataFrame, split: str, what_for: str) -> None:
    bring = f"Bring judgments of {split} queries: afrel ingest FILE --map query=…,title=…,grade=…,split=…"
    if pairs.is_empty():
        raise UserError(f"no judged {split} pairs, so there is nothing {what_for}. {bring}")
    grades = pairs["grade"].unique().to_list()
    if len(grades) == 1:
        raise UserError(f"all {len(pairs)} judged {split} pairs have grade {grades[0]}: nothing {what_for}. {bring}")


def _start(store: Store) -> tuple[Version, str | None]:
    """Return the instruction in force, or the built-in one where that is blank, with the id of the blank one."""
    text = instruction_in_force(store).text
    held = {row["text"]: row for row in store.read("instructions").to_pylist()}
    if len(text) > MAX_CHARACTERS:
        raise UserError(
            f"the instruction in force has {len(text):,} characters, at most {MAX_CHARACTERS:,} are evolved: every "
            "request carries it. Approve a shorter one: afrel --as ACCOUNT approve --kind instruction INSTRUCTION"
        )
    if not text.strip():
        return Version(load_prompt("instruction").text, 0), held[text]["instruction_id"] if text in held else None
    return Version(text, held[text]["generation"] if text in held else 0), None


def _slices(store: Store, scored: pl.DataFrame, truth: Truth, scale: Scale) -> tuple[Slice, ...]:
    """Return the slices that are told apart: approved rules, or proposed ones before any is; and the grades."""
    book = store.read("rule_book").to_pylist()
    in_force = [row for row in book if row["status"] == "approved"] or [
        row for row in book if row["status"] == "proposed"
    ]
    rules = [Rule(row["rule_id"], row["text"], row["condition"], row["grade"]) for row in in_force]
    votes = _votes(rules, scored)
    slices = [Slice(f"rule {rule.rule_id}", votes[:, column], is_rule=True) for column, rule in enumerate(rules)]
    slices += [
        Slice(f"grade {grade}", np.asarray(truth.places == place, np.bool_), is_rule=False)
        for place, grade in enumerate(scale.values)
    ]
    return tuple(slices)


def _votes(rules: Sequence[Rule], scored: pl.DataFrame) -> Mask:
    if not rules:
        return np.zeros((len(scored), 0), np.bool_)
    return np.asarray(vote_matrix(rules, scored.select(list(FEATURE_SCHEMA))) != ABSTAIN)
