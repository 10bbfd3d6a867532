"""Keeping a lease while a trial makes progress, whatever the database does meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from search.database.storage import first_line, is_outage
from search.trials.queue import Claim, Queue

FIRST_STEP = 3.0  # times the patience: compilation, caches, tuning
SECONDS_TO_NOTICE = 60.0  # a step that ends so soon after the time limit ends the trial itself


class LeaseLost(Exception):
    """Another worker has the trial now; this one's result is worth nothing."""


class LeaseKeeper:
    """A thread that renews a lease and stores learning curves, as long as steps end.

    It outlives the database: while that is away, reports wait and the training goes on. A call
    that hangs cannot be interrupted. When no step has ended for the patience, the lease is no
    longer renewed, so that another worker takes the trial; then, or when the trial's time is over,
    `on_hang(words)` is called from this thread, to end the process.
    """

    def __init__(
        self,
        queue: Queue,
        claim: Claim,
        *,
        trial_seconds: float | None = None,
        on_hang: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._queue = queue
        self._claim = claim
        self._trial_seconds = trial_seconds
        self._on_hang = on_hang
        self._started = self._beaten = time.monotonic()
        self._begun = False
        self._reports: deque[tuple[int, float]] = deque()
        self._wake = threading.Event()
        self._over = threading.Event()
        self._lost = threading.Event()
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    @property
    def lost(self) -> bool:
        """Whether another worker has taken the trial."""
        return self._lost.is_set()

    @property
    def late(self) -> bool:
        """Whether the trial has had its time."""
        limit = self._trial_seconds
        return limit is not None and time.monotonic() - self._started > limit

    @property
    def time_limit(self) -> str:
        """Say which limit a late trial has passed."""
        return f"time limit: {self._trial_seconds:g} s were not enough"

    def beat(self) -> None:
        """Say that a step has ended."""
        self._begun, self._beaten = True, time.monotonic()

    def report(self, epoch: int, value: float) -> None:
        """Hand over the score after an epoch (counted from 1); never blocks."""
        self.beat()
        self._reports.append((epoch, value))
        self._wake.set()

    def __enter__(self) -> LeaseKeeper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._wake.set()
        # The thread may hang in a dead connection; what it has not stored, `finish` stores.
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        limits = self._queue.limits
        interval = limits.grace_seconds / 6
        look = min(interval, limits.patience_seconds / 6)
        due = time.monotonic() + interval
        while not self._over.is_set() and not self.lost:
            self._wake.wait(max(min(due - time.monotonic(), look), 0.0))
            self._wake.clear()
            try:
                while self._reports and not self._over.is_set():
                    self._note(self._queue.report(self._claim, *self._reports[0]))
                    self._reports.popleft()
                    due = time.monotonic() + interval
                if self._over.is_set():
                    return
                if self._hangs():
                    self._end_if_over()
                elif time.monotonic() >= due:
                    self._note(self._queue.heartbeat(self._claim))
                    due = time.monotonic() + interval
                self.trouble = None
            except DBAPIError as error:
                self.trouble = first_line(error)
                if not is_outage(error):
                    raise
                self._queue.storage.revive()
                self._over.wait(min(interval, 1.0))
                due = time.monotonic()

    def _note(self, held: bool) -> None:
        if not held:
            self._lost.set()

    @property
    def _patience_seconds(self) -> float:
        return self._queue.limits.patience_seconds * (1.0 if self._begun else FIRST_STEP)

    def _hangs(self) -> bool:
        silent = time.monotonic() - self._beaten
        noticed = min(SECONDS_TO_NOTICE, self._queue.limits.patience_seconds)
        return silent > self._patience_seconds or (self.late and silent > noticed)

    def _end_if_over(self) -> None:
        """Give up a step that hangs: when the time is over, or others had a chance to take it."""
        silent = time.monotonic() - self._beaten
        words = f"no step has ended for {silent:.0f} s"
        if self.late:
            self._queue.fail(self._claim, f"{self.time_limit} ({words})")
            self._on_hang(f"{self.time_limit}; {words}")
        elif not self._queue.holds(self._claim):
            self._on_hang(f"{words}; another worker has it")
        elif silent > self._patience_seconds + 2 * self._queue.limits.grace_seconds:
            self._queue.hand_back(self._claim)
            self._on_hang(f"{words}; handed back")
        else:
            return
        self._lost.set()
