"""What a seed lacks and the questions of a curator need: features, second answers, repeated candidates, calls.

Every row follows from its number, so that filling twice appends nothing the second time. A seeded workspace without
these is just as sound; only `afrel snapshot` refuses it, because judged pairs have no features there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import store_rows  # noqa: E402
from benchmarks.load.seed import CHUNK, Filled, append_counted, chunks  # noqa: E402
from benchmarks.store_rows import Numbers, Sizes, Texts, account_names, ids  # noqa: E402
from storage.store import Store  # noqa: E402

AFTER_SEED = np.uint64(1 << 34)  # beyond any row of a seed, before any of a writer under load
REPEATED_RATE = 200  # one pair in so many has two candidates that say the same
DISPUTED_RATE = 10  # one second answer of so many disputes the first

# Columns of pair_features by type.
_INTEGERS = (
    "n_query_terms n_doc_terms n_title_characters n_title_parts n_negated_present n_query_numbers n_number_matches "
    "n_number_conflicts n_attribute_matches n_attribute_conflicts"
)
_SHARES = (
    "term_overlap title_overlap body_overlap phrase_overlap gram_overlap longest_match_rate match_position length_ratio"
)
_BOOLEANS = "is_cjk_query has_negation has_brand_match"
_LISTS = "query_terms missing_terms query_attributes doc_attributes matched_fields conflicting_fields"


def fill_up(store: Store, sizes: Sizes) -> dict[str, Filled]:
    """Append all of it; return what each table's appends took."""
    texts = Texts(seed=12)
    tables: list[tuple[str, int, Callable[[Numbers], dict[str, pa.Table]]]] = [
        ("pair_features", sizes.n_judgments, lambda n: {"pair_features": pair_features(n)}),
        ("llm_calls", sizes.n_judgments, lambda n: {"llm_calls": llm_calls(texts, n)}),
        ("responses", sizes.n_judgments // 2, lambda n: {"responses": second_answers(sizes, n)}),
        ("judgments", sizes.n_judgments // (2 * DISPUTED_RATE), lambda n: {"judgments": decisions(sizes, n)}),
        ("candidates", n_repeated(sizes), lambda n: repeated_candidates(texts, sizes, n)),
    ]
    filled = {}
    for table, n_rows, rows_of in tables:
        one = filled[table] = Filled()
        for numbers in chunks(n_rows, CHUNK):
            append_counted(store, rows_of(numbers), counted=table, filled=one)
    return filled


def n_repeated(sizes: Sizes) -> int:
    """Return how many pairs get two candidates that say the same."""
    return sizes.n_candidates // REPEATED_RATE


def pair_features(numbers: Numbers) -> pa.Table:
    """Features of pairs, drawn and not computed: of the right types and about the size of computed ones."""
    n, rng = len(numbers), np.random.default_rng(int(numbers[0]))
    columns: dict[str, object] = {"pair_id": ids("p", numbers)}
    columns |= {name: pa.array(rng.integers(0, 4, n, dtype=np.int32)) for name in _INTEGERS.split()}
    columns |= {name: pa.array(rng.random(n)) for name in _SHARES.split()}
    columns |= {name: pa.array(rng.random(n) < 0.1) for name in _BOOLEANS.split()}
    words = pa.array(["brand", "colour", "grey", "size", "leather", "wool", "soft", "cm"])
    for name in _LISTS.split():
        offsets = np.concatenate(([0], np.cumsum(rng.integers(0, 4, n)))).astype(np.int32)
        values = words.take(pa.array(rng.integers(0, len(words), int(offsets[-1]))))
        columns[name] = pa.ListArray.from_arrays(pa.array(offsets), values)
    return _stamped(numbers, columns)


def llm_calls(texts: Texts, numbers: Numbers) -> pa.Table:
    """The exchanges that the first candidates name as theirs."""
    made = store_rows.llm_calls(texts, numbers)
    return made.set_column(0, "llm_call_id", ids("l", numbers))


def second_answers(sizes: Sizes, numbers: Numbers) -> pa.Table:
    """Another account's answer on each of these judged pairs; one of ten says another grade than the first."""
    first = store_rows.responses(sizes, numbers)
    names = pa.array(account_names(sizes.n_accounts))
    accounts = names.take(pa.array(np.asarray((numbers + np.uint64(1)) % np.uint64(sizes.n_accounts), np.int64)))
    shift = np.asarray(numbers % np.uint64(DISPUTED_RATE) == 0, np.int32)
    grades = pa.array((first["grade"].to_numpy() + shift) % store_rows.N_GRADES, pa.int32())
    replaced = {
        "response_id": ids("a", numbers + AFTER_SEED),
        "account": accounts,
        "grade": grades,
        "sequence": pa.array(numbers + AFTER_SEED, pa.int64()),
    }
    for name, column in replaced.items():
        first = first.set_column(first.schema.get_field_index(name), name, column)
    return first


def decisions(sizes: Sizes, numbers: Numbers) -> pa.Table:
    """An adjudicator's word on each pair whose second answer says another grade, or no snapshot of it is cut."""
    decided = store_rows.judgments(sizes, numbers * np.uint64(DISPUTED_RATE))
    replaced = {
        "judgment_id": ids("j", numbers + AFTER_SEED),
        "origin": pa.repeat(pa.scalar("adjudicated"), len(numbers)),
    }
    for name, column in replaced.items():
        decided = decided.set_column(decided.schema.get_field_index(name), name, column)
    return decided


def repeated_candidates(texts: Texts, sizes: Sizes, numbers: Numbers) -> dict[str, pa.Table]:
    """Two candidates a number, on a pair nobody answered, that say the same; the second is set aside, as screens do."""
    n_free = max(1, sizes.n_candidates - sizes.n_responses)
    of = np.uint64(sizes.n_responses) + numbers * np.uint64(REPEATED_RATE) % np.uint64(n_free)
    first, second = AFTER_SEED + numbers * np.uint64(2), AFTER_SEED + numbers * np.uint64(2) + np.uint64(1)
    made = store_rows.candidates(texts, first, pair_numbers=of)
    again = made.set_column(0, "candidate_id", ids("c", second))
    kept, aside = store_rows.screenings(first, all_pass=True), store_rows.screenings(second, all_pass=True)
    for name, column in {
        "is_passed": pa.array(np.zeros(len(numbers), bool)),
        "screen": pa.repeat(pa.scalar("near_duplicate"), len(numbers)),
        "matched_id": ids("c", first),
    }.items():
        place = aside.schema.get_field_index(name)
        aside = aside.append_column(name, column) if place < 0 else aside.set_column(place, name, column)
    kept = kept.append_column("matched_id", pa.nulls(len(numbers), pa.string()))
    return {
        "candidates": pa.concat_tables([made, again]),
        "screenings": pa.concat_tables([kept, aside.select(kept.schema.names)]),
    }


def _stamped(numbers: Numbers, columns: dict[str, object]) -> pa.Table:
    run_id = pa.repeat(pa.scalar(store_rows.RUN_ID), len(numbers))
    created_at = pa.array(np.full(len(numbers), np.datetime64(store_rows.AT, "us")))
    return pa.table({**columns, "run_id": run_id, "created_at": created_at})
