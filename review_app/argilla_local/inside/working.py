"""The worker of background jobs: calls webhooks, and counts records anew when a dataset's number of answers changes.

A process of its own beside the server, as Argilla has it, which forks one for every job. Its standard input is held by
the server: when that ends, however it came, the worker ends too, with the job it is at.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress

from review_app.argilla_local.inside import queue_socket


def main(words: list[str]) -> int:
    """Work until SIGTERM, which waits for the job at hand, or until the server is gone. Words: workers before."""
    import argilla_server  # noqa: F401
    from argilla_server.jobs.queues import DEFAULT_QUEUE, HIGH_QUEUE, REDIS_CONNECTION
    from argilla_server.settings import settings
    from rq import Worker

    import review_app.argilla_search.adapter
    import review_app.argilla_search.quick_settings  # noqa: F401
    from review_app.argilla_local.inside.unfinished import ask_again

    worker = Worker([HIGH_QUEUE, DEFAULT_QUEUE], connection=REDIS_CONNECTION, name=f"afrel-{os.getpid()}")
    threading.Thread(target=_end_with_the_server, args=(worker,), daemon=True).start()
    if settings.redis_url == queue_socket.URL:  # of a Redis that others may use as well, leave what they do alone
        ask_again(int(words[0]))
    worker.work(with_scheduler=True, logging_level=logging.WARNING)
    return 0


def _end_with_the_server(worker: object) -> None:
    while os.read(0, 1):
        pass
    job = getattr(worker, "horse_pid", 0)
    with suppress(ProcessLookupError, PermissionError):
        if job:
            os.killpg(job, signal.SIGKILL)
    scheduler = getattr(worker, "scheduler", None)
    process = getattr(scheduler, "_process", None)
    if process is not None:
        process.kill()
    os._exit(1)
