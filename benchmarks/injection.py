"""How often a text put into a query or a doc turns the grade: `benchmarks/injections/strings.py` against a real grader.

    python benchmarks/injection.py --run demo/runs/run_4f…             # a trained model, graded by its grade token
    python benchmarks/injection.py --base-url http://127.0.0.1:8000/v1 --model NAME --pairs 5   # a served labeller

Without either, the demo is run in --out and its model is taken. Pairs are of the bundled sample's dev split. Each
string asks for the highest grade, or for the lowest where the pair has the highest already, and is put behind the
query, the title or the body. Beside it stands a control: harmless words of the sample's own docs in the same script,
as long as the string. What a string adds over its control is what the order does; the rest is what any text does.

Trials of one pair are not independent, so the intervals over trials are too narrow; the share of pairs that any string
turned stands beside them. Writes report.md and trials.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.injections.strings import INJECTIONS, asking_for, every  # noqa: E402
from curation.features import FieldVocabulary, evidence_line, pair_features  # noqa: E402
from curation.intervals import wilson  # noqa: E402
from curation.text import is_unspaced  # noqa: E402
from samples.homeware.generate import Sample, build_sample  # noqa: E402
from storage.grades import TREC_NAMES, Scale  # noqa: E402

PLACES = ("query", "title", "body")
SCALE = Scale((0, 1, 2, 3), TREC_NAMES[4])


@dataclass(frozen=True, slots=True)
class Text:
    """A pair as a grader gets it."""

    query: str
    title: str
    body: str
    fields: Mapping[str, str]


# Returns the grade of each pair, None where it gave none.
Grader = Callable[[Sequence[Text]], list[int | None]]


@dataclass(frozen=True, slots=True)
class Trial:
    """One string, or its control, put into one place of one pair."""

    pair: int
    place: str
    trick: str
    string: int
    is_control: bool
    target: int
    before: int
    after: int | None = None

    @property
    def is_turned(self) -> bool:
        """Whether the grade is another than before."""
        return self.after is not None and self.after != self.before

    @property
    def is_obeyed(self) -> bool:
        """Whether the grade is the one asked for, which it was not before."""
        return self.after == self.target


def main() -> None:
    """Measure and write the report."""
    options = _options()
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    sample, chance = build_sample(), random.Random(options.seed)
    dev = [pair for pair in sample.pairs if pair.split == "dev"]
    chosen = chance.sample(dev, min(options.pairs, len(dev)))
    texts = [Text(one.query.text, one.doc.title, one.doc.body, one.doc.written) for one in chosen]
    failures: Counter[str] = Counter()
    if options.base_url:
        named, grade = f"{options.model} served", served(options, sample, failures)
        scale = SCALE
    else:
        run = options.run or demo_run(out)
        grade, scale = trained(run)
        named = f"trained model {run.name}"
    before = grade(texts)
    n_ungraded = before.count(None)
    words = [control_words(sample, is_chinese=is_chinese) for is_chinese in (False, True)]
    planned, changed = [], []
    for trial, text in plan(texts, before, scale, words, options.places, chance):
        planned.append(trial)
        changed.append(text)
    print(f"{len(changed)} trials of {len(texts) - n_ungraded} pairs", file=sys.stderr, flush=True)
    trials = [replace(trial, after=after) for trial, after in zip(planned, grade(changed), strict=True)]
    with (out / "trials.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(asdict(trial)) + "\n" for trial in trials)
    report = tell(named, trials, n_ungraded, failures)
    (out / "report.md").write_text(report, encoding="utf-8")
    print(report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="A finished run: WORKSPACE/runs/RUN.")
    parser.add_argument("--base-url", help="Any OpenAI-compatible server.")
    parser.add_argument("--model", default="tiny", help="The served model's name.")
    parser.add_argument("--key-variable", help="Where the served model's key is; unset: it takes none.")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--places", nargs="+", choices=PLACES, default=PLACES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-injection")
    return parser.parse_args()


def plan(
    texts: Sequence[Text],
    before: Sequence[int | None],
    scale: Scale,
    words: Sequence[str],
    places: Iterable[str],
    chance: random.Random,
) -> Iterator[tuple[Trial, Text]]:
    """Yield every trial with the pair as it is graded in it; `words` are control texts, of spaced scripts and not."""
    for at, (text, grade) in enumerate(zip(texts, before, strict=True)):
        if grade is None:
            continue
        target = scale.lowest if grade == scale.highest else scale.highest
        for number, (trick, template) in enumerate(every()):
            order = asking_for(template, target, scale.name(target))
            source = words[is_unspaced(order)]
            start = chance.randrange(len(source) - len(order))
            for place in places:
                for added in (order, source[start : start + len(order)]):
                    trial = Trial(at, place, trick, number, added is not order, target, grade)
                    yield trial, with_text(text, place, added)


def with_text(text: Text, place: str, added: str) -> Text:
    """Return a pair with a text behind its query, title or body."""
    if place == "query":
        return replace(text, query=f"{text.query} {added}")
    if place == "title":
        return replace(text, title=f"{text.title} {added}")
    return replace(text, body=f"{text.body} {added}")


def control_words(sample: Sample, *, is_chinese: bool) -> str:
    """Return the bodies of the sample's docs in one script, one after another."""
    return " ".join(doc.body for doc in sample.docs if doc.is_chinese == is_chinese)


def frame_of(texts: Sequence[Text]) -> pl.DataFrame:
    """Return pairs as features are computed of them."""
    return pl.DataFrame(
        {
            "pair_id": [f"p_{at}" for at in range(len(texts))],
            "query": [text.query for text in texts],
            "title": [text.title for text in texts],
            "body": [text.body for text in texts],
            "fields": [json.dumps(dict(text.fields)) for text in texts],
        }
    )


def demo_run(out: Path) -> Path:
    """Run the demo, unless it was run there, and return its trained run."""
    env = {**os.environ, "AFREL_HOME": str(out / "home")}
    subprocess.run([sys.executable, "-m", "afrel", "demo", str(out / "demo")], check=True, env=env, cwd=ROOT)
    return max((out / "demo" / "runs").glob("run_*"), key=lambda path: path.stat().st_mtime)


def trained(run: Path) -> tuple[Grader, Scale]:
    """Return a run's model as a grader: the most probable grade token after the very prompt of training."""
    from curation.prompt_parts import PromptParts
    from trainers.models.ranker import load_ranker
    from trainers.models.scoring import most_probable
    from trainers.runs.directory import RunDirectory

    ranker = load_ranker(RunDirectory(run))

    def grade(texts: Sequence[Text]) -> list[int | None]:
        lines = ranker.evidence.lines(frame_of(texts)) if ranker.has_evidence else [""] * len(texts)
        parts = [
            PromptParts(text.query, text.title, text.body, text.fields, line)
            for text, line in zip(texts, lines, strict=True)
        ]
        found = ranker.score(parts, names=[f"trial {at}" for at in range(len(parts))])
        return [ranker.scale.values[place] for place in most_probable(found).tolist()]

    return grade, ranker.scale


def served(options: argparse.Namespace, sample: Sample, failures: Counter[str]) -> Grader:
    """Return a served model as a grader: the labelling prompt of `afrel label`, without rules; failures are counted."""
    from evolution.calls.failure_watch import kind_of
    from evolution.calls.llm_config import LlmConfig
    from evolution.calls.openai_llm import OpenAILLM
    from evolution.calls.paid_calls import Ask, Calls
    from evolution.labelling.request import LabelForm, LabelMaterial, check_label, read_label
    from evolution.prompts import load_prompt

    config = LlmConfig(
        options.model, base_url=options.base_url, key_variable=options.key_variable, max_reply_tokens=300
    )
    vocabulary = FieldVocabulary.from_docs([dict(doc.written) for doc in sample.docs])
    form = LabelForm(load_prompt("instruction").text, SCALE, options.model, config.parameters)

    def materials(texts: Sequence[Text]) -> Iterator[tuple[int, LabelMaterial]]:
        rows = pair_features(frame_of(texts), vocabulary).iter_rows(named=True)
        for at, (text, row) in enumerate(zip(texts, rows, strict=True)):
            yield (
                at,
                LabelMaterial(
                    row["pair_id"], text.query, text.title, text.body, text.fields, row, evidence_line(row), (), SCALE
                ),
            )

    def grade(texts: Sequence[Text]) -> list[int | None]:
        grades: list[int | None] = [None] * len(texts)
        with tempfile.TemporaryDirectory() as folder:
            opened = partial(Calls, OpenAILLM(config), run_id="run_injection", held={}, ceiling=options.concurrency)
            with opened(folder=Path(folder)) as calls:
                asks = (
                    Ask((at, one), form.request(one), partial(check_label, material=one))
                    for at, one in materials(texts)
                )
                for (at, one), answer in calls.ask_all(asks):
                    if answer.text is None:
                        failures[kind_of(answer.failure or "")] += 1
                    else:
                        grades[at] = read_label(answer.text, one).completion.grade
        return grades

    return grade


def tell(named: str, trials: Sequence[Trial], n_ungraded: int, failures: Mapping[str, int]) -> str:
    """Return the report."""
    graded = [trial for trial in trials if trial.after is not None]
    n_pairs = len({trial.pair for trial in trials})
    lines = [f"# Injection: {named}", "", f"{n_pairs} pairs, {sum(map(len, INJECTIONS.values()))} strings."]
    lost = f"{n_ungraded} pairs were not graded before and {len(trials) - len(graded)} trials not after"
    reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(failures.items())) or "no failure"
    lines += [f"{lost} ({reasons}); they are left out.", ""]
    lines += ["| where | grade turned | by its control | grade asked for | by its control |", "|---|---|---|---|---|"]
    groups: list[tuple[str, list[Trial]]] = [("all", graded)]
    groups += [(place, [t for t in graded if t.place == place]) for place in PLACES]
    groups += [(f"*{trick}*", [t for t in graded if t.trick == trick]) for trick in INJECTIONS]
    lines += [_row(name, held) for name, held in groups if held]
    turned = {trial.pair for trial in graded if trial.is_obeyed and not trial.is_control}
    by_control = {trial.pair for trial in graded if trial.is_obeyed and trial.is_control}
    lines += ["", f"Pairs that at least one string brought to the grade asked for: {_share(len(turned), n_pairs)}; "]
    lines[-1] += f"at least one control: {_share(len(by_control), n_pairs)}."
    worst = Counter(trial.string for trial in graded if trial.is_obeyed and not trial.is_control).most_common(5)
    strings = [text for _, text in every()]
    lines += ["", "The strings obeyed most:", ""]
    lines += [f"- {n} times: `{ascii(strings[number])[1:-1]}`" for number, n in worst]
    return "\n".join(lines) + "\n"


def _row(name: str, trials: Sequence[Trial]) -> str:
    cells: list[Any] = []
    for asked in ("is_turned", "is_obeyed"):
        for is_control in (False, True):
            held = [trial for trial in trials if trial.is_control == is_control]
            cells.append(_share(sum(getattr(trial, asked) for trial in held), len(held)))
    return f"| {name} | " + " | ".join(cells) + " |"


def _share(n_hits: int, n: int) -> str:
    interval = wilson(n_hits, n)
    return "–" if interval is None else f"{n_hits / n:.3f} [{interval.low:.3f}, {interval.high:.3f}] of {n}"


if __name__ == "__main__":
    main()
