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
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields, replace
from functools import partial
from operator import attrgetter
from pathlib import Path

from data_pipeline.assembly import assemble, write_excluded
from data_pipeline.errors import DataError
from data_pipeline.joins import add_patients
from data_pipeline.layouts import Candidate, Scan, scan_challenge
from data_pipeline.options import PrepareOptions
from data_pipeline.parts import Part, prepare_part
from data_pipeline.preprocessing import METHOD
from data_pipeline.processes import run_parts
from data_pipeline.ptb_xl import scan_ptb_xl
from data_pipeline.store import EXCLUDED, VERSION, Store, open_store
from data_pipeline.summary import NothingLeft
from data_pipeline.tables import load_classes, scan_csv

READING = 2
"""Counts up when files are read otherwise, so that a preparation does not go on with old parts."""
RECORDS_PER_PART = 100
Progress = Callable[[int, int], None]


def prepare_store(
    raw: Path,
    out: Path,
    options: PrepareOptions,
    *,
    jobs: int = 1,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> Store:
    """Prepare every record below `raw` into a store at `out`, and open it.

    A store that is already there and was made from the same files with the same options is
    opened as it is. progress is called with the numbers of records done and of all records, tell
    with a sentence where something happened that a user should know.

    Raises:
        DataError: there is nothing to prepare, `out` holds something else, another process is
            preparing it, or the disk is full.
    """
    raw, out = Path(raw), Path(out)
    if jobs < 1:
        raise DataError(f"Expected at least one process, but got {jobs}.")
    tell = tell or (lambda _: None)
    scanned = scan(raw, options)
    fingerprint = _fingerprint(scanned, options)
    existing = _existing(out, fingerprint)
    work = out.parent / f".{out.name}.partial"
    if existing is None:
        try:
            with _alone(work):
                existing = _existing(out, fingerprint)
                if existing is None:
                    _run(_Plan(raw, out, work, options, scanned, fingerprint), jobs, progress, tell)
        except OSError as error:
            raise _explained(error, out) from error
    if existing is not None:
        tell(f"{out} was made from the same files with the same options before; nothing to do.")
    return existing or open_store(out)


def scan(raw: Path, options: PrepareOptions) -> Scan:
    """List every record below a folder in the order in which they will be stored."""
    if not raw.is_dir():
        raise DataError(
            f"Expected a folder with ECG records at {raw}, but there is "
            f"{'a file' if raw.exists() else 'nothing'}; check the path."
        )
    if options.layout == "csv":
        # The default label table gives way to what the records' own table names.
        given = None if options.labels == "challenge" else load_classes(options.labels)
        official = options.split == "official"
        found = scan_csv(raw, options.table, given, folds=options.folds, official=official)
    else:
        reader = scan_ptb_xl if options.layout == "ptb-xl" else scan_challenge
        found = Scan(reader(raw), load_classes(options.labels))
    if not found.candidates:
        raise DataError(
            f"Expected records (.hea files) in {raw} or its folders, but found none; "
            "check the path, or get some with `ecgscale download`."
        )
    if options.patients is None:
        return found
    candidates, join = add_patients(found.candidates, options.patients, raw)
    return replace(found, candidates=candidates, joins=(*found.joins, join))


@dataclass(frozen=True, slots=True)
class _Plan:
    raw: Path
    out: Path
    work: Path
    options: PrepareOptions
    scan: Scan
    fingerprint: str

    @property
    def folder(self) -> Path:
        return self.work / self.fingerprint[:16]


def _run(plan: _Plan, jobs: int, progress: Progress | None, tell: Callable[[str], None]) -> None:
    for stale in plan.work.iterdir():
        if stale.is_dir() and stale != plan.folder:
            shutil.rmtree(stale)
    plan.folder.mkdir(exist_ok=True)
    candidates = plan.scan.candidates
    parts = [
        Part(number, tuple(candidates[start : start + RECORDS_PER_PART]))
        for number, start in enumerate(range(0, len(candidates), RECORDS_PER_PART))
    ]
    missing = [part for part in parts if not part.rows_file(plan.folder).exists()]
    done = len(candidates) - sum(len(part.candidates) for part in missing)
    work = partial(
        prepare_part,
        raw=plan.raw,
        folder=plan.folder,
        options=plan.options,
        classes=plan.scan.classes,
    )
    for count in run_parts(missing, work, plan.folder, jobs, tell):
        done += count
        if progress is not None:
            progress(done, len(candidates))
    target = plan.work / "store"
    try:
        assemble(parts, plan.folder, target, plan.options, plan.scan, plan.fingerprint)
    except NothingLeft as nothing:
        plan.out.mkdir(exist_ok=True)
        write_excluded(plan.out / EXCLUDED, nothing.excluded)
        shutil.rmtree(plan.work)
        raise DataError(nothing.told(plan.raw, plan.out / EXCLUDED)) from None
    (plan.out / EXCLUDED).unlink(missing_ok=True)
    target.rename(plan.out)
    shutil.rmtree(plan.work)


def _existing(out: Path, fingerprint: str) -> Store | None:
    """Return the store at `out` if it is the one asked for; None if there is nothing."""
    # The list of excluded records is all that a preparation leaves of which nothing was left.
    if not out.exists() or (out.is_dir() and {p.name for p in out.iterdir()} <= {EXCLUDED}):
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


def _fingerprint(scanned: Scan, options: PrepareOptions) -> str:
    """Return a hash of everything that is about to be prepared, with sizes and times of files."""
    digest = hashlib.sha256()
    classes = [astuple(c) for c in scanned.classes]
    head = [METHOD, READING, VERSION, RECORDS_PER_PART, options.to_dict(), classes]
    digest.update(json.dumps(head, sort_keys=True).encode())
    # As astuple does, without its copies of what cannot be changed anyway.
    values = attrgetter(*(field.name for field in fields(Candidate)))
    for candidate in scanned.candidates:
        digest.update(json.dumps(values(candidate)).encode())
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
