"""Near-duplicates at scale: docs a second, memory, recall and precision, beside rensa's and datasketch's own LSH.

    python benchmarks/near_duplicates.py [--docs 200000] [--alone 1000000] [--sample 1000] [--json FILE]

Docs are made: English words by Zipf's law over 50,000, 20 to 150 of them, and one in four of Chinese characters, 40 to
200. One in ten is an earlier doc edited at a rate of 2 to 25 in a hundred, one in fifty a copy. All take the same docs
from texts to pairs, each in a process of its own; ours also a million docs, and 10,000 new docs against sketches that
were kept. What is true is counted apart, on word sets and sets of 3 characters made by plain Python: the real Jaccard
overlap of sampled docs, half of them edited ones, with every doc. rensa and datasketch tell what shares a bucket and
count nothing, so their precision is that of their buckets.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.latency import Report, machine, machine_line  # noqa: E402

THRESHOLD = 0.7
N_HASHES = 128  # of rensa and datasketch
RENSA_BANDS = 32
N_NEW = 10_000
Found = dict[int, set[int]]  # sampled doc -> docs it is told to be like


def main() -> None:
    arguments = _arguments()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments)))
        return
    report = Report("near-duplicates")
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        found = machine(Path(folder))
        report.put("machine", **found)
        report.say(machine_line(found))
        for n_docs, steps in ((arguments.docs, ("ours", "rensa", "datasketch")), (arguments.alone, ("ours",))):
            if not n_docs:
                continue
            docs = Path(folder) / f"docs-{n_docs}.parquet"
            _write_docs(docs, n_docs, arguments.sample)
            if n_docs == arguments.docs:
                truth = _step("truth", arguments, docs)
                pairs = {int(doc): set(others) for doc, others in truth["found"].items()}
                report.say(f"{n_docs:,} docs; {sum(map(len, pairs.values())):,} pairs of {len(pairs):,} sampled docs")
            for step in steps:
                told = _step(step, arguments, docs)
                matches = told.pop("found")
                quality = _quality(matches, pairs) if n_docs == arguments.docs else {}
                report.put(f"{step} {n_docs}", docs=n_docs, **told, **quality)
                report.say(f"{step}, {n_docs:,} docs: " + ", ".join(_shown(told | quality)))
            if n_docs == arguments.docs:
                told = _step("incremental", arguments, docs)
                report.put("incremental", docs=n_docs, **told)
                report.say(f"{N_NEW:,} new against {n_docs:,} kept: " + ", ".join(_shown(told)))
            docs.unlink()
    if arguments.json:
        report.write(arguments.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--docs", type=int, default=200_000, help="docs for all three")
    parser.add_argument("--alone", type=int, default=1_000_000, help="docs for ours alone; 0 leaves it out")
    parser.add_argument("--sample", type=int, default=1000, help="docs held against all others to know the truth")
    parser.add_argument("--dir", type=Path, help="where the made docs go meanwhile")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--step", choices=sorted(STEPS), help=argparse.SUPPRESS)
    parser.add_argument("--made", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _step(step: str, arguments: argparse.Namespace, docs: Path) -> dict[str, Any]:
    """Run a step in a process of its own, so that its memory is its own."""
    command = [sys.executable, str(Path(__file__)), "--step", step, "--made", str(docs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=arguments.dir)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _shown(told: dict[str, Any]) -> Iterable[str]:
    for name, value in told.items():
        yield f"{name} {value:,.3f}" if isinstance(value, float) and value < 10 else f"{name} {value:,.0f}"


def _quality(told: dict[str, list[int]], truth: Found) -> dict[str, float]:
    """Return recall and precision over the pairs of sampled docs."""
    found = {(int(doc), other) for doc, others in told.items() for other in others}
    real = {(doc, other) for doc, others in truth.items() for other in others}
    return {"recall": len(found & real) / max(len(real), 1), "precision": len(found & real) / max(len(found), 1)}


def _write_docs(path: Path, n: int, n_sampled: int) -> None:
    """Write made docs, half of the sampled ones among the edited."""
    rng = np.random.default_rng(n)
    syllables = [a + b for a in "bcdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or", "is")]
    words = np.array(["".join(rng.choice(syllables, size=1 + rank % 4)) + f"{rank % 97}" for rank in range(50_000)])
    hanzi = np.array([chr(0x4E00 + code) for code in range(4000)])
    texts: list[str] = []
    edited = []
    for row in range(n):
        kind = rng.random()
        if row > 100 and kind < 0.12:
            source = texts[int(rng.integers(row))]
            if kind >= 0.1:
                texts.append(source)
                continue
            edited.append(row)
            texts.append(
                _edited(source, words, hanzi, rng, rate=float(rng.choice([0.02, 0.05, 0.08, 0.12, 0.18, 0.25])))
            )
        elif row % 4 == 0:
            texts.append("".join(hanzi[_zipf(rng, len(hanzi), int(rng.integers(40, 200)))]))
        else:
            texts.append(" ".join(words[_zipf(rng, len(words), int(rng.integers(20, 150)))]))
    sampled = {*rng.choice(edited, size=min(n_sampled // 2, len(edited)), replace=False).tolist()}
    sampled |= {*rng.choice(n, size=n_sampled // 2, replace=False).tolist()}
    is_sampled = np.isin(np.arange(n), list(sampled))
    pl.DataFrame({"text": texts, "is_sampled": is_sampled}).write_parquet(path)


def _zipf(rng: np.random.Generator, n_words: int, n: int) -> np.ndarray[Any, Any]:
    """Draw ranks with a chance of about 1 / (rank + 3)."""
    at = rng.random(n)
    return ((n_words + 3) ** at * 3 ** (1 - at) - 3).clip(0, n_words - 1).astype(np.int64)


def _edited(
    text: str, words: np.ndarray[Any, Any], hanzi: np.ndarray[Any, Any], rng: np.random.Generator, *, rate: float
) -> str:
    parts = text.split(" ") if " " in text else list(text)
    new = words if " " in text else hanzi
    # a changed character changes three grams
    for place in np.flatnonzero(rng.random(len(parts)) < (rate if " " in text else rate / 3)).tolist():
        parts[place] = str(new[int(rng.integers(len(new)))])
    return (" " if " " in text else "").join(parts)


def _texts(arguments: argparse.Namespace) -> tuple[list[str], list[int]]:
    frame = pl.read_parquet(arguments.made)
    return frame["text"].to_list(), np.flatnonzero(frame["is_sampled"].to_numpy()).tolist()


def _tokens(text: str) -> list[str]:
    """Return words, or 3 characters each where there is no blank: what all three compare, in plain Python."""
    return list({*text.split(" ")} if " " in text else {text[at : at + 3] for at in range(len(text) - 2)})


def _told(n: int, began: float, found: Found) -> dict[str, Any]:
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "seconds": seconds,
        "docs_a_second": n / seconds,
        "cpu_seconds_of_all": used.ru_utime + used.ru_stime,
        "peak_mib": used.ru_maxrss / 1024,
        "found": {doc: sorted(others) for doc, others in found.items()},
    }


def _truth(arguments: argparse.Namespace) -> dict[str, Any]:
    texts, sampled = _texts(arguments)
    began = time.perf_counter()
    holders: dict[str, list[int]] = defaultdict(list)
    wanted = {token for doc in sampled for token in _tokens(texts[doc])}
    sizes = []
    for doc, text in enumerate(texts):
        tokens = _tokens(text)
        sizes.append(len(tokens))
        for token in tokens:
            if token in wanted:
                holders[token].append(doc)
    size = np.array(sizes)
    of_token = {token: np.array(docs) for token, docs in holders.items()}
    found: Found = {}
    for doc in sampled:
        tokens = _tokens(texts[doc])
        common = np.zeros(len(texts), np.int64)
        for token in tokens:
            common[of_token[token]] += 1
        near = np.flatnonzero(common >= THRESHOLD * (size + len(tokens) - common))
        found[doc] = {*near.tolist()} - {doc}
    return _told(len(texts), began, found)


def _ours(arguments: argparse.Namespace) -> dict[str, Any]:
    from curation.near_duplicates import find_similar
    from curation.sketches import sketch

    texts, sampled = _texts(arguments)
    ids = [str(doc) for doc in range(len(texts))]
    began = time.perf_counter()
    sketches = sketch(ids, texts)
    sketched = time.perf_counter() - began
    similar = find_similar(sketches, threshold=THRESHOLD)
    told = _told(len(texts), began, {})
    group: Found = defaultdict(set)
    for doc, first in enumerate(similar.first.tolist()):
        group[first].add(doc)
    like: Found = defaultdict(set)
    for earlier, later in zip(similar.earlier.tolist(), similar.later.tolist(), strict=True):
        like[earlier].add(later)
        like[later].add(earlier)
    found = {}
    for doc in sampled:
        first = int(similar.first[doc])
        found[doc] = sorted({other for near in {first, *like[first]} for other in group[near]} - {doc})
    return {**told, "found": found, "sketching_s": sketched, "pairs": len(similar.earlier)}


def _rensa(arguments: argparse.Namespace) -> dict[str, Any]:
    from rensa import RMinHash, RMinHashLSH

    texts, sampled = _texts(arguments)
    began = time.perf_counter()
    hashes = RMinHash.from_token_sets([_tokens(text) for text in texts], N_HASHES, 42)
    index = RMinHashLSH(THRESHOLD, N_HASHES, RENSA_BANDS)
    index.insert_many(hashes)
    near = index.query_all(hashes)
    told = _told(len(texts), began, {})
    return {**told, "found": {doc: sorted(set(near[doc]) - {doc}) for doc in sampled}}


def _datasketch(arguments: argparse.Namespace) -> dict[str, Any]:
    from datasketch import MinHash, MinHashLSH

    texts, sampled = _texts(arguments)
    began = time.perf_counter()
    index = MinHashLSH(threshold=THRESHOLD, num_perm=N_HASHES)
    near: list[list[int]] = []
    hashes = {}
    for doc, text in enumerate(texts):
        hashed = MinHash(num_perm=N_HASHES)
        hashed.update_batch([token.encode() for token in _tokens(text)])
        near.append(index.query(hashed))
        index.insert(doc, hashed, check_duplication=False)
        hashes[doc] = hashed
    told = _told(len(texts), began, {})
    return {**told, "found": {doc: sorted(set(index.query(hashes[doc])) - {doc}) for doc in sampled}}


def _incremental(arguments: argparse.Namespace) -> dict[str, Any]:
    from curation.pair_likeness import group_texts
    from curation.sketch_files import keep, read_kept
    from curation.sketches import concat_sketches, sketch

    texts, _ = _texts(arguments)
    ids = [str(doc) for doc in range(len(texts))]
    with tempfile.TemporaryDirectory() as folder:
        keep(Path(folder), sketch(ids, texts))
        n_bytes = sum(path.stat().st_size for path in Path(folder).iterdir())
        new_ids = [f"new {doc}" for doc in range(N_NEW)]
        began = time.perf_counter()
        new = sketch(new_ids, [text + " new" for text in texts[-N_NEW:]])
        groups = group_texts(concat_sketches([read_kept(Path(folder)), new]), new_ids, threshold=THRESHOLD)
        seconds = time.perf_counter() - began
    n_matched = sum(len(groups.like(one)) > 1 for one in new_ids)
    return {"seconds": seconds, "matched": n_matched / N_NEW, "kept_mib": n_bytes / 2**20}


STEPS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "truth": _truth,
    "ours": _ours,
    "rensa": _rensa,
    "datasketch": _datasketch,
    "incremental": _incremental,
}


if __name__ == "__main__":
    main()
