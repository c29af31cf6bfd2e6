"""Exports are taken by the trainers they are for: TRL's, and the losses of sentence-transformers, on tiny models."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset
from trl.data_utils import is_conversational, unpair_preference_dataset

from curation.completion import parse
from curation.exports.formats import TABLE_FORMATS, find_formats
from curation.exports.given import Given, given_away
from curation.exports.made import make
from curation.exports.source import open_source
from curation.exports.trl import preference
from curation.exports.writing import new_folder, put_in_place
from storage.snapshots.verify import verify_snapshot
from tests.trainers.conftest import SCALE, SignedSnapshot
from trainers.models.tiny_model import build_model, train_tokenizer

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")


@pytest.fixture
def exported(snapshot: SignedSnapshot, tmp_path: Path) -> Callable[[str], Any]:
    """Export the sample snapshot and load it as anybody would."""

    def load(name: str) -> Any:
        verification = verify_snapshot(snapshot.directory, snapshot.pins, reads_test=False)
        source = open_source(snapshot.directory, verification, tier=None, splits=("train", "dev"), pins=snapshot.pins)
        place = tmp_path / name
        with new_folder(place) as building:
            make(building, source, find_formats(name), store=None, licences={}, keeps_personal=False)
            put_in_place(building, place)
        return load_dataset(str(place), cache_dir=str(tmp_path / "cache"))

    return load


@pytest.fixture
def preferences(snapshot: SignedSnapshot) -> Dataset:
    """Edits of twenty rows: the settled grade with reasons chosen over another."""
    verification = verify_snapshot(snapshot.directory, snapshot.pins, reads_test=False)
    source = open_source(snapshot.directory, verification, tier=None, splits=("train",), pins=snapshot.pins)
    (asked,) = find_formats("preference")
    rows = source.rows(asked.reads).head(20)  # type: ignore[union-attr]
    given: Given = given_away(source)
    given.preferences = rows.select("pair_id").with_columns(
        chosen=rows["grade"].map_elements(
            lambda grade: json.dumps({"grade": grade, "steps": [["verdict", "so it is"]]}), return_dtype=str
        ),
        rejected=rows["grade"].map_elements(
            lambda grade: json.dumps({"grade": (grade + 1) % 3, "steps": [["verdict", "no"]]}), return_dtype=str
        ),
    )
    return Dataset.from_dict(preference(rows, given).to_dict(as_series=False))


def test_every_type_is_plain_text_to_trl(exported: Callable[[str], Any], preferences: Dataset) -> None:
    for name in ("prompt-completion", "prompt-only"):
        assert not is_conversational(exported(name)["train"][0])
    assert not is_conversational(preferences[0]) and len(preferences) == 20
    assert len(unpair_preference_dataset(preferences)) == 40
    assert parse(preferences[0]["chosen"], SCALE) != parse(preferences[0]["rejected"], SCALE)


def test_every_table_of_a_snapshot_loads_with_the_columns_it_promises(exported: Callable[[str], Any]) -> None:
    for one in TABLE_FORMATS:
        if one.acts is None:
            assert exported(one.name)["train"].column_names == one.schema.names


@pytest.mark.slow
def test_sft_and_dpo_of_trl_train_on_exports(
    exported: Callable[[str], Any], preferences: Dataset, tmp_path: Path
) -> None:
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    rows = exported("prompt-completion")["train"]
    tokenizer = train_tokenizer(
        [p + c for p, c in zip(rows["prompt"], rows["completion"], strict=True)], vocab_size=400
    )
    model, reference = (
        build_model(tokenizer, hidden_size=32, n_layers=1, n_heads=2, max_length=512, seed=0) for _ in range(2)
    )
    settings: dict[str, Any] = {
        "max_steps": 2, "per_device_train_batch_size": 2, "report_to": [], "use_cpu": True, "bf16": False,
        "save_strategy": "no",
    }  # fmt: skip
    sft = SFTTrainer(
        model, args=SFTConfig(str(tmp_path / "sft"), **settings), train_dataset=rows, processing_class=tokenizer
    )
    assert sft.train().training_loss > 0
    dpo = DPOTrainer(
        model,
        ref_model=reference,
        args=DPOConfig(str(tmp_path / "dpo"), **settings),
        train_dataset=preferences,
        processing_class=tokenizer,
    )
    assert dpo.train().training_loss > 0


@pytest.mark.parametrize(
    ("name", "loss_name", "n_labels"),
    [
        ("cross-encoder", "BinaryCrossEntropyLoss", 1),
        ("cross-encoder-class", "CrossEntropyLoss", 3),
        ("listwise", "LambdaLoss", 1),
        ("listwise", "ListNetLoss", 1),
    ],
)
def test_cross_encoders_of_sentence_transformers_train_on_exports(
    exported: Callable[[str], Any], tmp_path: Path, name: str, loss_name: str, n_labels: int
) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    from sentence_transformers.cross_encoder import losses

    rows = exported(name)["train"].select(range(8))
    model = tiny_cross_encoder(tmp_path / "model", rows["query"], n_labels=n_labels)
    trainer = sentence_transformers.CrossEncoderTrainer(
        model=model,
        args=sentence_transformers.CrossEncoderTrainingArguments(
            str(tmp_path / "run"), max_steps=2, per_device_train_batch_size=4, report_to=[], use_cpu=True,
            save_strategy="no",
        ),
        train_dataset=rows,
        loss=getattr(losses, loss_name)(model),
    )  # fmt: skip
    assert trainer.train().training_loss > 0


def tiny_cross_encoder(folder: Path, texts: list[str], *, n_labels: int) -> Any:
    """Return a CrossEncoder of one small layer over a word-piece vocabulary of the texts."""
    from sentence_transformers import CrossEncoder
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    folder.mkdir()
    words = sorted({word for text in texts for word in text.split()})
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=128, num_labels=n_labels,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    return CrossEncoder(str(folder), num_labels=n_labels, max_length=64, device="cpu")
