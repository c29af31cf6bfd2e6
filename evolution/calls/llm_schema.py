"""What `--schema` of the verbs that ask a server prints: the JSON Schema of `[llm]`.

It says of single keys what `llm_config` checks; which key may go to which host is told there alone.
"""

from __future__ import annotations

from evolution.calls.llm_config import DEFAULT_BASE_URL, ROLES, LlmConfig
from storage.config_schema import Schema, number, table, text, truth, whole_number


def llm_schema() -> Schema:
    """Return the schema of `[llm]`, its tables of roles and prices included."""
    keys = _keys()
    role = table("role", "Keys of one role over the common ones.", keys)
    price = table(
        "price",
        "Money a million tokens of a model.",
        {
            "prompt": number("Of prompts.", minimum=0),
            "completion": number("Of completions.", minimum=0),
            "batch_rate": number("What a batch costs of it.", 1.0, minimum=0),
        },
        required=("prompt", "completion"),
    )
    return table(
        "llm",
        "Which server, model and key answers; keys themselves stay in the environment.",
        {
            **keys,
            "roles": table("roles", "Other servers or models for a role.", dict.fromkeys(ROLES, role)),
            "prices": {"type": "object", "additionalProperties": price, "description": "Prices by model."},
        },
    )


def _keys() -> dict[str, Schema]:
    default = LlmConfig(model=None)
    return {
        "base_url": text("The address of an OpenAI-compatible server.", DEFAULT_BASE_URL, pattern="^https?://."),
        "model": text("The model's name there."),
        "key_variable": text("The environment variable that holds its key; empty where it takes none."),
        "timeout_seconds": number("How long a reply is waited for.", default.timeout_seconds, exclusiveMinimum=0),
        "max_retries": whole_number("How often a call that failed is made again.", default.max_retries, minimum=0),
        "temperature": number("Of the sampling.", default.temperature, minimum=0),
        "max_reply_tokens": whole_number(
            "Tokens of a reply at most; 0: no limit.", default.max_reply_tokens, minimum=0
        ),
        "seed": whole_number("Of the sampling, where the server takes one."),
        "logprobs": truth("Ask for log probabilities, of which confidence is made.", default.logprobs),
    }
