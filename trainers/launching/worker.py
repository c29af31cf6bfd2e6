"""One of the processes of a run: `python -m trainers.launching.worker TASK`, started by `launching.launcher`.

It joins the others, trains as a process alone would, and ends when whoever started it does: stdin is a pipe that
nobody writes to, and its end means that the other side is gone. A mistake of the user's goes to the task's folder.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from accelerate import PartialState

from storage.errors import UserError
from trainers.launching.processes import Processes, processes, wait_for_all
from trainers.launching.task import Task, read_task, write_mistake
from trainers.runs.directory import RunDirectory


def main() -> None:
    """Train as one of the processes of a task; exit status 2 after a user's mistake."""
    task = read_task(Path(sys.argv[1]))
    threading.Thread(target=_end_with_the_launcher, daemon=True).start()
    state = PartialState(cpu=task.is_cpu)
    here = processes()
    try:
        _train(task, here)
        wait_for_all()
    except UserError as error:
        write_mistake(task, here.rank, str(error))
        sys.stdout.flush()
        os._exit(2)  # not by way of the group, in which the others wait for this one
    state.destroy_process_group()


def _train(task: Task, here: Processes) -> None:
    run = RunDirectory(task.run, is_writer=here.is_first)
    tell = _tell if here.is_first else _keep_quiet
    if task.method == "sft":
        from trainers.sft import train as sft
        from trainers.sft.config import SftConfig

        sft.train(SftConfig.model_validate(task.config), task.snapshot, run=run, tell=tell)
        return
    from trainers.dapt import train as dapt
    from trainers.dapt.config import DaptConfig

    dapt.train(DaptConfig.model_validate(task.config), task.snapshot, run=run, tell=tell)


def _tell(line: str) -> None:
    print(line, flush=True)


def _keep_quiet(line: str) -> None:
    """Leave telling to the first process."""


def _end_with_the_launcher() -> None:
    while os.read(0, 1):  # not by sys.stdin, whose lock the interpreter wants when it ends
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
