"""Whether a judge's card tells biased judges from fair ones: judges whose bias is known, asked about real judgments.

    AFREL_DATA=/path/to/judgements python benchmarks/judge_cards.py --pairs 100

Each judge answers behind a local server that speaks chat completions, so the whole way is measured: prompt, call,
reply, card. `expert` says the settled grade whatever is shown; the others depart from it in one way each. The pairs are
train pairs of `qbqtc`; none of their text is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.chat_server import HttpReply, HttpRequest, chat_server, completion
from curation.completion import unescape_block
from curation.ingest import doc_id_of, pair_id_of, query_id_of
from evolution.calls.asking import Served
from evolution.calls.llm_config import LlmConfig
from evolution.calls.openai_llm import OpenAILLM
from evolution.judges.card_run import CardPlan, CardReport, make_card
from storage.clock import now
from storage.grades import Scale
from storage.store import Store

SCALE = Scale((0, 1, 2), ("poor", "somewhat", "very"))
N_STORED = 3000
Texts = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a judge is shown, and what the expert said of the pair."""

    query: str
    title: str
    body: str
    is_doc_first: bool
    expert: int

    def draw(self) -> float:
        """Return a number from [0, 1) that is another one for each form of a pair."""
        told = json.dumps([self.query, self.title, self.body, self.is_doc_first])
        return int(hashlib.sha256(told.encode()).hexdigest()[:8], 16) / 2**32


def _by_words(seen: Seen) -> int:
    """Grade by the share of the query's neighbouring signs that occur anywhere: no judge, a search index."""
    asked, there = _grams(seen.query), _grams(f"{seen.title} {seen.body}")
    share = len(asked & there) / max(1, len(asked))
    return 2 if share > 0.8 else 1 if share > 0.25 else 0


def _noisy(seen: Seen, rate: float) -> int:
    """Depart from the expert by chance, one grade up or down."""
    draw = seen.draw()
    return seen.expert if draw >= rate else max(0, min(2, seen.expert + (1 if draw < rate / 2 else -1)))


def _lenient(seen: Seen, rate: float) -> int:
    """Raise a fixed share of the pairs by a grade, in every form alike."""
    is_raised = int(hashlib.sha256(seen.title.encode()).hexdigest()[:8], 16) / 2**32 < rate
    return min(2, seen.expert + is_raised)


JUDGES: Mapping[str, Callable[[Seen], int]] = {
    "expert": lambda seen: seen.expert,
    "likes length": lambda seen: min(2, seen.expert + (len(seen.body) > 150 and seen.query not in seen.body)),
    "likes what comes first": lambda seen: min(2, seen.expert + seen.is_doc_first),
    "counts words": _by_words,
    "lenient on 40%": lambda seen: _lenient(seen, 0.4),
    "noisy on 5%": lambda seen: _noisy(seen, 0.05),
    "noisy on 10%": lambda seen: _noisy(seen, 0.1),
    "noisy on 30%": lambda seen: _noisy(seen, 0.3),
}


def main() -> None:
    """Make a card of each judge and print a table for docs."""
    parser = argparse.ArgumentParser(description="Cards of judges whose bias is known.")
    parser.add_argument("--pairs", type=int, default=100, help="how many each judge is asked about, in five forms")
    n_pairs = parser.parse_args().pairs
    if "AFREL_DATA" not in os.environ:
        sys.exit("AFREL_DATA is not set: name the folder of real judgements")
    rows = pl.read_parquet(Path(os.environ["AFREL_DATA"]) / "qbqtc" / "pairs.parquet").filter(split="train")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        truth = _build(root / "store", rows.sample(min(N_STORED, len(rows)), seed=1))
        print("| judge | card | length | keywords | order | wording | over-rating |\n|---|---|---|---|---|---|---|")
        for name, judge in JUDGES.items():
            shutil.copytree(root / "store", root / "copy")
            print(_table_row(name, _card(root / "copy", judge, truth, n_pairs)), flush=True)
            shutil.rmtree(root / "copy")


def _build(folder: Path, rows: pl.DataFrame) -> dict[Texts, int]:
    """Fill a store with judged pairs; return the expert's grade by query and title."""
    folder.mkdir()
    at = now()
    stamp = {"run_id": "run_0", "created_at": at}
    tables: dict[str, dict[str, dict[str, object]]] = {name: {} for name in ("queries", "docs", "pairs", "judgments")}
    truth: dict[Texts, int] = {}
    for row in rows.iter_rows(named=True):
        query_id, doc_id = query_id_of(row["query"]), doc_id_of(row["title"], "", {})
        pair_id = pair_id_of(query_id, doc_id)
        of_query = {"text": row["query"], "root_query_id": query_id, "split": "train", "source": "qbqtc"}
        tables["queries"][query_id] = {"query_id": query_id, **of_query}
        tables["docs"][doc_id] = {
            "doc_id": doc_id, "title": row["title"], "body": "", "fields": "{}", "source": "qbqtc"
        }  # fmt: skip
        of_pair = {"query_id": query_id, "doc_id": doc_id, "split": "train", "origin": "ingest", "source": "qbqtc"}
        tables["pairs"][pair_id] = {"pair_id": pair_id, **of_pair}
        settled = {"origin": "import:qbqtc", "response_ids": [], "is_replayed": False}
        tables["judgments"][pair_id] = {
            "judgment_id": f"j_{pair_id}", "pair_id": pair_id, "grade": int(row["label"]), **settled
        }  # fmt: skip
        truth[_plain(row["query"]), _plain(row["title"])] = int(row["label"])
    grades = [
        {"grade_id": f"g{grade}", "grade": grade, "name": SCALE.name(grade), "created_at": at} for grade in SCALE.values
    ]
    with Store.embedded(folder) as store:
        store.append(
            {"grades": grades, **{name: [row | stamp for row in held.values()] for name, held in tables.items()}}
        )
    return truth


def _card(folder: Path, judge: Callable[[Seen], int], truth: Mapping[Texts, int], n_pairs: int) -> CardReport:
    def answer(request: HttpRequest) -> HttpReply:
        grade = judge(_seen(request.json()["messages"][1]["content"], truth))
        return HttpReply(body=completion(json.dumps({"grade": grade, "reason": "as it seems"})))

    with chat_server(answer) as service, Store.embedded(folder) as store:
        config = LlmConfig("judge", base_url=service.url, key_variable=None)
        served = Served(OpenAILLM(config), "judge", config.parameters, folder / "spool")
        return make_card(store, CardPlan(SCALE, served, n_pairs), account=None)


def _seen(prompt: str, truth: Mapping[Texts, int]) -> Seen:
    """Read a request's prompt; the query may stand behind the words of a request."""
    query, title, body = (
        unescape_block(found[1]) if (found := re.search(pattern, prompt, re.MULTILINE)) else ""
        for pattern in (r"<query>\n(.*)\n</query>", r"^title: (.*)$", r"^body: (.*)$")
    )
    typed = query if (query, title) in truth else query.partition(": ")[2]
    return Seen(query, title, body, prompt.startswith("<document>"), truth[typed, title])


def _table_row(name: str, report: CardReport) -> str:
    told = []
    for line in report.lines:
        assert line.value is not None and line.interval is not None
        figures = f"{line.value:.2f} [{line.interval.low:.2f}, {line.interval.high:.2f}] of {line.n}"
        told.append(figures if line.is_passed else f"**{figures}**")
    return f"| {name} | {'passes' if report.is_passed else 'fails'} | {' | '.join(told)} |"


def _plain(text: str) -> str:
    """Return a text as a prompt's line holds it."""
    line = " ".join(text.split())
    return " ".join("".join(c if c.isprintable() else " " for c in line).split())


def _grams(text: str) -> set[str]:
    squeezed = "".join(text.split()).casefold()
    return {squeezed[at : at + 2] for at in range(len(squeezed) - 1)}


if __name__ == "__main__":
    main()
