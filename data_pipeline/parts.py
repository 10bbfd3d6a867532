"""One part of the preparation: a hundred records to two files, in a process of its own."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.headers import Header, read_header
from data_pipeline.labels import LabelClass, encode
from data_pipeline.layouts import Candidate
from data_pipeline.options import PrepareOptions
from data_pipeline.preprocessing import Rejected, Window, prepare_windows
from data_pipeline.signals import Checksum, MissingFile, read_leads
from data_pipeline.store import row_digest


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive records that one process prepares at a stretch."""

    number: int
    candidates: tuple[Candidate, ...]

    def signals_file(self, folder: Path) -> Path:
        """Return where the windows go: int16 (windows, leads, samples)."""
        return folder / f"{self.number:06d}.npy"

    def rows_file(self, folder: Path) -> Path:
        """Return where the rows and the rejected go; it exists once the part is complete."""
        return folder / f"{self.number:06d}.json"


def prepare_part(
    part: Part, raw: Path, folder: Path, options: PrepareOptions, classes: Sequence[LabelClass]
) -> int:
    """Prepare the records of a part; return how many there were."""
    windows: list[NDArray[np.int16]] = []
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    for candidate in part.candidates:
        try:
            header, prepared = _prepare(candidate, raw, options, classes)
        except Rejected as problem:
            rejected.append(_rejection(candidate, problem.reason, str(problem)))
            continue
        for number, window in enumerate(prepared):
            windows.append(window.signal)
            rows.append(_row(candidate, header, number, window))
    stacked = np.stack(windows) if windows else np.zeros((0, 12, options.samples), np.int16)
    signals_file, rows_file = part.signals_file(folder), part.rows_file(folder)
    temporary = folder / f"{part.number:06d}.{os.getpid()}.tmp"
    with temporary.open("wb") as stream:
        np.save(stream, stacked)
    temporary.replace(signals_file)
    # The rows come last: where they are, the signals are too.
    temporary.write_text(json.dumps({"rows": rows, "rejected": rejected}), "utf-8")
    temporary.replace(rows_file)
    return len(part.candidates)


def _prepare(
    candidate: Candidate, raw: Path, options: PrepareOptions, classes: Sequence[LabelClass]
) -> tuple[Header, list[Window]]:
    if candidate.problem is not None:
        raise Rejected(*candidate.problem)
    try:
        header = read_header(raw / candidate.path)
    except DataError as error:
        raise Rejected("bad header", str(error)) from error
    header = _with_known(header, candidate)
    if not options.keep_unlabelled and not encode(header.dx, classes).any():
        codes = ", ".join(header.dx)
        detail = f"only unscored codes: {codes}" if codes else "no codes at all"
        raise Rejected("no scored label", detail)
    try:
        if not header.segments:
            header.lead_rows()
    except DataError as error:
        raise Rejected("missing leads", str(error)) from error
    try:
        leads = read_leads(header, fix_gains=options.layout == "challenge")
    except MissingFile as error:
        raise Rejected("no signal file", str(error)) from error
    except Checksum as error:
        raise Rejected("checksum", str(error)) from error
    except DataError as error:
        raise Rejected("unreadable", str(error)) from error
    header = replace(header, samples=leads.stored.shape[1], sample_rate_hz=leads.sample_rate_hz)
    return header, prepare_windows(leads, options)


def _with_known(header: Header, candidate: Candidate) -> Header:
    """Let what a table says of a record stand above what its header says."""
    return replace(
        header,
        dx=header.dx if candidate.codes is None else candidate.codes,
        age=header.age if candidate.age is None else candidate.age,
        sex=header.sex if candidate.sex is None else candidate.sex,
    )


def _row(candidate: Candidate, header: Header, number: int, window: Window) -> dict[str, Any]:
    return {
        "record": candidate.record,
        "window": number,
        "source": candidate.source,
        "patient": candidate.patient,
        "age": None if math.isnan(header.age) else header.age,
        "sex": header.sex,
        "sample_rate_hz": header.sample_rate_hz,
        "seconds": (header.samples or 0) / header.sample_rate_hz,
        "start_seconds": window.start_seconds,
        "valid_samples": window.valid_samples,
        "flat_leads": "|".join(window.flat_leads),
        "nan_leads": "|".join(window.nan_leads),
        "clipped_samples": window.clipped_samples,
        "dx": "|".join(header.dx),
        "path": candidate.path,
        "fold": candidate.fold,
        "digest": row_digest(window.signal),
        "synthetic": header.synthetic,
    }


def _rejection(candidate: Candidate, reason: str, detail: str) -> dict[str, str]:
    return {
        "record": candidate.record,
        "source": candidate.source,
        "reason": reason,
        "detail": detail,
        "path": candidate.path,
    }
