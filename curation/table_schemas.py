"""What `pool`, `screen` and `tier --schema` print: the JSON Schemas of `[pool]`, `[screening]` and `[[tiers]]`.

They say of single keys what the code that reads the tables checks; how keys go together, that files exist and that
predicates can be run is told by that code alone.
"""

from __future__ import annotations

from curation.pool_config import PoolConfig
from curation.screening_config import LOWEST_SIMILARITY, ScreeningConfig
from curation.tiers import TIER_COLUMNS
from storage.config_schema import Schema, number, table, text, whole_number


def pool_schema() -> Schema:
    """Return the schema of `[pool]`."""
    default = PoolConfig()
    return table(
        "pool",
        "How many docs of each kind a query gets, and where they are looked for.",
        {
            "top": whole_number("The best docs by BM25 a query gets.", default.top, minimum=0),
            "strata": {
                "type": "array", "items": {"type": "integer", "minimum": 1}, "default": list(default.strata),
                "description": "Last ranks of the ranges below the best, rising: 30, 100 stands for 11–30 and 31–100.",
            },
            "per_stratum": whole_number("Docs drawn from each of these ranges.", default.per_stratum, minimum=0),
            "hard": whole_number("Hard negatives a query gets.", default.hard, minimum=0),
            "hard_depth": whole_number("Down to which rank they are looked for.", default.hard_depth, minimum=0),
            "near_duplicate": number(
                "A doc that shares this share of its words with one a query has is no news to it (Jaccard).",
                default.near_duplicate, exclusiveMinimum=0, maximum=1,
            ),
        },
    )  # fmt: skip


def screening_schema() -> Schema:
    """Return the schema of `[screening]`."""
    default = ScreeningConfig()
    return table(
        "screening",
        "Thresholds of the screens.",
        {
            "near_duplicate": number(
                "Candidates that share this share of their words are near duplicates (Jaccard).",
                default.near_duplicate, minimum=LOWEST_SIMILARITY, maximum=1,
            ),
            "leak": number(
                "A train query this like a dev or test query leaks (Jaccard).",
                default.leak, minimum=LOWEST_SIMILARITY, maximum=1,
            ),
            "copied_prompt": whole_number(
                "Words in a row that a rationale may share with the prompt.", default.copied_prompt, minimum=4
            ),
            "boilerplate": number(
                "Share of a rationale's runs of four words that may stand in other pairs' rationales.",
                default.boilerplate, minimum=0.1, maximum=1,
            ),
            "boilerplate_repeats": whole_number(
                "Rationales a run of words must stand in to count as worn.", default.boilerplate_repeats, minimum=4
            ),
            "max_tokens": whole_number("Tokens a row may have.", default.max_tokens, minimum=4),
            "tokenizer": text(
                "A tokenizer.json, or a folder with one, to count tokens by; left out: by the words.", minLength=1
            ),
        },
    )  # fmt: skip


def tiers_schema() -> Schema:
    """Return the schema of `[[tiers]]`, the balance each may ask of its train rows included."""
    columns = ", ".join(TIER_COLUMNS)
    tier = table(
        "tier",
        "A stage of the curriculum; a row belongs to the highest tier whose predicate it meets.",
        {
            "tier": whole_number("Its number; 1 is trained first.", minimum=1),
            "name": text("A name of small letters, digits and underscores.", pattern="^[a-z][a-z0-9_]*$"),
            "where": text(f"A predicate in SQL over {columns}."),
            "balance": text("Level the train rows by this; grade is all there is.", enum=["grade"]),
            "max_cv": number("The coefficient of variation the grade counts are levelled to.", minimum=0),
            "max_tokens": whole_number("Tokens the train rows may have in all.", minimum=1),
            "max_per_source": whole_number("Train rows a source may give at most.", minimum=1),
            "slices": {
                "type": "object", "additionalProperties": {"type": "string"},
                "description": "Names and predicates of slices, each of which is to have min_share of the train rows.",
            },
            "min_share": number("The share of the train rows each slice is to have.", minimum=1e-6, maximum=1),
        },
        required=("tier", "name", "where"),
    )  # fmt: skip
    return {
        "title": "tiers", "type": "array", "items": tier,
        "description": "The curriculum's tiers, each under a line [[tiers]]; without any the three default ones hold.",
    }  # fmt: skip
