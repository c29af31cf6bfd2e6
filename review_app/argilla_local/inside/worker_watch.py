"""The worker's process as the server sees it: started, started again when it died, ended with what it is at done."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

BOOT = Path(__file__).with_name("boot.py")
MODULE = "review_app.argilla_local.inside.working"
LOOK_SECONDS = 0.5
MOST_WAIT_SECONDS = 30.0  # between two starts of a worker that dies again and again
DRAIN_SECONDS = 20.0  # for jobs that wait when the server is stopped
END_SECONDS = 10.0  # for the job at hand


class WorkerWatch:
    """Keeps one worker alive until `stop`."""

    def __init__(self) -> None:
        """Prepare; `start` starts."""
        self.n_started = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="worker watch", daemon=True)

    def start(self) -> None:
        """Start the worker and watch it."""
        self._thread.start()

    def state(self) -> dict[str, Any]:
        """Return the worker's process id, None while there is none, how often it was started, and the jobs by state."""
        from argilla_server.jobs.queues import DEFAULT_QUEUE, HIGH_QUEUE

        process, queues = self._process, (HIGH_QUEUE, DEFAULT_QUEUE)
        return {
            "pid": process.pid if process is not None and process.poll() is None else None,
            "n_started": self.n_started,
            "n_waiting": sum(queue.count + queue.scheduled_job_registry.count for queue in queues),
            "n_running": sum(queue.started_job_registry.count for queue in queues),
            "n_failed": sum(queue.failed_job_registry.count for queue in queues),
        }

    def stop(self) -> None:
        """End the worker: what waits is done first, for as long as there is patience."""
        give_up_at = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < give_up_at and self._is_busy():
            time.sleep(0.1)
        self._is_ending.set()
        self._thread.join()
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_busy(self) -> bool:
        from argilla_server.jobs.queues import DEFAULT_QUEUE, HIGH_QUEUE

        return any(queue.count or queue.started_job_registry.count for queue in (HIGH_QUEUE, DEFAULT_QUEUE))

    def _keep(self) -> None:
        wait = LOOK_SECONDS
        while not self._is_ending.wait(wait):
            if self._process is None or self._process.poll() is not None:
                began = time.monotonic()
                self._process = subprocess.Popen(
                    [sys.executable, "-I", str(BOOT), MODULE, str(self.n_started)],
                    stdin=subprocess.PIPE,  # its end tells the worker that the server is gone
                    stdout=sys.stderr.fileno(),
                )
                self.n_started += 1
                while self._process.poll() is None and not self._is_ending.wait(LOOK_SECONDS):
                    pass
                lasted = time.monotonic() - began
                wait = LOOK_SECONDS if lasted > MOST_WAIT_SECONDS else min(2 * wait, MOST_WAIT_SECONDS)
