"""Rows as a workspace of millions holds them, made by the column: about 750 bytes each, ids as the house writes them.

Texts are drawn from a few thousand words, some of them CJK, by a Zipf law, so that they compress about as prose does.
Row `i` of a table has the same ids on every call: `ids` is a bijection of the row's number, so another process can
name a row of this one, and a number used once gives an id that no other number gives.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Numbers: TypeAlias = npt.NDArray[np.uint64]
RUN_ID = "run_00000000aa"
AT = datetime(2025, 3, 1, 9, 30)
SPLITS = np.array(["train"] * 8 + ["dev", "test"])
N_GRADES = 4
N_WORDS = 4000
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint8).reshape(256, 2)
# What keeps the ids of two tables apart.
_SALTS = {prefix: np.uint64(0x9E3779B97F4A7C15 * (place + 1) % 2**64) for place, prefix in enumerate("qdprcsvaljy")}


def ids(prefix: str, numbers: npt.ArrayLike) -> pa.Array:
    """Return `<prefix>_` and 16 hex digits for each row number: SplitMix64 of the number, salted by the prefix."""
    mixed = np.asarray(numbers, np.uint64) + _SALTS[prefix[0]]
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    text = np.empty((len(mixed), len(prefix) + 17), np.uint8)
    text[:, : len(prefix) + 1] = np.frombuffer(f"{prefix}_".encode(), np.uint8)
    text[:, len(prefix) + 1 :] = _HEX[mixed.astype(">u8").view(np.uint8)].reshape(len(mixed), 16)
    offsets = np.arange(len(mixed) + 1, dtype=np.int32) * text.shape[1]
    return pa.StringArray.from_buffers(len(mixed), pa.py_buffer(offsets), pa.py_buffer(text))


class Texts:
    """Draws texts of words; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        words_rng = np.random.default_rng(7)
        letters = np.array(list("etaoinshrdlucmfwygpbvk"))
        cjk = [chr(0x4E00 + int(code)) for code in words_rng.integers(0, 6000, 2 * N_WORDS)]
        latin = ["".join(words_rng.choice(letters, size)) for size in words_rng.integers(2, 11, N_WORDS)]
        words = [cjk[i] + cjk[-i] if i % 5 == 0 else word for i, word in enumerate(latin)]
        self._words = pa.array([*words, "size 38.5", "cm", '"soft"', "für", "\\ no"])
        shares = 1.0 / np.arange(3, len(self._words) + 3)
        self._cumulated = np.cumsum(shares / shares.sum())

    def draw(self, n: int, n_words: int) -> pa.Array:
        """Return n texts of about n_words words (about 6.3 bytes each)."""
        counts = self.rng.integers(max(1, n_words * 3 // 4), n_words * 5 // 4 + 2, n)
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        drawn = np.searchsorted(self._cumulated, self.rng.random(int(offsets[-1]), np.float32), side="right")
        words = self._words.take(pa.array(np.minimum(drawn, len(self._words) - 1).astype(np.int32)))
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), words), " ")

    def json(self, n: int, n_words: int, before: str, after: str) -> pa.Array:
        """Return n texts inside a JSON frame, quotes and backslashes escaped."""
        escaped = pc.replace_substring(pc.replace_substring(self.draw(n, n_words), "\\", "\\\\"), '"', '\\"')
        return pc.binary_join_element_wise(pa.scalar(before), escaped, pa.scalar(after), pa.scalar(""))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many rows a workspace has. Pairs are as many as candidates; pair i has query i mod n_queries."""

    n_candidates: int = 5_000_000
    n_queries: int = 100_000
    n_docs: int = 500_000
    n_responses: int = 2_000_000
    n_accounts: int = 30
    n_rules: int = 100
    n_votes: int = 1_000_000
    n_judgments: int = 500_000

    @classmethod
    def of(cls, n_candidates: int) -> Sizes:
        """Return the default sizes shrunk in proportion to the candidates."""
        whole = cls()
        share = n_candidates / whole.n_candidates
        return cls(
            n_candidates,
            max(10, int(whole.n_queries * share)),
            max(10, int(whole.n_docs * share)),
            int(whole.n_responses * share),
            whole.n_accounts,
            whole.n_rules,
            int(whole.n_votes * share),
            int(whole.n_judgments * share),
        )


def account_names(n: int) -> list[str]:
    return [f"reviewer{number:02d}" for number in range(1, n + 1)]


def splits(query_numbers: Numbers) -> pa.Array:
    """Return the split of each query: 80/10/10 by its number."""
    return pa.array(SPLITS[np.asarray(query_numbers % np.uint64(10), np.int64)])


def queries(texts: Texts, numbers: Numbers) -> pa.Table:
    return _table(
        numbers,
        query_id=ids("q", numbers),
        text=texts.draw(len(numbers), 5),
        root_query_id=ids("q", numbers),
        split=splits(numbers),
        source="bench",
    )


def docs(texts: Texts, numbers: Numbers) -> pa.Table:
    return _table(
        numbers,
        doc_id=ids("d", numbers),
        title=texts.draw(len(numbers), 9),
        body=texts.draw(len(numbers), 85),
        fields=texts.json(len(numbers), 3, '{"brand": "', '", "colour": "grey"}'),
        source="bench",
    )


def pairs(sizes: Sizes, numbers: Numbers) -> pa.Table:
    query_numbers = numbers % np.uint64(sizes.n_queries)
    return _table(
        numbers,
        pair_id=ids("p", numbers),
        query_id=ids("q", query_numbers),
        doc_id=ids("d", doc_numbers(sizes, numbers)),
        split=splits(query_numbers),
        origin="import",
        source="bench",
    )


def doc_numbers(sizes: Sizes, numbers: Numbers) -> Numbers:
    """Return the doc of each pair: a fixed scatter, different for the pairs of one query."""
    n_docs = np.uint64(sizes.n_docs)
    return (numbers * np.uint64(2_654_435_761) % np.uint64(2**40) + numbers // np.uint64(sizes.n_queries)) % n_docs


def rules(numbers: Numbers) -> pa.Table:
    return _table(
        numbers,
        rule_id=ids("r", numbers),
        text=[f"rule {number} of the book" for number in numbers],
        condition=[f"term_overlap < 0.{int(number):03d}" for number in numbers],
        grade=pa.array(numbers % np.uint64(N_GRADES), pa.int32()),
        origin="mined",
    )


def approvals(numbers: Numbers) -> pa.Table:
    return _table(
        numbers,
        approval_id=ids("a", numbers + np.uint64(1 << 50)),
        kind="rule",
        content_id=ids("r", numbers),
        decision="approve",
        account=account_names(1)[0],
        sequence=pa.array(numbers, pa.int64()),
    )


def rule_votes(sizes: Sizes, numbers: Numbers) -> pa.Table:
    """One vote a pair, so that half the voted pairs get a grade equal to their candidate's and none a conflict."""
    rule_numbers = numbers % np.uint64(sizes.n_rules)
    return _table(
        numbers,
        rule_vote_id=ids("v", numbers),
        rule_id=ids("r", rule_numbers),
        pair_id=ids("p", numbers % np.uint64(sizes.n_candidates)),
        grade=pa.array(rule_numbers % np.uint64(N_GRADES), pa.int32()),
    )


def candidates(texts: Texts, numbers: Numbers, *, pair_numbers: Numbers | None = None) -> pa.Table:
    """One for each number, on the pair of that number unless others are given."""
    of = numbers if pair_numbers is None else pair_numbers
    n = len(numbers)
    cited = ids("r", np.column_stack([numbers % np.uint64(100), (numbers + np.uint64(7)) % np.uint64(100)]).ravel())
    return _table(
        numbers,
        candidate_id=ids("c", numbers),
        pair_id=ids("p", of),
        grade=pa.array((numbers + (numbers >> np.uint64(3))) % np.uint64(N_GRADES), pa.int32()),
        steps=texts.json(n, 76, '[["intent", "wants it"], ["verdict", "', '"]]'),
        rule_ids=pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * 2), cited),
        confidence=texts.rng.random(n) * 0.7 + 0.3,
        proposer="lexical",
        llm_call_id=ids("l", numbers),
    )


def screenings(numbers: Numbers, *, all_pass: bool = False) -> pa.Table:
    """One for each candidate of these numbers; one in twenty is set aside unless all pass."""
    is_passed = np.ones(len(numbers), bool) if all_pass else np.asarray(numbers % np.uint64(20) != 0)
    return _table(
        numbers,
        screening_id=ids("s", numbers),
        candidate_id=ids("c", numbers),
        screen=pa.array(np.where(is_passed, "all", "near_duplicate")),
        is_passed=is_passed,
        reason=pa.array(np.where(is_passed, "no screen objects", "the same as another")),
    )


def responses(sizes: Sizes, numbers: Numbers) -> pa.Table:
    """One for each of the first candidates; where there are more, second ones by another account."""
    of = numbers % np.uint64(sizes.n_candidates)
    at = (numbers + numbers // np.uint64(sizes.n_candidates)) % np.uint64(sizes.n_accounts)
    is_revised = numbers % np.uint64(6) == 0
    proposed = (of + (of >> np.uint64(3))) % np.uint64(N_GRADES)
    names = pa.array(account_names(sizes.n_accounts))
    return _table(
        numbers,
        response_id=ids("a", numbers),
        candidate_id=ids("c", of),
        pair_id=ids("p", of),
        account=names.take(pa.array(np.asarray(at, np.int64))),
        act="submitted",
        grade=pa.array(np.where(is_revised, (proposed + np.uint64(1)) % np.uint64(N_GRADES), proposed), pa.int32()),
        seconds=pa.array(np.asarray(numbers % np.uint64(97), np.float64) / 4 + 2),
        is_replayed=np.zeros(len(numbers), bool),
        session="bench",
        sequence=pa.array(numbers, pa.int64()),
    )


def judgments(sizes: Sizes, numbers: Numbers) -> pa.Table:
    """A consensus for each of the first responses, on the strength of that one response."""
    answered = responses(sizes, numbers)
    return _table(
        numbers,
        judgment_id=ids("j", numbers),
        pair_id=answered.column("pair_id"),
        grade=answered.column("grade"),
        origin="consensus",
        candidate_id=answered.column("candidate_id"),
        response_ids=pa.ListArray.from_arrays(
            pa.array(np.arange(len(numbers) + 1, dtype=np.int32)), answered.column("response_id").combine_chunks()
        ),
        is_replayed=np.zeros(len(numbers), bool),
    )


def llm_calls(texts: Texts, numbers: Numbers) -> pa.Table:
    """Exchanges with a model: a table nothing is maintained for."""
    n = len(numbers)
    return _table(
        numbers,
        llm_call_id=ids("y", numbers),
        role="label",
        operator="label",
        provider="bench",
        model="none",
        template_digest="0" * 16,
        request=texts.json(n, 45, '{"messages": [["user", "', '"]], "parameters": {}}'),
        reply=texts.json(n, 38, '{"grade": 2, "reason": "', '"}'),
        n_prompt_tokens=pa.array(np.full(n, 300, np.int32)),
        n_completion_tokens=pa.array(np.full(n, 60, np.int32)),
        seconds=texts.rng.random(n) * 4,
    )


def _table(numbers: Numbers, **columns: Any) -> pa.Table:
    """Return the columns, a single text repeated, with the stamps that every row carries."""
    n = len(numbers)
    made = {name: _column(value, n) for name, value in columns.items()}
    made["run_id"] = _column(RUN_ID, n)
    seconds = np.asarray(numbers % np.uint64(20_000_000), np.int64) * np.int64(1_000_000)
    made["created_at"] = pa.array(np.datetime64(AT, "us") + seconds.astype("timedelta64[us]"))
    return pa.table(made)


def _column(value: Any, n: int) -> Any:
    return pa.repeat(pa.scalar(value), n) if isinstance(value, str) else value
