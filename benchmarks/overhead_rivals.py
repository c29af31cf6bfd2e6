"""One way of asking a server n things, timed in a process of its own; `evolution_overhead.py` starts it.

Each way runs in its own environment, so nothing here imports this repository but `afrel`, which is what is measured.
Prints one line of JSON: seconds from the first request to the last reply, of a small run and of a large one, so that
what a framework takes to start can be told from what a request costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

SYSTEM = "You judge how well a document answers a search query. " * 20
SCHEMA = {
    "type": "object",
    "properties": {"grade": {"type": "integer", "enum": [0, 1, 2, 3]}, "verdict": {"type": "string"}},
    "required": ["grade", "verdict"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA}}


def question(n: int) -> str:
    """Return the n-th thing to ask: none is asked twice, so nothing can be answered from a cache."""
    return f"<query>\nred mug number {n}\n</query>\n<document>\nmug in colour {n % 7}\n</document>\n" + "evidence " * 20


def messages(n: int) -> list[dict[str, str]]:
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question(n)}]


def ask_openai(url: str, first: int, n: int, in_flight: int) -> int:
    """A bare loop over the client most programs use: as many tasks as may be in flight, each asking one by one."""
    from openai import AsyncOpenAI

    async def run() -> int:
        client: Any  # what it takes is typed as its own dicts, which ours are
        async with AsyncOpenAI(api_key="none", base_url=url, max_retries=0) as client:

            async def ask(number: int) -> bool:
                reply = await client.chat.completions.create(
                    model="m",
                    messages=messages(number),
                    response_format=FORMAT,
                    temperature=0,
                )
                return bool(reply.choices[0].message.content)

            return await _by_tasks(ask, first, n, in_flight)

    return asyncio.run(run())


def ask_aiohttp(url: str, first: int, n: int, in_flight: int) -> int:
    """The least a client can do."""
    import aiohttp  # type: ignore[import-not-found]

    async def run() -> int:
        connector = aiohttp.TCPConnector(limit=in_flight)
        async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer none"}) as session:

            async def ask(number: int) -> bool:
                body = {"model": "m", "messages": messages(number), "response_format": FORMAT, "temperature": 0}
                async with session.post(f"{url}/chat/completions", json=body) as reply:
                    return bool((await reply.json())["choices"][0]["message"]["content"])

            return await _by_tasks(ask, first, n, in_flight)

    return asyncio.run(run())


async def _by_tasks(ask: Callable[[int], Any], first: int, n: int, in_flight: int) -> int:
    numbers = iter(range(first, first + n))

    async def work() -> int:
        return sum([await ask(number) for number in numbers])

    return sum(await asyncio.gather(*(work() for _ in range(in_flight))))


def ask_afrel(url: str, first: int, n: int, in_flight: int, note: Callable[[int], None] | None = None) -> int:
    """What `afrel label` does with a server: ledger, synced spool, checked replies, adapting pace.

    `note` takes how many replies are there, after each.
    """
    from pathlib import Path

    from evolution.calls.llm import Message, Request
    from evolution.calls.llm_config import LlmConfig
    from evolution.calls.openai_llm import OpenAILLM
    from evolution.calls.paid_calls import Ask, Calls

    def check(text: str) -> str | None:
        return None if json.loads(text)["grade"] in (0, 1, 2, 3) else "off the scale"

    def ask(number: int) -> Ask[int]:
        told = tuple(Message(one["role"], one["content"]) for one in messages(number))
        request = Request("label", "label", told, SCHEMA, None, "m", "template", {"temperature": 0})
        return Ask(number, request, check)

    llm = OpenAILLM(LlmConfig("m", base_url=url, key_variable=None))
    n_good = 0
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder,
        Calls(llm, folder=Path(folder), run_id="run_0", held={}, ceiling=in_flight) as calls,
    ):
        for place, (_, answer) in enumerate(calls.ask_all(ask(number) for number in range(first, first + n)), 1):
            n_good += answer.text is not None
            if note is not None:
                note(place)
    return n_good


def ask_distilabel(url: str, first: int, n: int, in_flight: int) -> int:
    from distilabel.models import OpenAILLM  # type: ignore[import-not-found]
    from distilabel.pipeline import Pipeline  # type: ignore[import-not-found]
    from distilabel.steps import LoadDataFromDicts  # type: ignore[import-not-found]
    from distilabel.steps.tasks import TextGeneration  # type: ignore[import-not-found]

    rows = [{"instruction": question(number), "system_prompt": SYSTEM} for number in range(first, first + n)]
    with Pipeline(name=f"overhead-{first}") as pipeline:
        load = LoadDataFromDicts(data=rows, batch_size=in_flight)
        llm = OpenAILLM(
            model="m", base_url=url, api_key="none", generation_kwargs={"temperature": 0.0, "max_new_tokens": 200}
        )
        generate = TextGeneration(llm=llm, input_batch_size=in_flight)
        load >> generate
    made = pipeline.run(use_cache=False)
    return sum(text is not None for text in made["default"]["train"]["generation"])


def ask_curator(url: str, first: int, n: int, in_flight: int) -> int:
    from bespokelabs import curator  # type: ignore[import-not-found]

    class Asker(curator.LLM):  # type: ignore[misc]
        def prompt(self, input: dict[str, Any]) -> list[dict[str, str]]:
            return messages(input["number"])

        def parse(self, input: dict[str, Any], response: str) -> dict[str, Any]:
            return {"number": input["number"], "reply": response}

    limits = {"max_requests_per_minute": 10**7, "max_tokens_per_minute": 10**10, "max_concurrent_requests": in_flight}
    asker = Asker(
        model_name="gpt-4o-mini",
        backend="openai",
        backend_params={**limits, "base_url": url, "api_key": "none", "max_retries": 0},
        generation_params={"temperature": 0.0},
    )
    made = asker([{"number": number} for number in range(first, first + n)])
    rows = made.dataset if hasattr(made, "dataset") else made
    return sum(reply is not None for reply in rows["reply"])


WAYS: dict[str, Callable[[str, int, int, int], int]] = {
    "openai": ask_openai,
    "aiohttp": ask_aiohttp,
    "afrel": ask_afrel,
    "distilabel": ask_distilabel,
    "curator": ask_curator,
}


def main() -> None:
    """Run one way with a few requests and with many."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=sorted(WAYS))
    parser.add_argument("url")
    parser.add_argument("in_flight", type=int)
    parser.add_argument("few", type=int, help="requests of the small run; 0 leaves it out")
    parser.add_argument("many", type=int)
    given = parser.parse_args()
    ask = WAYS[given.way]
    told: dict[str, Any] = {}
    # the first run is for imports and caches only
    for name, first, n in (("warm", 2 * 10**7, given.few), ("few", 10**7, given.few), ("many", 0, given.many)):
        if not n:
            continue
        began, cpu = time.perf_counter(), time.process_time()
        n_good = ask(given.url, first, n, given.in_flight)
        told[name] = {"n": n, "seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
        if n_good != n:
            sys.exit(f"{given.way}: {n - n_good} of {n} requests without a reply")
    told["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main()
