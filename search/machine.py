"""What a worker needs to know of its machine: device, commit, signals, its launcher."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from search.errors import StudyError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
# Process id of a launcher: a worker ends, its trial handed back, when its launcher is gone.
PARENT_VARIABLE = "ECGSCALE_PARENT"
# Share of its GPU's memory that a worker may take, where its launcher put several on it.
MEMORY_SHARE_VARIABLE = "ECGSCALE_MEMORY_SHARE"


def choose_device(device: str) -> str:
    """Resolve "auto" to the first GPU, else the processor."""
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        raise StudyError(
            f"expected a device that torch has here, got {device!r}: use --device auto or cpu"
        )
    return device


def device_name(device: str) -> str:
    """Name the hardware: a trial's speed means nothing without it."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"cpu ({torch.get_num_threads()} threads)"


@functools.cache
def git_commit() -> str:
    """Return the commit of the running code, with + when changed, else the installed version."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=40"]
    try:
        found = subprocess.run(
            [*command, "--exclude=*"], capture_output=True, text=True, timeout=10, check=True
        )
        return found.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        from importlib.metadata import version

        return version("ecgscale")


@contextmanager
def stopping_signals() -> Iterator[threading.Event]:
    """Turn SIGTERM, SIGUSR1, Ctrl-C and a launcher's death into an event."""
    stop = threading.Event()
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is not None and parent == str(os.getppid()):
        threading.Thread(target=_watch_parent, args=(int(parent), stop), daemon=True).start()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_parent(parent: int, stop: threading.Event) -> None:
    while os.getppid() == parent and not stop.wait(1.0):
        pass
    stop.set()
