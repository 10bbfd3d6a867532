"""Run the command line many times in a moment: everything is imported once, each call is a fork."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IMPORTED = (
    *("torch", "optuna", "typer.rich_utils", "models.export", "data_pipeline.page"),
    *("search.worker", "search.study", "search.database.storage", "analysis.report"),
)


@dataclass(frozen=True, slots=True)
class Done:
    """How a call ended; code -9 where it was ended for its time."""

    returncode: int
    stdout: str
    stderr: str
    seconds: float
    megabytes: float


class Forked:
    """A process that has imported everything, and its children that run one command each."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: object, seconds: float = 60.0, **environment: str) -> Done:
        """Run `ecgscale WORDS`, as `main` of the command line does."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        said = {name: self.folder / name for name in ("stdout", "stderr")}
        call = {
            "words": list(map(str, words)),
            "environment": environment,
            "seconds": seconds,
            "folder": str(self.folder),
        }
        self.process.stdin.write(json.dumps(call) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        read = {name: path.read_text(errors="replace") for name, path in said.items()}
        return Done(told["code"], **read, seconds=told["seconds"], megabytes=told["megabytes"])


@contextmanager
def forked(folder: Path, **environment: str) -> Iterator[Forked]:
    """Start such a process for a while; `folder` becomes the working folder of the commands."""
    made = Forked(folder, environment)
    try:
        yield made
    finally:
        assert made.process.stdin is not None
        made.process.stdin.close()
        made.process.wait(30)


def _serve() -> None:
    for name in IMPORTED:
        __import__(name)
    from ecgscale.cli import main

    # Nothing of it is kept that a command prints into.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        call: dict[str, Any] = json.loads(line)
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _command(main, call)
        answers.write(json.dumps(_end(child, began, call["seconds"])) + "\n")
        answers.flush()


def _end(child: int, began: float, seconds: float) -> dict[str, float]:
    """Wait for a child, and end it when its time is over."""
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > seconds:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "seconds": time.monotonic() - began,
        "megabytes": usage.ru_maxrss / 1e3,
    }


def _command(main: Any, call: dict[str, Any]) -> None:
    os.chdir(call["folder"])
    for number, name in ((1, "stdout"), (2, "stderr")):
        said = os.open(Path(call["folder"], name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - until the process ends
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    os.environ.update(call["environment"])
    sys.argv = ["ecgscale", *call["words"]]
    code = 0
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
