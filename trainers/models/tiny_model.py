"""`--model tiny`: a Qwen3 from a config, with a tokenizer trained on the snapshot's own text.

Made for a laptop: it trains in minutes on two cores and needs no network. The fixed parts of the prompt are one token
each, and so is each citation of a rule in the texts: an id is a hash, which by its signs would take half of a
rationale. Digits stand alone, so a pair costs few tokens and a grade is one. Small models overfit fast: two or three
epochs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from curation.completion import CITATION, render_prompt

PAD, EOS = "<pad>", "<eos>"
_HOLE = "□"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE: any text is encoded, nothing is unknown. The same texts give the same tokenizer."""
    cited: set[str] = set()

    def without_citations() -> Iterator[str]:
        for text in texts:
            cited.update(found[0] for found in CITATION.finditer(text))
            yield CITATION.sub("", text)

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r" ?\d"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=3,
        special_tokens=[PAD, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(without_citations(), trainer)
    pieces = [*prompt_pieces(), *sorted(cited)]
    tokenizer.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in pieces])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=EOS, clean_up_tokenization_spaces=False
    )


def prompt_pieces() -> list[str]:
    """Return the fixed stretches of a prompt, the tags and the cue. No text of a query or doc can contain one."""
    texts = [render_prompt(_HOLE, _HOLE, evidence=_HOLE), render_prompt(_HOLE, _HOLE)]
    return list(dict.fromkeys(piece for text in texts for piece in text.split(_HOLE)))


def build_model(
    tokenizer: PreTrainedTokenizerBase, *, hidden_size: int, n_layers: int, n_heads: int, max_length: int, seed: int
) -> Qwen3ForCausalLM:
    """Return a randomly initialised Qwen3 on the CPU, float32, its input and output embeddings tied."""
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        intermediate_size=3 * hidden_size,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        num_key_value_heads=n_heads,
        head_dim=hidden_size // n_heads,
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
        dtype="float32",
    )
    return Qwen3ForCausalLM(config)
