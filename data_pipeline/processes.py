"""Parts of the preparation on several processes, of which any may be killed."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from data_pipeline.errors import DataError
from data_pipeline.parts import Part

Work = Callable[..., int]
_DEATHS = 2
"""How often a record may end a process of its own before it is excluded."""


def run_parts(
    parts: Sequence[Part], work: Work, folder: Path, jobs: int, tell: Callable[[str], None]
) -> Iterator[int]:
    """Call `work(part)` on up to `jobs` processes; yield the records of every part when done.

    A process that is killed is made up for: the parts that were under way are done again alone,
    and a record that ends its process again and again is excluded.
    """
    jobs = min(jobs, len(parts))
    if jobs <= 1:
        # Several threads of the linear algebra only get into each other's way on small matrices.
        with threadpool_limits(1):
            yield from map(work, parts)
        return
    left = {part.number: part for part in parts}
    while left:
        running: dict[Future[int], Part] = {}
        try:
            with _pool(jobs) as pool:
                try:
                    running |= {pool.submit(work, part): part for part in left.values()}
                    for future in as_completed(running):
                        count = future.result()
                        del left[running[future].number]
                        yield count
                finally:
                    pool.shutdown(cancel_futures=True)
        except BrokenProcessPool:
            tell("a process was killed, perhaps for lack of memory; its records are tried again")
            # Parts begin in their order, so those that were under way are the first.
            for part in list(left.values())[: 2 * jobs]:
                del left[part.number]
                yield _alone(part, work, folder)


def _alone(part: Part, work: Work, folder: Path) -> int:
    """Do one part in one process after the other, until none of its records kills it."""
    deaths: Counter[str] = Counter()
    while True:
        killers = frozenset(path for path, n in deaths.items() if n >= _DEATHS)
        try:
            with _pool(1) as pool:
                return pool.submit(work, part, killers=killers, journal=True).result()
        except BrokenProcessPool:
            journal = part.journal(folder)
            path = journal.read_text("utf-8") if journal.exists() else ""
            deaths[path] += 1
            if path in killers or (not path and deaths[path] > _DEATHS):
                raise DataError(
                    "Expected every process to finish, but one after the other was killed, "
                    "perhaps for lack of memory; run the same command again with fewer jobs, and "
                    "it goes on where it stopped."
                ) from None


def _pool(jobs: int) -> ProcessPoolExecutor:
    # A fresh interpreter: a fork of one with threads (torch, a progress bar) may hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker)


def _start_worker() -> None:
    threadpool_limits(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when its parent does, which a killed parent cannot see to."""
    wait([sentinel])
    os._exit(1)
