"""Files on a disk that may be full, gone or hung: an OSError in time, never a worker that hangs."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

PATIENCE_SECONDS = 30.0

Result = TypeVar("Result")


def in_time(action: Callable[[], Result]) -> Result:
    """Return what an action on a disk returns; TimeoutError, an OSError, when it takes too long.

    A frozen file system answers no call and cannot be interrupted, so the action has a thread of
    its own, which is left behind then.
    """
    answer: list[Any] = []
    failure: list[BaseException] = []

    def act() -> None:
        try:
            answer.append(action())
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=act, name="disk", daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    if failure:
        raise failure[0]
    if not answer:
        raise TimeoutError(f"no answer within {PATIENCE_SECONDS:g} s")
    result: Result = answer[0]
    return result


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one atomic move; what was there stays when that fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):  # the disk that refused the file may refuse this as well
            partial.unlink(missing_ok=True)


def read_if_there(path: Path) -> bytes | None:
    """Read a file; None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
