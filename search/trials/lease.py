"""Keeping a lease while a trial is trained, whatever the database does meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque

from sqlalchemy.exc import DBAPIError

from search.database.storage import first_line, is_outage
from search.trials.queue import Claim, Queue


class LeaseLost(Exception):
    """Another worker has the trial now; this one's result is worth nothing."""


class LeaseKeeper:
    """A thread that renews a lease and stores learning curves.

    It outlives the database: while that is away, reports wait and the training goes on.
    """

    def __init__(self, queue: Queue, claim: Claim) -> None:
        self._queue = queue
        self._claim = claim
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

    def report(self, epoch: int, value: float) -> None:
        """Hand over the score after an epoch (counted from 1); never blocks."""
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
        interval = self._queue.limits.grace_seconds / 6
        due = time.monotonic() + interval
        while not self._over.is_set() and not self.lost:
            self._wake.wait(max(due - time.monotonic(), 0.0))
            self._wake.clear()
            try:
                while self._reports and not self._over.is_set():
                    self._note(self._queue.report(self._claim, *self._reports[0]))
                    self._reports.popleft()
                    due = time.monotonic() + interval
                if time.monotonic() >= due and not self._over.is_set():
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
