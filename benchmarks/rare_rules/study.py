"""What the study of the real trainers is made of: a snapshot of shop pairs, runs on it, what is measured of a model.

One snapshot, two tiers: tier 1 holds the expert rows SFT learns (12% under rare rules), tier 2 the pool that is
reinforced (1%). `train grpo` takes prompts and expert rows from the same rows; here, as in the study in small, they are
two sets, so its trainer is given the other rows. The planted rules, predicates on what a query means, are not in the
language of conditions, so which of them hold is asked of the generator. Everything else is the product.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import trainers.grpo.train as grpo
from benchmarks.rare_rules.pairs import GRADES, HEADS, RARE, ShopPair, count_of_each, draw_pairs, rare_shares, rule_id
from curation.completion import Completion, Step, parse, steps_to_json
from curation.prompt_parts import PromptParts
from storage.grades import TREC_NAMES, Scale
from storage.ids import canonical_json, content_id
from storage.people.keys import SigningKey
from storage.snapshots.cutting import TierSpec, write_snapshot
from storage.snapshots.manifest import read_manifest
from trainers.forgetting.points import read_points
from trainers.grpo.config import GrpoConfig
from trainers.grpo.trainer import GrpoPlan, ModeBalancedTrainer
from trainers.models.ranker import Ranker, load_ranker
from trainers.objectives.mode_balance import Draw, DrawnRows
from trainers.rollouts.completions import Sampling, sample_completions
from trainers.rows.evidence_source import EvidenceSource
from trainers.rows.format_check import check_rows
from trainers.rows.snapshot_rows import load
from trainers.runs.directory import RunDirectory
from trainers.sft.config import SftConfig
from trainers.sft.train import train as train_sft

SCALE = Scale((0, 1, 2, 3), TREC_NAMES[4])
SFT_RARE_MASS, POOL_RARE_MASS = 0.12, 0.01
EXPERTS, POOL = 1, 2  # tiers


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. n_each_…: held-back pairs of a rule, which nobody trains on."""

    n_experts: int = 12_000
    n_pool: int = 12_000
    n_each_rare: int = 60
    n_each_head: int = 75
    n_each_watched: int = 4  # of these the trainer's own alarm sees so many
    n_each_cited: int = 6  # and of so many whole completions are written
    epochs: int = 8
    n_steps: int = 120

    @property
    def quick(self) -> Size:
        """The same in a minute or two: it shows that everything runs, and nothing else."""
        return Size(900, 600, 6, 6, 2, 2, epochs=2, n_steps=4)


# A model of some 270,000 weights; what else is not said is the verb's default.
SFT: Mapping[str, Any] = {
    "tiers": (EXPERTS,), "has_evidence": False, "rationale_rate": 1.0, "grade_balance": 0.0, "batch_size": 64,
    "learning_rate": 2e-3, "max_length": 192, "max_completion_tokens": 24, "tiny_vocabulary": 2500,
    "tiny_hidden_size": 64, "tiny_layers": 2, "tiny_heads": 4, "device": "cpu", "checkpoint_steps": 100,
}  # fmt: skip
GRPO: Mapping[str, Any] = {
    "tiers": (POOL,), "prompts_per_step": 16, "group_size": 8, "prompt_draw": Draw.NATURAL, "prompts_by_rule": 0.0,
    "temperature": 1.0, "top_k": 0, "kl_weight": 0.0, "sft_rows": 32, "alarm_pairs": 1000, "device": "cpu",
    "checkpoint_steps": 50,
}  # fmt: skip
ARMS: Mapping[str, Mapping[str, Any]] = {
    "λ = 0": {"sft_weight": 0.0},
    "λ = .1, balanced": {"sft_weight": 0.1, "sft_draw": Draw.BALANCED},
    "λ = .1, balanced, ¼ of prompts by rule": {
        "sft_weight": 0.1, "sft_draw": Draw.BALANCED, "prompts_by_rule": 0.25,
    },
    "λ = .3, balanced, ¼ of prompts by rule": {
        "sft_weight": 0.3, "sft_draw": Draw.BALANCED, "prompts_by_rule": 0.25,
    },
    "λ = .3, balanced": {"sft_weight": 0.3, "sft_draw": Draw.BALANCED},
    "λ = 1, balanced": {"sft_weight": 1.0, "sft_draw": Draw.BALANCED},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one model on held-back pairs, shares in 0..1. reward: of the pool, the probability of the right grade.

    rare_greedy, rare_sampled (60,): recall of each rare rule by the likeliest grade, and the mean probability of the
    right one. Citations: the share of greedy completions that cite the deciding rule.
    """

    reward: float
    head_recall: float
    rare_greedy: tuple[float, ...]
    rare_sampled: tuple[float, ...]
    rare_citations: float
    head_citations: float

    @property
    def rare_recall(self) -> float:
        """The mean over rare rules of greedy recall."""
        return float(np.mean(self.rare_greedy))


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything of a seed: the snapshot, who decides each of its pairs, and the pairs held back."""

    snapshot: Path
    votes: Mapping[str, Mapping[str, int]]
    rare: Sequence[ShopPair]
    heads: Sequence[ShopPair]
    size: Size


def make_shop(folder: Path, size: Size, *, seed: int) -> Shop:
    """Draw the pairs of a seed and cut the snapshot, or find it there."""
    experts, pool = count_of_each(size.n_experts, SFT_RARE_MASS), count_of_each(size.n_pool, POOL_RARE_MASS)
    held = dict.fromkeys(HEADS, size.n_each_head) | dict.fromkeys(RARE, size.n_each_rare)
    drawn = draw_pairs({rule: experts[rule] + pool[rule] + held[rule] for rule in GRADES}, seed=seed)
    rows: list[dict[str, Any]] = []
    votes: dict[str, Mapping[str, int]] = {}
    back: dict[str, list[ShopPair]] = {}
    for rule, pairs in drawn.items():
        back[rule] = pairs[: held[rule]]
        rest = pairs[held[rule] :]
        parts = ((POOL, "dev", back[rule][: size.n_each_watched]), (EXPERTS, "train", rest[: experts[rule]]))
        for tier, split, some in (*parts, (POOL, "train", rest[experts[rule] :])):
            for pair in some:
                row = _row(pair, tier, split)
                votes[row["pair_id"]] = {rule_id(pair.usual): GRADES[pair.usual], rule_id(pair.rule): pair.grade}
                rows.append(row)
    key = Ed25519PrivateKey.from_private_bytes(sha256(b"rare rules").digest())
    manifest = write_snapshot(
        folder / "snapshots",
        pa.Table.from_pylist(rows),
        [TierSpec(EXPERTS, "experts", "true"), TierSpec(POOL, "pool", "true")],
        scale=SCALE,
        rule_book=[],
        lineage=pa.table({"pair_id": [row["pair_id"] for row in rows]}),
        provenance={"code_version": "benchmark"},
        cutter=SigningKey("benchmark", key.public_key().public_bytes_raw().hex(), key),
        pseudonym="benchmark",
    )
    return Shop(
        folder / "snapshots" / manifest.snapshot_id,
        votes,
        [pair for rule in RARE for pair in back[rule]],
        [pair for rule in HEADS for pair in back[rule]],
        size,
    )


def _row(pair: ShopPair, tier: int, split: str) -> dict[str, Any]:
    cited = rule_id(pair.rule)
    steps = [Step("rules", f"[{cited}]"), Step("verdict", SCALE.name(pair.grade))]
    pair_id = content_id("p", pair.query, pair.title)
    return {
        "tier": tier, "split": split, "pair_id": pair_id, "query_id": content_id("q", pair.query),
        "doc_id": content_id("d", pair.title), "query": pair.query, "title": pair.title, "body": "",
        "fields": canonical_json(dict(pair.fields)), "grade": pair.grade, "steps": steps_to_json(steps),
        "rule_ids": [cited], "judgment_origin": "truth", "source": "homeware", "operator": None, "evidence": "",
    }  # fmt: skip


def run_sft(folder: Path, shop: Shop, *, seed: int, tell: Callable[[str], None]) -> RunDirectory:
    """Train the model every arm starts from, or go on with it; a finished one is left alone."""
    run = RunDirectory(folder / "runs" / f"run_sft{seed}")
    if not is_finished(run):
        train_sft(SftConfig(**SFT, seed=seed, epochs=shop.size.epochs), shop.snapshot, run=run, tell=tell)
    return run


def run_arm(
    folder: Path, shop: Shop, start: RunDirectory, arm: str, *, rate: float, seed: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Reinforce by `train grpo`, or go on with it; return what is kept of it."""
    run = RunDirectory(folder / "runs" / f"run_{sha256(arm.encode()).hexdigest()[:6]}-{seed}-{rate:g}")
    config = GrpoConfig(
        **{**GRPO, **ARMS[arm]}, model=str(start.path), seed=seed, n_steps=shop.size.n_steps, learning_rate=rate,
        alarm_steps=max(1, shop.size.n_steps // 4),
    )  # fmt: skip
    began = time.process_time()
    if not is_finished(run):
        with told_the_truth(shop):
            grpo.train(config, shop.snapshot, start, run=run, tell=tell)
    seconds = time.process_time() - began
    measured = measure(load_ranker(run, device="cpu"), shop)
    metrics = run.read_metrics()
    tail = metrics[-max(1, len(metrics) // 6) :]
    logged = {
        name: float(np.mean([line[name] for line in tail if line.get(name) is not None] or [np.nan]))
        for name in ("reward", "silent_rate", "rewards/valid_citations")
    }
    first = metrics[: max(1, len(metrics) // 6)]
    points = [
        {
            "step": point.step, "reward": point.reward, "alarms": len(point.alarms), "nll_rise": point.nll_rise,
            "citations": point.rewards.get("valid_citations"), "recall": _watched_recall(point.changes),
        }
        for point in read_points(run)
    ]  # fmt: skip
    return {
        "arm": arm, "seed": seed, "rate": rate, "cpu_seconds": round(seconds, 1), **asdict(measured),
        "rare_recall": measured.rare_recall, "logged": logged, "points": points,
        "silent_at_first": float(np.mean([line.get("silent_rate", np.nan) for line in first])),
    }  # fmt: skip


def _watched_recall(changes: Sequence[Any]) -> dict[str, float]:
    """Return the mean recall the trainer's own watch saw, over rare rules and over heads."""
    ids = {"rare": {rule_id(rule) for rule in RARE}, "heads": {rule_id(rule) for rule in HEADS}}
    found = {}
    for name, wanted in ids.items():
        recalls = [one.after for one in changes if one.kind == "rule" and one.name in wanted]
        found[name] = float(np.mean(recalls)) if recalls else float("nan")
    return found


def is_finished(run: RunDirectory) -> bool:
    """Say whether a run has ended well."""
    return (run.path / "run.json").exists() and run.read().get("status") == "finished"


@dataclass(frozen=True, slots=True)
class TrueVotes(EvidenceSource):
    """Which planted rules hold on a pair: what the generator says."""

    truth: Mapping[str, Mapping[str, int]] = None  # type: ignore[assignment]  # a base's field has no default

    def votes(self, pairs: pl.DataFrame) -> list[dict[str, int]]:
        return [dict(self.truth[pair_id]) for pair_id in pairs["pair_id"]]


def told_the_truth(shop: Shop) -> AbstractContextManager[Any]:
    """Let `train grpo` know which planted rules hold, and take its expert rows from tier 1."""

    class ExpertsApart(ModeBalancedTrainer):
        """Prompts are the pool's, drawn as ever; only the expert rows beside them are others."""

        def __init__(self, *, plan: GrpoPlan, config: GrpoConfig, processing_class: Any, **given: Any) -> None:
            super().__init__(plan=plan, config=config, processing_class=processing_class, **given)
            rows = load(shop.snapshot, splits=["train"], tiers=(EXPERTS,), has_evidence=False)["train"]
            experts = check_rows(
                rows, processing_class, plan.scale, max_length=SFT["max_length"],
                max_completion_tokens=SFT["max_completion_tokens"], has_evidence=False,
            )  # fmt: skip
            self._plan = replace(plan, experts=experts.rows)
            self._experts = DrawnRows(
                [list(rules) for rules in rows["rule_ids"]], config.sft_draw, n_rows=config.sft_rows, seed=config.seed
            )

    return patch.multiple(grpo, ModeBalancedTrainer=ExpertsApart, source_of=lambda *_: TrueVotes((), {}, shop.votes))


def measure(ranker: Ranker, shop: Shop) -> Measures:
    """Measure a model on the pairs held back."""
    rare, heads = _probability_of_right(ranker, shop.rare), _probability_of_right(ranker, shop.heads)
    per_rule = rare.sampled.reshape(len(RARE), -1).mean(axis=1)
    recalls = rare.is_right.reshape(len(RARE), -1).mean(axis=1)
    reward = (1 - POOL_RARE_MASS) * heads.sampled.mean() + POOL_RARE_MASS * float(np.dot(rare_shares(), per_rule))
    return Measures(
        float(reward), float(heads.is_right.mean()), tuple(recalls.round(4).tolist()),
        tuple(per_rule.round(4).tolist()), _cited(ranker, shop.rare, shop.size.n_each_rare, shop.size.n_each_cited),
        _cited(ranker, shop.heads, shop.size.n_each_head, shop.size.n_each_cited),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Right:
    """Of n pairs: whether the likeliest grade is right, and the probability of the right one."""

    is_right: Any
    sampled: Any


def _probability_of_right(ranker: Ranker, pairs: Sequence[ShopPair]) -> Right:
    scored = ranker.score([_parts(pair) for pair in pairs], names=[pair.title for pair in pairs])
    truth = np.array([SCALE.position(pair.grade) for pair in pairs])
    return Right(scored.argmax(axis=1) == truth, scored[np.arange(len(pairs)), truth])


def _cited(ranker: Ranker, pairs: Sequence[ShopPair], n_each: int, n_asked: int) -> float:
    """Return the share of greedy completions that cite the deciding rule, of the first `n_asked` pairs of each rule."""
    asked = [pair for at, pair in enumerate(pairs) if at % n_each < n_asked]
    likeliest = Sampling(n_samples=1, temperature=1.0, top_k=1, max_tokens=SFT["max_completion_tokens"])
    n_right = 0
    for start in range(0, len(asked), 128):
        some = asked[start : start + 128]
        prompts = [_parts(pair).render() for pair in some]
        written = sample_completions(ranker.model, ranker.tokenizer, prompts, likeliest, seed=0)
        for pair, (text,) in zip(some, written, strict=True):
            read = parse(text, SCALE)
            n_right += isinstance(read, Completion) and read.rule_ids == (rule_id(pair.rule),)
    return n_right / len(asked)


def _parts(pair: ShopPair) -> PromptParts:
    return PromptParts(pair.query, pair.title, "", pair.fields)


def settings(size: Size, snapshot: Path) -> dict[str, Any]:
    """Return what all records of a folder share."""
    return {
        "size": asdict(size), "sft": {name: str(value) for name, value in SFT.items()},
        "grpo": {name: str(value) for name, value in GRPO.items()}, "snapshot": read_manifest(snapshot).snapshot_id,
    }  # fmt: skip


__all__ = ["ARMS", "Measures", "Shop", "Size", "make_shop", "measure", "rule_id", "run_arm", "run_sft", "settings"]
