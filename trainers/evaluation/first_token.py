"""How long a grade takes: one pair a request, from its text to the grade's probabilities, on this machine as it is.

A figure of this machine at this moment, so it is told with the hardware. Nothing is batched and nothing cached: what a
request shares with others in a server makes it faster than this.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from trainers.evaluation.metrics import N_RESAMPLES, Measure, with_interval
from trainers.models.ranker import Ranker
from trainers.models.scoring import score_texts

N_WARM_UP = 3
N_REQUESTS = 200
BUDGET_SECONDS = 20.0


def first_token_times(ranker: Ranker, prompts: Sequence[str], *, budget: float = BUDGET_SECONDS) -> list[float]:
    """Return the milliseconds that each of the first prompts took, by itself; as many as the budget in seconds lets."""
    found: list[float] = []
    started = time.perf_counter()
    for at, prompt in enumerate([*prompts[:N_WARM_UP], *prompts[:N_REQUESTS]]):
        before = time.perf_counter()
        score_texts(ranker.model, ranker.tokenizer, [prompt], ranker.grade_token_ids)  # its copy to the host waits
        after = time.perf_counter()
        if at >= min(N_WARM_UP, len(prompts)):
            found.append(1000 * (after - before))
        if found and after - started > budget:
            break
    return found


def latency_measures(milliseconds: Sequence[float], *, seed: int = 0) -> list[Measure]:
    """Return the 50th and 99th percentile of request times, their intervals over resampled requests; n counts them."""
    if not milliseconds:
        return []
    times = np.array(milliseconds)
    drawn = times[np.random.default_rng(seed).integers(0, len(times), (N_RESAMPLES, len(times)))]
    return [
        with_interval(
            f"first_token_ms_p{q}", float(np.percentile(times, q)), np.percentile(drawn, q, axis=1), len(times)
        )
        for q in (50, 99)
    ]


def hardware(device: str) -> str:
    """Return what computes: the GPU's name, or the processor's with the threads in use."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name())
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "a processor")
    return f"{name}, {torch.get_num_threads()} threads"
