"""A tiny chat model that answers as the model-free providers do: enough to have a real server say something usable.

Its tokenizer and weights are made here, from nothing. In a few minutes of two cores it learns, for the requests of
`afrel label`, the grade that `lexical` gives, with reasons that are the same for each grade; and for those of `afrel
mine --from disagreements`, one of a few rules that `lexical` proposed. Its chat template leaves the system message out:
that is the same for all requests of a kind, and three quarters of their length. So it follows no instruction, and what
it says is worth nothing; that it says it in our format is all that is asked of it.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from evolution.calls.llm import Message
from evolution.labelling.lexical import LexicalLLM
from evolution.labelling.run import LabelPlan, asks_of, label_work
from evolution.prompts import load_prompt
from evolution.rules.book import read_judged
from evolution.rules.disagreements import cluster_disagreements
from evolution.rules.materials import gather_materials
from evolution.rules.requests import rule_request
from storage.grades import Scale
from storage.session import read_scale
from storage.store import Store
from trainers.models.tiny_model import build_model, train_tokenizer

ROLES = ("user", "assistant")
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
HIDDEN, LAYERS, HEADS, VOCABULARY, MAX_LENGTH, LONGEST = 128, 2, 2, 3000, 4096, 2600
BATCH, BATCH_TOKENS, LEARNING_RATE, SEED = 8, 3000, 2e-3, 0
N_RULES = 3


@dataclass(frozen=True, slots=True)
class Example:
    """A request's messages and the reply to learn."""

    messages: tuple[Message, ...]
    reply: str


def label_examples(store: Store, n: int) -> list[Example]:
    """Return the grades `lexical` would give pairs it has not labelled yet, with reasons of the simplest kind."""
    plan = LabelPlan(read_scale(store), None, "lexical", {}, limit=n, concurrency=1, spool_dir=Path("unused"))
    work, llm = label_work(store, plan), LexicalLLM()
    asks = asks_of(work.materials(store, plan), work.form(plan))
    graded = [(ask.request, json.loads(llm.complete(ask.request).text or "{}")["grade"]) for ask in asks]
    return [Example(request.messages, label_reply(grade, plan.scale)) for request, grade in graded]


def label_reply(grade: int, scale: Scale) -> str:
    """Return a reply to a labelling request that says no more than its grade."""
    reply = {
        "grade": grade,
        "intent": "what is asked",
        "document": "what is offered",
        "category": None,
        "attributes": "all met" if grade == scale.highest else "some missing",
        "rules": [],
        "verdict": scale.name(grade),
        "confidence": 0.5,
    }
    return json.dumps(reply)


def mining_examples(store: Store, proposals: Sequence[Mapping[str, Any]], max_clusters: int) -> list[Example]:
    """Return requests for rules, each with one of the proposals made before: the form is to be learnt, not the rule."""
    judged, found = read_judged(store, "all"), store.frame("train_disagreements")
    texts = store.frame("train_pairs", judgments="all").select("pair_id", "query", "title")
    clusters = cluster_disagreements(found, max_clusters=max_clusters).clusters
    learnt = judged.join(texts, on="pair_id", how="left")
    materials = gather_materials(clusters, learnt, votes={}, scale=read_scale(store))
    instruction = load_prompt("instruction").text
    requests = [rule_request(one, instruction=instruction, model="tiny", parameters={}, seed=None) for one in materials]
    said = [
        json.dumps({"text": one["text"], "condition": one["condition"], "grade": one["grade"]}, ensure_ascii=False)
        for one in sorted(proposals, key=lambda one: len(one["condition"]))
        if one["condition"]
    ]
    replies = cycle(said[:N_RULES])
    return [Example(request.messages, reply) for request, reply in zip(requests, replies, strict=False)]


def chat_text(messages: Sequence[Message]) -> str:
    """Return messages as the template writes them, up to where the reply begins."""
    shown = (one for one in messages if one.role != "system")
    return "".join(f"<|{one.role}|>\n{one.content}\n" for one in shown) + "<|assistant|>\n"


def make_tokenizer(examples: Sequence[Example]) -> PreTrainedTokenizerBase:
    """Train a tokenizer on the examples and give it the template."""
    texts = [chat_text(one.messages) + one.reply for one in examples]
    tokenizer = train_tokenizer(texts, vocab_size=VOCABULARY)
    tokenizer.add_tokens([AddedToken(f"<|{role}|>\n", normalized=False, special=False) for role in ROLES])
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def train_chat_model(examples: Sequence[Example], folder: Path, *, seconds: float) -> float:
    """Train for so long and save; return the last mean loss a reply token, in nats."""
    tokenizer = make_tokenizer(examples)
    model = build_model(tokenizer, hidden_size=HIDDEN, n_layers=LAYERS, n_heads=HEADS, max_length=MAX_LENGTH, seed=SEED)
    rows = [
        (tokenizer(chat_text(one.messages))["input_ids"], [*tokenizer(one.reply)["input_ids"], tokenizer.eos_token_id])
        for one in examples
    ]
    rows = sorted((row for row in rows if _length(row) <= LONGEST), key=_length)
    told = f"{len(rows)} of {len(examples)} rows, of {_length(rows[len(rows) // 2])} tokens, the longest"
    print(f"{told} {_length(rows[-1])}", file=sys.stderr, flush=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    chance, started, losses, step = random.Random(SEED), time.monotonic(), [0.0], 0
    model.train()
    while (gone := time.monotonic() - started) < seconds:
        rate = LEARNING_RATE * min(1.0, (step + 1) / 20, max(0.02, 1.2 * (1 - gone / seconds)))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = _loss(model, tokenizer, _batch(rows, chance))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        losses.append(float(loss.detach()))
        if step % 25 == 0:
            recent = sum(losses[-25:]) / 25
            print(f"step {step}, {recent:.3f} nats a token, {gone:.0f} s", file=sys.stderr, flush=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    config = folder / "tokenizer_config.json"
    named = json.loads(config.read_text(encoding="utf-8"))
    named["tokenizer_class"] = "PreTrainedTokenizerFast"  # the name that every version of transformers knows
    config.write_text(json.dumps(named), encoding="utf-8")
    print(f"{step} steps of up to {BATCH} rows, {sum(map(torch.numel, model.parameters())):,} weights", file=sys.stderr)
    return sum(losses[-25:]) / len(losses[-25:])


Row = tuple[list[int], list[int]]


def _length(row: Row) -> int:
    return len(row[0]) + len(row[1])


def _batch(rows: Sequence[Row], chance: random.Random) -> Sequence[Row]:
    """Return neighbours in length, at most as many tokens of them as a step may take."""
    last = chance.randrange(len(rows))
    n = max(1, min(BATCH, BATCH_TOKENS // _length(rows[last])))
    return rows[max(0, last + 1 - n) : last + 1]


def _loss(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> torch.Tensor:
    """Return the mean cross-entropy over reply tokens, padded on the right."""
    longest = max(len(prompt) + len(reply) for prompt, reply in rows)
    ids = torch.full((len(rows), longest), tokenizer.pad_token_id)
    targets = torch.full((len(rows), longest), -100)
    for at, (prompt, reply) in enumerate(rows):
        whole = torch.tensor([*prompt, *reply])
        ids[at, : len(whole)] = whole
        targets[at, len(prompt) - 1 : len(whole) - 1] = whole[len(prompt) :]
    columns = (targets != -100).any(dim=0).nonzero().squeeze(1)
    logits = model(input_ids=ids, logits_to_keep=columns, use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets[:, columns].flatten())
