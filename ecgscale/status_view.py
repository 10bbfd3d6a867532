"""Progress of a study: a live page on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

from ecgscale.output import counted, duration, rate

if TYPE_CHECKING:
    from rich.console import RenderableType

    from search.reading.status import RunningWorker, StudyStatus


def counts(status: StudyStatus) -> dict[str, object]:
    """Return what is planned, done, running, waiting and failed, rate and time left."""
    facts: dict[str, object] = {
        "planned": status.planned,
        "complete": status.complete,
        "running": status.running,
        "waiting": status.waiting,
        "failed": status.failed,
    }
    if status.pruned:
        facts["halved"] = status.pruned
    facts["precision"] = status.precision or "settled by the first worker"
    if status.trials_per_hour and not status.done:
        facts["rate"] = rate(status.trials_per_hour)
    if not status.done:
        facts["time left"] = time_left(status)
    return facts


def time_left(status: StudyStatus) -> str:
    """Say when the study will end, and what that rests on."""
    left = status.time_left
    if left is None:
        return "not known before a trial has come through an epoch"
    fitted = counted(left.fitted_trials, "trial")
    off = "" if left.typical_error is None else f", typically {left.typical_error:.0%} off"
    still_open = counted(status.running + status.waiting, "open trial")
    basis = f"predicted cost of {still_open}, fitted to {fitted}{off}"
    if left.seconds is None:
        return f"no worker runs; one alone would take {duration(left.worker_seconds)} ({basis})"
    return f"about {duration(left.seconds)} with {counted(left.workers, 'worker')} ({basis})"


def line(status: StudyStatus) -> str:
    """Return the state of a study in one line."""
    words = [f"{status.complete:,} of {status.planned:,} complete"]
    words += [f"{status.running:,} running", f"{status.waiting:,} waiting"]
    if status.pruned:
        words.append(f"{status.pruned:,} halved")
    if status.failed:
        reasons = ", ".join(f"{n} × {reason}" for reason, n in status.failures.items())
        words.append(f"{status.failed} failed ({reasons})")
    if status.trials_per_hour and not status.done:
        words.append(rate(status.trials_per_hour))
    if status.seconds_left is not None:
        words.append(f"about {duration(status.seconds_left)} left")
    return f"{status.name}: {', '.join(words)}"


def worker_cells(worker: RunningWorker, epochs: int) -> tuple[str, ...]:
    """Return a worker's row: name, host, device, trial, epoch, time at it, speed, heartbeat."""
    speed = worker.records_per_second
    ago = f"{duration(worker.silent_seconds)} ago"
    return (
        worker.worker,
        worker.host,
        worker.device,
        str(worker.trial),
        f"{worker.epochs}/{epochs}",
        duration(worker.seconds),
        "–" if speed is None else f"{speed:,.0f}",
        f"{ago}: vanished?" if worker.silent else ago,
    )


COLUMNS = ("worker", "host", "device", "trial", "epochs", "at it", "records/s", "last heartbeat")


def page(status: StudyStatus) -> RenderableType:
    """Return the live page."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2))
    for name, value in counts(status).items():
        facts.add_row(name, str(value))
    for reason, number in status.failures.items():
        facts.add_row("", f"failed: {number} × {reason}")
    ended = status.complete + status.pruned + status.failed
    parts: list[RenderableType] = [
        Text(f"Study {status.name}", style="bold"),
        ProgressBar(total=max(status.planned, 1), completed=ended),
        facts,
    ]
    if status.workers:
        table = Table(header_style="bold", box=None)
        for name in COLUMNS:
            table.add_column(name, overflow="fold")
        for worker in status.workers:
            style = "yellow" if worker.silent else ""
            table.add_row(*worker_cells(worker, status.epochs), style=style)
        parts.append(table)
    parts.append(Text(f"{datetime.now().astimezone():%H:%M:%S %Z}", style="dim"))
    return Group(*parts)


class StatusView:
    """Show one status after another: a page that changes in place, or plain lines.

    Plain lines come `interval_seconds` apart at least, and for the last status.
    """

    def __init__(
        self, *, quiet: bool = False, stream: TextIO | None = None, interval_seconds: float = 10.0
    ) -> None:
        self._quiet, self._stream = quiet, stream or sys.stdout
        self._interval_seconds = interval_seconds
        self._said_at: float | None = None
        self._said = ""
        self._live: Any = None

    def __enter__(self) -> StatusView:
        if self._stream.isatty() and not self._quiet:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), auto_refresh=False)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, status: StudyStatus) -> None:
        """Show a status."""
        if self._live is not None:
            self._live.update(page(status), refresh=True)
        elif not self._quiet and self._due(status):
            self._said_at, self._said = time.monotonic(), line(status)
            print(self._said, file=self._stream, flush=True)

    def _due(self, status: StudyStatus) -> bool:
        if self._said_at is None:
            return True
        late = time.monotonic() - self._said_at >= self._interval_seconds
        return late or (status.done and line(status) != self._said)
