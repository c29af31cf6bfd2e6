"""Load a causal language model and its tokenizer from a Hugging Face id or a folder.

`trust_remote_code` is never set, and only safetensors are read: neither a model nor its tokenizer can bring code.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from storage.errors import UserError


def quieten_libraries() -> None:
    """Keep progress bars and advice of the libraries off the terminal; errors stay."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers\..*")


def load_tokenizer(model: str) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a model; one without a pad token pads with its end-of-text token."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(_cannot_load("tokenizer", model, error)) from error
    # A query that says [SEP] or [INST] says those letters. No prompt of ours holds a special token.
    tokenizer.split_special_tokens = True
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_model(model: str | Path, *, device: str) -> PreTrainedModel:
    """Return the model in float32 on a device, in evaluation mode."""
    quieten_libraries()
    try:
        loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
            str(model), trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError) as error:
        raise UserError(_cannot_load("model", str(model), error)) from error
    placed = moved(loaded, device)
    placed.eval()
    return placed


def moved(model: PreTrainedModel, device: str) -> PreTrainedModel:
    """Return a model on a device."""
    torch.nn.Module.to(model, device)  # transformers' own `to` hides the types of this one
    return model


def choose_device(wanted: str) -> str:
    """Return 'cpu' or 'cuda' for 'auto', 'cpu' or 'cuda'; UserError when CUDA is wanted and absent."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError('device = "cuda", but this machine has none. Set device = "cpu" or leave it out')
    return wanted


def _cannot_load(what: str, model: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return (
        f"the {what} of --model {model} cannot be loaded: {reason}. "
        "Give a Hugging Face id, a folder with safetensors, or: --model tiny"
    )
