"""How fast the search index for Argilla answers: `python benchmarks/argilla_search.py [--records 50000]`.

Made-up query–doc records with 4 questions' suggestions, 3 metadata, one response in three and a vector; words of both
languages by a Zipf law, so that frequent words are in most records. Prints p50 and p95 of the page of 50 that the UI
asks for, with the total, in milliseconds; targets are 15 for a list, 120 for a text, 50 for a filter, 150 for a sort.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import numpy as np

from review_app.argilla_search import Document, Index, Response, Suggestion
from review_app.argilla_search.filters import All, OfMetadata, OfRecord, OfResponse, OfSuggestion, Range, Sort, Terms

DATASET = "0f0f0f0f-0000-4000-8000-000000000001"
ANN, BEN = "ann", "ben"
N_WORDS = 4000
DIMENSIONS = 128


def documents(n: int, seed: int = 0) -> Iterator[Document]:
    """Yield records of about 450 characters."""
    chance, numbers = random.Random(seed), np.random.default_rng(seed)
    words = [f"w{at}" if at % 4 else chr(0x4E00 + at) + chr(0x4E00 + at * 7 % 9000) for at in range(N_WORDS)]
    weights = [1 / (at + 2) for at in range(N_WORDS)]
    for at in range(n):
        said = chance.choices(words, weights, k=80)
        grade = str(chance.randrange(4))
        response = Response(f"x{at}", chance.choice([ANN, BEN]), "submitted", {"grade": grade})
        yield Document(
            str(UUID(int=chance.getrandbits(128), version=4)),
            {"query": " ".join(said[:5]), "doc": " ".join(said[5:])},
            external_id=f"c_{at}",
            status="completed" if at % 3 == 0 else "pending",
            inserted_at=f"2026-01-{1 + at % 28:02}T{at % 24:02}:00:00.{at % 1000000:06}",
            metadata={"tier": at % 3, "operator": f"op{at % 18}", "confidence": chance.random()},
            suggestions=tuple(
                Suggestion(question, value, chance.random(), "judge", "model")
                for question, value in (("grade", grade), ("step", at % 7), ("fluent", "yes"), ("comment", "x" * 200))
            ),
            responses=(response,) if at % 3 == 0 else (),
            vectors={"v": list(numbers.normal(size=DIMENSIONS))},
        )


def timed(name: str, ask: Callable[[], object], n_times: int) -> None:
    """Print a question's p50 and p95, milliseconds, after one call that is not counted."""
    ask()
    took = []
    for _ in range(n_times):
        started = time.perf_counter()
        ask()
        took.append(1000 * (time.perf_counter() - started))
    print(f"{name:34} p50 {np.percentile(took, 50):7.1f}   p95 {np.percentile(took, 95):7.1f}", flush=True)


def main() -> None:
    """Fill an index and ask it."""
    asks = argparse.ArgumentParser(description=__doc__)
    asks.add_argument("--records", type=int, default=50_000)
    asks.add_argument("--times", type=int, default=30)
    given = asks.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        index = Index(Path(folder) / "search.sqlite")
        index.create_dataset(DATASET, ["query", "doc"])
        made = list(documents(given.records))
        started = time.perf_counter()
        for at in range(0, len(made), 500):
            index.put(DATASET, made[at : at + 500])
        took = time.perf_counter() - started
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        print(f"{given.records} records indexed in {took:.1f} s, {given.records / took:.0f}/s, {size / 1e6:.0f} MB")
        ann_waits = Terms(OfResponse(user_id=ANN), ("pending",))
        both = All((ann_waits, Terms(OfMetadata("operator"), ("op3", "op4"))))
        questions: dict[str, Callable[[], object]] = {
            "list, in order": lambda: index.search(DATASET, limit=50),
            "list, shuffled for a user": lambda: index.search(DATASET, user_id=ANN, limit=50),
            "list, a user's pending, shuffled": lambda: index.search(DATASET, filter_=ann_waits, user_id=ANN, limit=50),
            "text, a rare word": lambda: index.search(DATASET, text="w3001", limit=50),
            "text, a frequent word": lambda: index.search(DATASET, text="w1", limit=50),
            "text, two words": lambda: index.search(DATASET, text="w1 w2", limit=50),
            "text, a Chinese word": lambda: index.search(DATASET, text=chr(0x4E04) + chr(0x4E00 + 28), limit=50),
            "text, one Chinese character": lambda: index.search(DATASET, text=chr(0x4E04), limit=50),
            "text, a frequent word, pending": lambda: index.search(DATASET, text="w5", filter_=both, limit=50),
            "filter, metadata terms": lambda: index.search(
                DATASET, filter_=Terms(OfMetadata("operator"), ("op3",)), limit=50
            ),
            "filter, suggestion score range": lambda: index.search(
                DATASET, filter_=Range(OfSuggestion("grade", "score"), 0.9), limit=50
            ),
            "filter, pending and metadata": lambda: index.search(DATASET, filter_=both, user_id=ANN, limit=50),
            "sort, inserted_at": lambda: index.search(DATASET, sorts=[Sort(OfRecord("inserted_at"))], limit=50),
            "sort, metadata": lambda: index.search(DATASET, sorts=[Sort(OfMetadata("confidence"), "desc")], limit=50),
            "sort, suggestion score": lambda: index.search(
                DATASET, sorts=[Sort(OfSuggestion("grade", "score"))], limit=50
            ),
            "most alike, of all": lambda: index.alike(DATASET, "v", [1.0] * DIMENSIONS, n_best=50),
            "most alike, within a filter": lambda: index.alike(
                DATASET, "v", [1.0] * DIMENSIONS, filter_=both, n_best=50
            ),
            "progress": lambda: index.statuses(DATASET),
        }
        for name, ask in questions.items():
            timed(name, ask, given.times)
        index.close()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
