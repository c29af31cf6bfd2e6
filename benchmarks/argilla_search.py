"""How fast the search index for Argilla answers: `python benchmarks/argilla_search.py [--records 50000] [--json FILE]`.

Made-up query–doc records with 4 questions' suggestions, 3 metadata, one response in three and a vector; words of both
languages by a Zipf law, so that frequent words are in most records. Asks for the page of 50 that the UI asks for, with
the total; targets for p50 are 15 ms for a list, 120 for a text, 50 for a filter, 150 for a sort.

Exits 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Latency, Report, machine, machine_line  # noqa: E402
from review_app.argilla_search import Document, Index, Response, Suggestion  # noqa: E402
from review_app.argilla_search.filters import (  # noqa: E402
    All,
    OfMetadata,
    OfRecord,
    OfResponse,
    OfSuggestion,
    Range,
    Sort,
    Terms,
)

DATASET = "0f0f0f0f-0000-4000-8000-000000000001"
ANN, BEN = "ann", "ben"
N_WORDS = 4000
DIMENSIONS = 128
FILLED_AT_ONCE = 500
MOST_MS = {"list": 15.0, "text": 120.0, "filter": 50.0, "sort": 150.0}


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


def main() -> int:
    """Fill an index and ask it; 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    report = Report("argilla_search")
    with tempfile.TemporaryDirectory(prefix="argilla-search-bench-") as scratch:
        report.figures["machine"] = machine(Path(scratch))
        report.say(machine_line(report.figures["machine"]))
        measure(Path(scratch) / "index", given.records, given.times, report)
    report.say(f"\nmissed: {', '.join(report.missed) or 'nothing'}")
    report.write(given.json)
    return 1 if report.missed else 0


def measure(folder: Path, n_records: int, n_times: int, report: Report) -> None:
    """Fill an index in a new folder and ask it."""
    folder.mkdir()
    index = Index(folder / "search.sqlite")
    index.create_dataset(DATASET, ["query", "doc"])
    made = list(documents(n_records))
    rates = []
    for at in range(0, n_records, FILLED_AT_ONCE):
        part = made[at : at + FILLED_AT_ONCE]
        started = time.perf_counter()
        index.put(DATASET, part)
        rates.append(len(part) / (time.perf_counter() - started))
    size = sum(path.stat().st_size for path in folder.iterdir())
    middle, least, most = np.median(rates), min(rates), max(rates)
    report.say(
        f"\nindex: {n_records:,} records put in at {middle:,.0f}/s (median of {len(rates)} lots, "
        f"{least:,.0f}–{most:,.0f}), {size / 1e6:,.0f} MB; pages of 50 with the total"
    )
    report.put("index filled", n=n_records, per_second=middle, bytes=size)
    for name, ask in questions(index).items():
        latency = timed(ask, n_times)
        report.put(f"index: {name}", **asdict(latency))
        report.say(f"  {name}: {latency}")
        most_ms = MOST_MS.get(name.partition(",")[0])
        if most_ms is not None:
            report.hold(f"{name}, p50", latency.p50, target=most_ms, at_most=True, unit="ms")
    index.close()
    report.say(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def timed(ask: Callable[[], object], n_times: int) -> Latency:
    """Return how long a question takes, after one call that is not counted."""
    ask()
    took = []
    for _ in range(n_times):
        started = time.perf_counter()
        ask()
        took.append(time.perf_counter() - started)
    return Latency.of(took)


def questions(index: Index) -> dict[str, Callable[[], object]]:
    """Return what is asked; the word before the comma is the kind that has a target."""
    ann_waits = Terms(OfResponse(user_id=ANN), ("pending",))
    both = All((ann_waits, Terms(OfMetadata("operator"), ("op3", "op4"))))
    return {
        "list, in order": lambda: index.search(DATASET, limit=50),
        "list, shuffled for a user": lambda: index.search(DATASET, user_id=ANN, limit=50),
        "filter, a user's pending, shuffled": lambda: index.search(DATASET, filter_=ann_waits, user_id=ANN, limit=50),
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
        "sort, suggestion score": lambda: index.search(DATASET, sorts=[Sort(OfSuggestion("grade", "score"))], limit=50),
        "most alike, of all": lambda: index.alike(DATASET, "v", [1.0] * DIMENSIONS, n_best=50),
        "most alike, within a filter": lambda: index.alike(DATASET, "v", [1.0] * DIMENSIONS, filter_=both, n_best=50),
        "progress": lambda: index.statuses(DATASET),
    }


if __name__ == "__main__":
    sys.exit(main())
