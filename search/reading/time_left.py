"""How long a study will still take: the predicted cost of every open trial, shared out to workers.

Mean trials per hour mislead: trials differ a thousandfold in cost, and which are left is chance.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.training.forecast import DeviceRate, fit_rate, typical_error

TRIALS_TO_FIT = 200  # the latest of a device: neighbours on a GPU, and so its speed, change


@dataclass(frozen=True, slots=True)
class Work:
    """Trials as the forecast sees them: one element each.

    `passes` is records seen in training, all epochs together; `seconds` what finished ones took.
    """

    device: Sequence[str]
    activations: npt.NDArray[np.float64]
    flops: npt.NDArray[np.float64]
    passes: npt.NDArray[np.float64]
    seconds: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.device)

    def of(self, device: str) -> Work:
        """Return the trials of one device."""
        mine = np.array([name == device for name in self.device], dtype=bool)
        columns = (self.activations, self.flops, self.passes, self.seconds)
        return Work([device] * int(mine.sum()), *(column[mine] for column in columns))

    def latest(self) -> Work:
        """Return the first trials, of those given latest first."""
        some = slice(0, TRIALS_TO_FIT)
        columns = (self.activations, self.flops, self.passes, self.seconds)
        return Work(self.device[some], *(column[some] for column in columns))

    def rate(self) -> DeviceRate:
        """Return the rate that fits these trials."""
        return fit_rate(self.activations, self.flops, self.passes, self.seconds)

    def typical_error(self) -> float | None:
        """Return how far off the rate is for a trial it was not fitted to; None if too few."""
        return typical_error(self.activations, self.flops, self.passes, self.seconds)

    def predicted(self, rate: DeviceRate) -> npt.NDArray[np.float64]:
        """Return the expected seconds of each trial at a rate."""
        return rate.seconds(self.activations, self.flops, self.passes)


@dataclass(frozen=True, slots=True)
class Busy:
    """A live worker: row of its trial in `running`, seconds at it, and what epochs say is done."""

    device: str
    row: int
    seconds: float
    share_done: float
    share_at_most: float


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """When the last trial will end, and what that rests on.

    `seconds` is None while no worker runs; `worker_seconds` is the work left for one worker.
    `typical_error` is the median relative error of one predicted trial, in cross-validation.
    """

    seconds: float | None
    worker_seconds: float
    workers: int
    fitted_trials: int
    typical_error: float | None


@dataclass(frozen=True, slots=True)
class Rates:
    """The rate of each device; one without finished trials gets that of all devices."""

    pooled: DeviceRate
    own: Mapping[str, DeviceRate]

    def of(self, device: str) -> DeviceRate:
        """Return the rate to use for a device."""
        return self.own.get(device, self.pooled)


def forecast(finished: Work, waiting: Work, running: Work, busy: Sequence[Busy]) -> TimeLeft | None:
    """Simulate the workers of now taking the waiting trials in their order.

    Rates are fitted to the finished trials of each device, latest first. A running trial without
    a live worker comes last. None while there is nothing to fit.
    """
    if not len(finished):
        return None
    counts = Counter(worker.device for worker in busy)
    parts = {name: finished.of(name).latest() for name in set(counts) & set(finished.device)}
    pooled = finished.latest()
    rates = Rates(pooled.rate(), {name: part.rate() for name, part in parts.items()})
    used = [parts.get(name, pooled) for name in counts] or [pooled]
    errors = [error for part in used if (error := part.typical_error()) is not None]

    alone = sorted(set(range(len(running))) - {worker.row for worker in busy})

    def queue(rate: DeviceRate) -> npt.NDArray[np.float64]:
        return np.concatenate([waiting.predicted(rate), running.predicted(rate)[alone]])

    free = [(_seconds_to_go(running, worker, rates), worker.device) for worker in busy]
    queues = {name: queue(rates.of(name)) for name in counts}
    shares = [queues[name].sum() * count / len(busy) for name, count in counts.items()]
    open_seconds = sum(shares) if busy else queue(rates.pooled).sum()
    return TimeLeft(
        seconds=_end(free, queues) if busy else None,
        worker_seconds=float(open_seconds + sum(seconds for seconds, _ in free)),
        workers=len(busy),
        fitted_trials=sum(len(part) for part in {id(part): part for part in used}.values()),
        typical_error=max(errors, default=None),
    )


def _seconds_to_go(running: Work, worker: Busy, rates: Rates) -> float:
    whole = float(running.predicted(rates.of(worker.device))[worker.row])
    # The clock says how far it is, within the epochs that it has reported.
    by_clock = worker.seconds / whole if whole > 0 else 1.0
    return whole * (1 - min(max(by_clock, worker.share_done), worker.share_at_most))


def _end(free: list[tuple[float, str]], queues: Mapping[str, npt.NDArray[np.float64]]) -> float:
    """Let whoever is free first take the next trial; return when all are done."""
    heap = list(free)
    heapq.heapify(heap)
    last = max(seconds for seconds, _ in heap)
    for row in range(len(next(iter(queues.values())))):
        seconds, device = heap[0]
        seconds += float(queues[device][row])
        heapq.heapreplace(heap, (seconds, device))
        last = max(last, seconds)
    return last
