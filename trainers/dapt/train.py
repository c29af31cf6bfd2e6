"""`afrel train dapt`: a model reads the shop's own language before it learns to grade. Read `train` top down.

    afrel -w shop --as eli train dapt --model tiny --config dapt.toml
    afrel -w shop --as eli train sft --model run_4c1f09ab32

It reads queries and docs of the snapshot's train rows and, where the configuration names one, a file of texts, of which
lines that say a dev or test query are left out. The same configuration, snapshot and file are the same run: finished,
there is nothing to do; killed, it goes on from its last whole checkpoint over the same rows in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PreTrainedModel
from trl import SFTConfig as TrlConfig

from curation.text import doc_text
from storage.errors import UserError
from storage.ids import digest
from storage.snapshots.manifest import Manifest, read_manifest
from trainers.dapt.config import DaptConfig
from trainers.dapt.trainer import Perplexity, TextRecorder, TextTrainer, measure_perplexity
from trainers.evaluation.leaks import held_back_queries
from trainers.launching.processes import processes, share_of_batch
from trainers.models.making import is_checkpointed, lora_config, make_model, make_tokenizer
from trainers.models.pretrained import choose_device, quieten_libraries
from trainers.models.starting_point import find_start, start_content
from trainers.order.planned_order import plan_order
from trainers.preflight.boundaries import require_boundaries
from trainers.preflight.trial import Load, longest
from trainers.rows.encoding import EncodedRow
from trainers.rows.format_check import require_end_of_text
from trainers.rows.packing import FILLER, PackedPadding, PackedRow, cut_document, join, pack
from trainers.rows.snapshot_rows import load
from trainers.rows.text_file import CheckedTexts, leave_out_leaks, read_text_file
from trainers.runs.directory import RunDirectory, started_from
from trainers.runs.frame import close_record, is_bfloat16, planned_settings, train_to_the_end
from trainers.runs.record import start_record


@dataclass(frozen=True, slots=True)
class DaptResult:
    """How a run ended. n_rows: texts learnt from, n_held_back: texts that perplexity was measured on.

    n_tokens, n_held_back_tokens: that are predicted in one pass. texts: of the text file, None without one.
    """

    run_id: str
    n_rows: int
    n_held_back: int
    n_packed_rows: int
    n_tokens: int
    n_held_back_tokens: int
    perplexity_before: float
    perplexity_after: float
    texts: dict[str, Any] | None
    n_steps: int
    seconds: float
    resumed_from: int


def run_key(config: DaptConfig, manifest: Manifest, start: RunDirectory | None = None) -> str:
    """Return what names a run: method, configuration, snapshot, what the text file holds, the weights it goes on from.

    UserError when the text file cannot be read.
    """
    settings = config.deciding()
    if config.text_file is not None:
        settings["text_file"] = read_text_file(Path(config.text_file)).sha256
    if start is not None:
        settings["model"] = start.read().get("model_files")
    return digest({"method": "dapt", "config": settings, "manifest": manifest.digest})


def train(config: DaptConfig, snapshot: Path, *, run: RunDirectory, tell: Callable[[str], None] = print) -> DaptResult:
    """Train on the texts of a snapshot that was verified, into a run directory; go on where it was left.

    UserError for texts that are none, a file that leaks whole, a model that cannot carry the rows, a changed plan, and
    a NaN.
    """
    started = time.monotonic()
    quieten_libraries()
    manifest = read_manifest(snapshot)
    device = choose_device(config.device)
    rows = load(snapshot, splits=["train"], tiers=config.tiers)["train"]
    checked = None
    if config.text_file is not None:
        file, queries = read_text_file(Path(config.text_file)), held_back_queries(snapshot)
        tell(f"looking for {len(queries)} dev and test queries in {len(file.lines)} lines of {file.path}")
        checked = leave_out_leaks(file, queries)
    texts = gather_texts(rows, () if checked is None else checked.texts)
    learnt, held_back = hold_back(texts, rate=config.held_back_rate, seed=config.seed)
    tell(_told(len(learnt), len(held_back), checked))
    start = find_start(run.path.parent, config.model)
    begun = start_content(start)
    named = config if start is None else config.model_copy(update={"model": str(start.model_dir)})
    # what `train sft` will write is among what a tiny tokenizer is made of, so that it needs no more tokens for it
    tokenizer = make_tokenizer(named, [*texts, *rows["prompt"], *rows["completion"]])
    require_end_of_text(tokenizer)
    packed, measured = (_encode(part, tokenizer, config) for part in (learnt, held_back))
    order = plan_order(len(packed), epochs=config.epochs, seed=config.seed)
    checkpoint = start_record(
        run,
        method="dapt",
        run_key=run_key(config, manifest, start),
        plan_digest=digest([[row.input_ids for row in packed], order]),
        config=config.model_dump(mode="json"),
        manifest=manifest,
        checked=None,
        n_rows=len(learnt),
        n_held_back=len(held_back),
        texts=None if checked is None else checked.to_content(),
        **begun,
    )
    first_step = started_from(checkpoint)
    model = make_model(named, tokenizer, device)
    if config.packing and len(packed[0].input_ids) > 2:
        require_boundaries(model, _halves(packed[0]), pad_token_id=tokenizer.pad_token_id)

    def perplexity(asked: PreTrainedModel) -> Perplexity:
        return measure_perplexity(asked, measured, pad_token_id=tokenizer.pad_token_id, batch_size=config.batch_size)

    before = perplexity(model)
    tell(f"perplexity {before.value:.1f} on {before.n_tokens} tokens held back; reading {len(packed)} rows")
    trainer = TextTrainer(
        model=model,
        args=TrlConfig(
            weight_decay=config.weight_decay, gradient_checkpointing=is_checkpointed(config, device),
            remove_unused_columns=False, dataset_kwargs={"skip_prepare_dataset": True},
            **planned_settings(config, run.checkpoints_dir, n_visits=len(order), device=device),
        ),
        train_dataset=Dataset.from_list([asdict(row) for row in (*packed, FILLER)]),
        data_collator=PackedPadding(tokenizer.pad_token_id),
        processing_class=tokenizer,
        peft_config=lora_config(config.lora_rank),
        callbacks=[TextRecorder(run, epochs=config.epochs, started_from=first_step, tell=tell)],
        order=order,
        filler=len(packed),
    )  # fmt: skip
    trained = train_to_the_end(
        trainer, tokenizer, run, load=step_load(packed, config, device), checkpoint=checkpoint, source=config.model,
        tell=tell,
    )  # fmt: skip
    after = perplexity(trained)
    tell(f"perplexity {before.value:.1f} → {after.value:.1f}")
    result = DaptResult(
        run.run_id, len(learnt), len(held_back), len(packed), sum(row.n_targets for row in packed), before.n_tokens,
        round(before.value, 3), round(after.value, 3), None if checked is None else checked.to_content(),
        trainer.state.global_step, round(time.monotonic() - started, 1), first_step,
    )  # fmt: skip
    close_record(run, result)
    return result


def gather_texts(rows: Dataset, more: Iterable[str]) -> list[str]:
    """Return the queries and docs of train rows, then more texts: each once, blank ones left out, in their order."""
    docs = (doc_text(*each) for each in zip(rows["title"], rows["body"], rows["fields"], strict=True))
    stripped = (text.strip() for text in (*rows["query"], *docs, *more))
    return [text for text in dict.fromkeys(stripped) if text]


def hold_back(texts: Sequence[str], *, rate: float, seed: int) -> tuple[list[str], list[str]]:
    """Return the texts to learn from and a share drawn by the seed to measure on, one or more of each, in their order.

    UserError for fewer than two texts.
    """
    if len(texts) < 2:
        raise UserError(
            f"the snapshot's train rows and the text file give {len(texts)} texts; two are the least there is to learn "
            "from and measure on. Name a text_file in the --config file, or cut a larger snapshot: afrel snapshot"
        )
    n = min(max(1, round(rate * len(texts))), len(texts) - 1)
    drawn = set(np.random.default_rng(seed).choice(len(texts), size=n, replace=False).tolist())
    return (
        [text for at, text in enumerate(texts) if at not in drawn],
        [text for at, text in enumerate(texts) if at in drawn],
    )


def step_load(rows: Sequence[PackedRow], config: DaptConfig, device: str) -> Load:
    """Return the longest micro-batch, and how to make it lighter."""
    at_once = config.batch_size * config.accumulation_steps

    def lighter(n: int) -> str:
        size = n * processes().n
        return f"Set batch_size = {size} and accumulation_steps = {-(-at_once // size)} in the --config file"

    encoded = [EncodedRow(row.input_ids[:1], row.input_ids[1:], is_completion_cut=False) for row in rows]
    return Load(
        longest(encoded, share_of_batch(config.batch_size)), lighter, is_bfloat16=is_bfloat16(config, device),
        is_checkpointed=is_checkpointed(config, device),
    )  # fmt: skip


def _encode(texts: Sequence[str], tokenizer: Any, config: DaptConfig) -> list[PackedRow]:
    """Return texts as rows of tokens: packed, or each piece a row of its own."""
    pieces = [
        piece
        for ids in tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        for piece in cut_document(ids, eos_token_id=tokenizer.eos_token_id, max_length=config.max_length)
    ]
    if not pieces:
        raise UserError(
            f"the tokenizer of {config.model} makes no token of {len(texts)} texts, such as {texts[0][:80]!r}. Name a "
            "text_file with more in it, raise held_back_rate, or choose another --model"
        )
    return pack(pieces, max_length=config.max_length) if config.packing else [join([piece]) for piece in pieces]


def _halves(row: PackedRow) -> list[list[int]]:
    """Return the halves of a row of three tokens or more: two pieces to be read one behind the other."""
    middle = len(row.input_ids) // 2
    return [row.input_ids[:middle], row.input_ids[middle:]]


def _told(n_learnt: int, n_held_back: int, checked: CheckedTexts | None) -> str:
    told = f"{n_learnt} texts to learn from, {n_held_back} held back"
    if checked is not None and checked.leaking:
        lines = ", ".join(map(str, checked.leaking[:5])) + (" …" if len(checked.leaking) > 5 else "")
        told += (
            f"; {len(checked.leaking)} lines of {checked.file.path} say a dev or test query and are left out: {lines}"
        )
    return told
