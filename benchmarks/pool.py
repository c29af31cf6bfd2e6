"""`afrel pool` at scale: docs indexed and queries pooled a second, memory, and what BM25 finds of known relevant docs.

    python benchmarks/pool.py [--docs 1000000] [--queries 10000] [--rival-docs 100000] [--dir DIR] [--json FILE]

Docs are made: about 90 words of a few thousand by Zipf's law, one in five of them Chinese, and a word of its own each;
queries five of those words, so that most share a word with a tenth of all docs. bm25s (its own index and ranking, the
numpy backend) takes the first `--rival-docs` of the same docs, cut at blanks, in a process of its own, as ours does.
With `AFREL_DATA`, recall at 100 of the relevant docs of Cranfield's 176 queries, ours beside bm25s' own tokenizer, and
ours of the judged titles of qbqtc, which are Chinese.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import store_rows  # noqa: E402
from benchmarks.latency import Cost, Report, machine, machine_line  # noqa: E402
from benchmarks.load.seed import chunks, new_workspace, running_store  # noqa: E402
from curation.bm25 import IndexBuilder  # noqa: E402
from curation.doc_terms import count_texts, query_terms  # noqa: E402
from curation.pool_config import PoolConfig  # noqa: E402
from curation.pool_run import PoolPlan, pool_pairs  # noqa: E402
from curation.text import doc_text  # noqa: E402
from storage.progress import Stage  # noqa: E402
from storage.session import read_scale  # noqa: E402
from storage.store import Store  # noqa: E402
from storage.workspace import Workspace  # noqa: E402

DOCS_AT_A_TIME = 50_000
RIVAL_QUERIES = 200


def main() -> None:
    arguments = _arguments()
    if arguments.step:
        print(json.dumps(STEPS[arguments.step](arguments)))
        return
    report = Report("pool")
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        found = machine(Path(folder))
        report.put("machine", **found)
        report.say(machine_line(found))
        root = Path(folder) / "shop"
        _fill(root, arguments.docs, arguments.queries)
        with running_store(root, idle_seconds=600) as process:
            ours = _step("ours", arguments, root)
            store_mib = Cost.of(process.pid).peak_mib
            process.terminate()
        _tell(report, ours, store_mib, arguments)
        if arguments.rival_docs:
            for name in ("index", "bm25s"):
                report.put(name, **(one := _step(name, arguments, root)))
                report.say(
                    f"{name}, {arguments.rival_docs:,} docs in one process: {one['docs_a_second']:,.0f} docs/s, "
                    f"{one['queries_a_second']:,.0f} queries/s, peak {one['peak_mib']:,.0f} MiB"
                )
        if "AFREL_DATA" in os.environ:
            _recall(report, Path(os.environ["AFREL_DATA"]) / "cranfield")
            _recall_of_chinese(report, Path(os.environ["AFREL_DATA"]) / "qbqtc")
    report.write(arguments.json)
    sys.exit(1 if report.missed else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure afrel pool.")
    parser.add_argument("--docs", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--rival-docs", type=int, default=100_000, help="0 leaves bm25s out")
    parser.add_argument("--dir", type=Path, default=None, help="where the workspace is made")
    parser.add_argument("--json", type=Path, default=None)
    parser.add_argument("--step", choices=STEPS, default=None, help="for the benchmark's own processes")
    return parser.parse_args()


def _step(name: str, arguments: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Run one step in a process of its own, so that its memory is its own."""
    sizes = ["--docs", str(arguments.docs), "--rival-docs", str(arguments.rival_docs), "--dir", str(root)]
    command = [sys.executable, __file__, "--step", name, *sizes]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def made_docs(numbers: store_rows.Numbers) -> pa.Table:
    """Return docs; each has a word of its own, as an article number is."""
    docs = store_rows.docs(store_rows.Texts(seed=int(numbers[0])), numbers)
    own = pc.binary_join_element_wise(docs["title"], docs["doc_id"], " no ")
    return docs.set_column(docs.schema.get_field_index("title"), "title", own)


def made_queries(n: int) -> pa.Table:
    return store_rows.queries(store_rows.Texts(seed=5), np.arange(n, dtype=np.uint64))


def _fill(root: Path, n_docs: int, n_queries: int) -> None:
    workspace = new_workspace(root, n_accounts=1)
    with running_store(root), Store.connect(workspace) as store:
        store.append({"queries": made_queries(n_queries)})
        for numbers in chunks(n_docs, DOCS_AT_A_TIME):
            store.append({"docs": made_docs(numbers)})


def _pool(arguments: argparse.Namespace) -> dict[str, Any]:
    """Pool a workspace as the verb does; return the seconds of each part."""
    moments: dict[str, float] = {}
    cpu: dict[str, float] = {}
    began = time.monotonic()

    def watch(stage: Stage, _done: int, _total: int) -> None:
        moments[f"{stage} ends"] = time.monotonic() - began
        if stage == Stage.BUILDING:
            children = sum(Cost.of(child.pid or 0).cpu_seconds for child in active_children())
            cpu["index"] = _cpu_seconds(resource.RUSAGE_SELF) + children
        moments.setdefault(f"{stage} begins", time.monotonic() - began)

    config = PoolConfig()
    with Store.connect(Workspace.open(arguments.dir)) as store:
        plan = PoolPlan(config, config.per_query)
        report = pool_pairs(store, plan, scale=read_scale(store), account=None, is_dry=False, watch=watch)
    return {
        "seconds": time.monotonic() - began,
        "moments": moments,
        "counts": report.counts(),
        "peak_mib": _peak_mib(resource.RUSAGE_SELF),
        "child_mib": _peak_mib(resource.RUSAGE_CHILDREN),
        "index_cpu": cpu["index"],
        "cpu": sum(_cpu_seconds(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)),
    }


def _tell(report: Report, ours: dict[str, Any], store_mib: float, arguments: argparse.Namespace) -> None:
    moments = ours["moments"]
    index_seconds = moments["building ends"]
    pool_seconds = ours["seconds"] - index_seconds
    n_children = len(os.sched_getaffinity(0))
    whole_gib = (ours["peak_mib"] + n_children * ours["child_mib"]) / 1024
    report.put("ours", **ours, store_mib=store_mib)
    report.say(f"counts: {ours['counts']}")
    report.hold("docs indexed", index_seconds, target=300 * arguments.docs / 1e6, at_most=True, unit="s")
    report.say(f"    {arguments.docs / index_seconds:,.0f} docs/s, {ours['index_cpu']:,.0f} CPU s; {moments}")
    report.hold("queries pooled", pool_seconds, target=300 * arguments.queries / 1e4, at_most=True, unit="s")
    cpu = ours["cpu"] - ours["index_cpu"]
    report.say(f"    {arguments.queries / pool_seconds:,.1f} queries/s, {cpu:,.0f} CPU s without the store's")
    report.hold("peak of verb and its processes", whole_gib, target=6, at_most=True, unit="GiB")
    report.say(f"    verb {ours['peak_mib']:,.0f}, a process {ours['child_mib']:,.0f}, store {store_mib:,.0f} MiB")


def _rival_texts(n: int) -> list[str]:
    texts: list[str] = []
    for numbers in chunks(n, DOCS_AT_A_TIME):
        docs = made_docs(numbers).to_pydict()
        texts += [doc_text(*row) for row in zip(docs["title"], docs["body"], docs["fields"], strict=True)]
    return texts


def _index(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ours, without a store and in one process."""
    texts, queries = _rival_texts(arguments.rival_docs), made_queries(RIVAL_QUERIES)["text"].to_pylist()
    began = time.monotonic()
    builder = IndexBuilder()
    for first in range(0, len(texts), 2000):
        builder.add(count_texts(texts[first : first + 2000]))
    index = builder.build()
    return _rates(len(texts), began, lambda: [index.rank(query_terms(text), 300) for text in queries])


def _bm25s(arguments: argparse.Namespace) -> dict[str, Any]:
    import bm25s

    texts, queries = _rival_texts(arguments.rival_docs), made_queries(RIVAL_QUERIES)["text"].to_pylist()
    began = time.monotonic()
    index = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    index.index([text.split() for text in texts], show_progress=False)
    asked = [text.split() for text in queries]
    return _rates(len(texts), began, lambda: index.retrieve(asked, k=300, show_progress=False))


def _rates(n_docs: int, began: float, ask: Callable[[], object]) -> dict[str, Any]:
    indexed = time.monotonic()
    ask()
    return {
        "docs_a_second": n_docs / (indexed - began),
        "queries_a_second": RIVAL_QUERIES / (time.monotonic() - indexed),
        "peak_mib": _peak_mib(resource.RUSAGE_SELF),
    }


def _peak_mib(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def _cpu_seconds(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _recall(report: Report, folder: Path) -> None:
    """Print the recall at 100 of ours and of bm25s, every listed judgement taken as relevant."""
    import bm25s

    docs = pl.read_parquet(folder / "docs.parquet").fill_null("")
    queries = pl.read_parquet(folder / "queries.parquet")
    judged = pl.read_parquet(folder / "judgements.parquet").group_by("query_id").agg("doc_id")
    relevant = {query_id: set(doc_ids) for query_id, doc_ids in judged.iter_rows()}
    texts = [f"{title}\n{body}" for title, body in docs.select("title", "body").iter_rows()]
    ids = docs["doc_id"].to_list()
    builder = IndexBuilder()
    builder.add(count_texts(texts))
    index = builder.build()
    other = bm25s.BM25(k1=1.2, b=0.75, method="lucene")
    other.index(bm25s.tokenize(texts, stopwords="en", show_progress=False), show_progress=False)
    asked = bm25s.tokenize(queries["query"].to_list(), stopwords="en", show_progress=False)
    theirs, _ = other.retrieve(asked, k=100, show_progress=False)
    ours = [index.rank(query_terms(text), 100).places.tolist() for text in queries["query"]]
    named = {"ours": ours, "bm25s": theirs.tolist()}
    for name, ranked in named.items():
        recalls = _recalls(ranked, ids, queries["query_id"].to_list(), relevant)
        spread = 1.96 * np.std(recalls) / np.sqrt(len(recalls))
        report.put(f"recall {name}", mean=float(np.mean(recalls)), spread=float(spread), n=len(recalls))
        report.say(f"recall@100 on Cranfield, {name}: {np.mean(recalls):.3f} ± {spread:.3f} (n {len(recalls)} queries)")


def _recall_of_chinese(report: Report, folder: Path) -> None:
    """Print the recall at 100 of ours over all titles of qbqtc, every judged pair taken as relevant."""
    judged = pl.read_parquet(folder / "pairs.parquet")
    titles = judged["title"].unique(maintain_order=True).to_list()
    relevant = {query: set(found) for query, found in judged.group_by("query").agg("title").iter_rows()}
    builder = IndexBuilder()
    builder.add(count_texts(titles))
    index = builder.build()
    ranked = [index.rank(query_terms(query), 100).places.tolist() for query in relevant]
    recalls = _recalls(ranked, titles, list(relevant), relevant)
    n_unmatched = sum(not places for places in ranked)
    report.put("recall qbqtc", mean=float(np.mean(recalls)), n=len(recalls), n_unmatched=n_unmatched)
    report.say(
        f"recall@100 on qbqtc, {len(titles):,} titles: {np.mean(recalls):.3f} (n {len(recalls):,} queries, "
        f"{n_unmatched:,} of them share no word with any title)"
    )


def _recalls(
    ranked: Sequence[Sequence[int]], ids: Sequence[str], query_ids: Sequence[str], relevant: dict[str, set[str]]
) -> list[float]:
    """Return, for each query with a relevant doc, the share of those that are ranked."""
    return [
        len(relevant[query_id] & {ids[place] for place in places}) / len(relevant[query_id])
        for query_id, places in zip(query_ids, ranked, strict=True)
        if query_id in relevant
    ]


STEPS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"ours": _pool, "index": _index, "bm25s": _bm25s}


if __name__ == "__main__":
    main()
