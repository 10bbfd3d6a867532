"""Turn a folder of raw records into a store.

The work is cut into parts of a hundred records, each a pair of files in a hidden folder beside
the store. A killed run goes on with the parts that are missing, and since parts do not depend on
each other, it ends with the same bytes. The store appears under its name in one rename.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import multiprocessing
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import astuple, dataclass, replace
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from data_pipeline.assembly import assemble
from data_pipeline.errors import DataError
from data_pipeline.labels import LabelClass
from data_pipeline.layouts import Candidate, scan_challenge
from data_pipeline.options import PrepareOptions
from data_pipeline.parts import Part, prepare_part
from data_pipeline.preprocessing import METHOD
from data_pipeline.ptb_xl import scan_ptb_xl
from data_pipeline.store import VERSION, Store, open_store
from data_pipeline.tables import load_classes, read_patients, scan_csv

RECORDS_PER_PART = 100
Progress = Callable[[int, int], None]


def prepare_store(
    raw: Path,
    out: Path,
    options: PrepareOptions,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Store:
    """Prepare every record below `raw` into a store at `out`, and open it.

    A store that is already there and was made from the same files with the same options is
    opened as it is. progress is called with the numbers of records done and of all records.

    Raises:
        DataError: there is nothing to prepare, `out` holds something else, another process is
            preparing it, or the disk is full.
    """
    raw, out = Path(raw), Path(out)
    if jobs < 1:
        raise DataError(f"Expected at least one process, but got {jobs}.")
    classes = load_classes(options.labels)
    candidates = scan(raw, options, classes)
    if options.patients is not None:
        known = read_patients(options.patients)
        candidates = [replace(c, patient=known.get(c.record, c.patient)) for c in candidates]
    fingerprint = _fingerprint(candidates, options, classes)
    existing = _existing(out, fingerprint)
    if existing is not None:
        return existing
    work = out.parent / f".{out.name}.partial"
    try:
        with _alone(work):
            existing = _existing(out, fingerprint)
            if existing is None:
                plan = _Plan(raw, out, work, options, classes, fingerprint)
                _run(plan, candidates, jobs, progress)
    except OSError as error:
        raise _explained(error, out) from error
    except BrokenProcessPool as error:
        raise DataError(
            "Expected every process to finish, but one was killed, perhaps for lack of memory; "
            "run the same command again with fewer jobs, and it goes on where it stopped."
        ) from error
    return open_store(out)


def scan(raw: Path, options: PrepareOptions, classes: Sequence[LabelClass]) -> list[Candidate]:
    """List every record below a folder in the order in which they will be stored."""
    if not raw.is_dir():
        raise DataError(
            f"Expected a folder with ECG records at {raw}, but there is "
            f"{'a file' if raw.exists() else 'nothing'}; check the path."
        )
    if options.layout == "ptb-xl":
        candidates = scan_ptb_xl(raw)
    elif options.layout == "csv":
        candidates = scan_csv(raw, options.table, classes)
    else:
        candidates = scan_challenge(raw)
    if not candidates:
        raise DataError(
            f"Expected records (.hea files) in {raw} or its folders, but found none; "
            "check the path, or get some with `ecgscale download`."
        )
    return candidates


@dataclass(frozen=True, slots=True)
class _Plan:
    raw: Path
    out: Path
    work: Path
    options: PrepareOptions
    classes: tuple[LabelClass, ...]
    fingerprint: str

    @property
    def folder(self) -> Path:
        return self.work / self.fingerprint[:16]


def _run(
    plan: _Plan, candidates: Sequence[Candidate], jobs: int, progress: Progress | None
) -> None:
    for stale in plan.work.iterdir():
        if stale.is_dir() and stale != plan.folder:
            shutil.rmtree(stale)
    plan.folder.mkdir(exist_ok=True)
    parts = [
        Part(number, tuple(candidates[start : start + RECORDS_PER_PART]))
        for number, start in enumerate(range(0, len(candidates), RECORDS_PER_PART))
    ]
    missing = [part for part in parts if not part.rows_file(plan.folder).exists()]
    done = len(candidates) - sum(len(part.candidates) for part in missing)
    for count in _prepare_parts(missing, plan, jobs):
        done += count
        if progress is not None:
            progress(done, len(candidates))
    target = plan.work / "store"
    assemble(parts, plan.folder, target, plan.options, plan.classes, plan.fingerprint)
    target.rename(plan.out)
    shutil.rmtree(plan.work)


def _prepare_parts(parts: Sequence[Part], plan: _Plan, jobs: int) -> Iterator[int]:
    work = partial(
        prepare_part,
        raw=plan.raw,
        folder=plan.folder,
        options=plan.options,
        classes=plan.classes,
    )
    jobs = min(jobs, len(parts))
    if jobs <= 1:
        # Several threads of the linear algebra only get into each other's way on small matrices.
        with threadpool_limits(1):
            yield from map(work, parts)
        return
    # A fresh interpreter: a fork of one with threads (torch, a progress bar) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker) as pool:
        futures = [pool.submit(work, part) for part in parts]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    threadpool_limits(1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    """End this process when its parent does, which a killed parent cannot see to."""
    wait([sentinel])
    os._exit(1)


def _existing(out: Path, fingerprint: str) -> Store | None:
    """Return the store at `out` if it is the one asked for; None if there is nothing."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / "manifest.json").is_file():
        raise DataError(
            f"Expected {out} to be free or a store, but it holds something else; "
            "choose another place."
        )
    store = open_store(out)
    if store.manifest["input"] != fingerprint:
        raise DataError(
            f"Expected {out} to be free, but it holds a store of other records or other options; "
            "choose another place, or remove it first."
        )
    return store


def _fingerprint(
    candidates: Sequence[Candidate], options: PrepareOptions, classes: Sequence[LabelClass]
) -> str:
    """Return a hash of everything that is about to be prepared, with sizes and times of files."""
    digest = hashlib.sha256()
    head = [METHOD, VERSION, RECORDS_PER_PART, options.to_dict(), [astuple(c) for c in classes]]
    digest.update(json.dumps(head, sort_keys=True).encode())
    for candidate in candidates:
        digest.update(json.dumps(astuple(candidate)).encode())
    return digest.hexdigest()


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the folder `work`; the kernel lets go of it when the process ends, however it ends."""
    work.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            same = os.stat(work).st_ino == os.fstat(descriptor).st_ino
        except (BlockingIOError, FileNotFoundError):
            same = False
        if not same:
            raise DataError(
                f"Another process is preparing the store beside {work}; "
                "wait for it, or choose another place."
            )
        yield
    finally:
        os.close(descriptor)


def _explained(error: OSError, out: Path) -> DataError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DataError(
            f"Expected room for the store at {out}, but the disk is full; make room and run the "
            "same command again, and it goes on where it stopped."
        )
    return DataError(f"Expected to write a store at {out}, but that failed: {error}.")
