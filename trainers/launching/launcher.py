"""Start the processes of a run, pass on what the first of them tells, and say how they ended.

The verb that launches holds the run's lock and its place in the register; the processes only train. GPUs are launched
by `accelerate launch`; on a CPU accelerate starts several processes by MPI alone, so there PyTorch's launcher, which
`accelerate launch` calls for GPUs, is called directly.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from storage.errors import UserError
from storage.process.client import path_with_code
from trainers.configuration.loop import LoopConfig
from trainers.launching.choice import Launch
from trainers.launching.task import Task, read_mistake, write_task
from trainers.runs.directory import RunDirectory, checkpoint_step

LOG = "launch.log"  # in the run's folder, of a launch that failed
_WORKER = "trainers.launching.worker"
_FAILED = re.compile(r"rank\s*:\s*(\d+).*?exitcode\s*:\s*(-?\d+)", re.DOTALL)


def train_in_processes(
    launch: Launch,
    method: str,
    config: LoopConfig,
    snapshot: Path,
    *,
    run: RunDirectory,
    tell: Callable[[str], None],
) -> None:
    """Train a run in several processes, to its end.

    UserError for what a process would have told its user, and when one of them ends before its time; what is kept is
    told with it.
    """
    with tempfile.TemporaryDirectory(prefix="afrel-launch-") as name:
        folder = Path(name)
        settings = config.model_dump(mode="json")
        task = Task(folder, method, settings, snapshot.resolve(), run.path.resolve(), launch.is_cpu)
        command = launch_command(launch, write_task(task))
        tell(f"{launch.n} processes by {launch.path.name}")
        with (folder / LOG).open("w+") as log, _started(command, log.fileno()) as process:
            assert process.stdout is not None
            for line in process.stdout:
                tell(line.rstrip("\n"))
            status = process.wait()
        if status == 0:
            return
        run.drop_unfinished()
        if (mistake := read_mistake(folder)) is not None:
            raise UserError(mistake)
        shutil.copyfile(folder / LOG, run.path / LOG)
    raise UserError(_ended_in_words(run, launch, (run.path / LOG).read_text(encoding="utf-8", errors="replace")))


def launch_command(launch: Launch, task: Path) -> list[str]:
    """Return the command that starts a task's processes."""
    if launch.is_cpu:
        starts = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(launch.n)]
    else:
        starts = ["accelerate.commands.launch", "--config_file", str(launch.path), "--num_processes", str(launch.n)]
        starts += ["--main_process_port", "0"]
    return [sys.executable, "-P", "-m", *starts, "-m", _WORKER, str(task)]


@contextmanager
def _started(command: list[str], log: int) -> Iterator[subprocess.Popen[str]]:
    """Yield the launched processes, a group of their own, and end all of them with this one.

    Their stdin is a pipe whose end they wait for: they go even where this process is killed.
    """
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": path_with_code()}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _ended_in_words(run: RunDirectory, launch: Launch, log: str) -> str:
    """Return how a launch ended that left no mistake of the user's: which process, by what, and what is kept."""
    found = _FAILED.search(log, max(0, log.find("Root Cause")))  # the first to fail; others were ended for it
    if found is None:
        how = f"the {launch.n} processes of {run.run_id} ended before it was trained"
    else:
        rank, status = int(found[1]), int(found[2])
        by = f"signal {-status} ({signal.Signals(-status).name})" if status < 0 else f"exit status {status}"
        how = f"process {rank} of {launch.n} (from 0) of {run.run_id} ended by {by}, and the others with it"
    last = run.last_checkpoint()
    kept = f"the checkpoint of step {checkpoint_step(last)}" if last else "nothing but metrics: no checkpoint yet"
    return f"{how}. Kept is {kept}; the same command goes on from there. What they said: {run.path / LOG}"
