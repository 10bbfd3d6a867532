"""One part of the preparation: a hundred records to two files, in a process of its own."""

from __future__ import annotations

import errno
import json
import math
import os
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.headers import Header, read_header
from data_pipeline.labels import LabelClass, encode
from data_pipeline.layouts import Candidate
from data_pipeline.memory import require_memory
from data_pipeline.options import PrepareOptions
from data_pipeline.preprocessing import Rejected, Window, prepare_windows
from data_pipeline.segments import read_recording
from data_pipeline.signal_files import MissingFile
from data_pipeline.signals import Checksum, Leads
from data_pipeline.store import row_digest
from data_pipeline.units import Scale, UnknownUnit


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

    def journal(self, folder: Path) -> Path:
        """Return where the path of the record that is being prepared is noted, if asked for."""
        return folder / f"{self.number:06d}.now"


def prepare_part(
    part: Part,
    raw: Path,
    folder: Path,
    options: PrepareOptions,
    classes: Sequence[LabelClass],
    *,
    killers: Collection[str] = (),
    journal: bool = False,
) -> int:
    """Prepare the records of a part; return how many there were.

    Whatever a record does, it costs that record alone. killers are the paths of records that
    ended a process before; journal notes which record is being prepared, should it end this one.
    """
    windows: list[NDArray[np.int16]] = []
    rows: list[dict[str, Any]] = []
    rejected: list[dict[str, str]] = []
    segments: list[str] = []
    codes: Counter[str] = Counter()
    known = {code for c in classes for code in c.codes}
    for candidate in part.candidates:
        if journal:
            part.journal(folder).write_text(candidate.path, "utf-8")
        try:
            if candidate.path in killers:
                raise Rejected("killed", "its process was killed twice, perhaps for lack of memory")
            header = _header(candidate, raw)
            codes.update(set(header.dx) - known)
            segments += [
                str(Path(candidate.path).with_name(f"{s}.hea")) for s, _ in header.segments
            ]
            leads, prepared = _prepare(candidate, header, options, classes)
        except Exception as error:
            rejected.append(_rejection(candidate, *_reason(error)))
            continue
        header = replace(header, samples=leads.stored.shape[1], sample_rate_hz=leads.sample_rate_hz)
        for number, window in enumerate(prepared):
            windows.append(window.signal)
            rows.append(_row(candidate, header, leads, number, window))
    stacked = np.stack(windows) if windows else np.zeros((0, 12, options.samples), np.int16)
    signals_file, rows_file = part.signals_file(folder), part.rows_file(folder)
    temporary = folder / f"{part.number:06d}.{os.getpid()}.tmp"
    with temporary.open("wb") as stream:
        np.save(stream, stacked)
    temporary.replace(signals_file)
    # The rows come last: where they are, the signals are too.
    result = {"rows": rows, "rejected": rejected, "codes": codes, "segments": segments}
    temporary.write_text(json.dumps(result), "utf-8")
    temporary.replace(rows_file)
    return len(part.candidates)


def _reason(error: Exception) -> tuple[str, str]:
    """Return why a record is excluded, in few words and in more.

    Raises:
        OSError: the machine is at its limits, which is not the record's fault.
    """
    if isinstance(error, Rejected):
        return error.reason, str(error)
    if isinstance(error, MemoryError):
        return "no memory", str(error) or "there was not enough memory for it"
    if isinstance(error, OSError) and error.errno in _LIMITS:
        raise error
    return "unexpected error", f"{type(error).__name__}: {error}"


def _header(candidate: Candidate, raw: Path) -> Header:
    if candidate.problem is not None:
        raise Rejected(*candidate.problem)
    try:
        header = read_header(raw / candidate.path)
    except DataError as error:
        raise Rejected("bad header", str(error)) from error
    return _with_known(header, candidate)


def _prepare(
    candidate: Candidate, header: Header, options: PrepareOptions, classes: Sequence[LabelClass]
) -> tuple[Leads, list[Window]]:
    labelled = options.keep_unlabelled or candidate.labelled
    if not labelled and not encode(header.dx, classes).any():
        detail = f"only codes of no class: {', '.join(header.dx)}" if header.dx else "no codes"
        raise Rejected("no scored label", detail)
    try:
        if not header.segments:
            header.lead_rows()
    except DataError as error:
        raise Rejected("missing leads", str(error)) from error
    require_memory(header, options.sample_rate_hz)
    try:
        leads = read_recording(header, fix_gains=options.layout == "challenge")
    except MissingFile as error:
        raise Rejected("no signal file", str(error)) from error
    except Checksum as error:
        raise Rejected("checksum", str(error)) from error
    except UnknownUnit as error:
        raise Rejected("units", str(error)) from error
    except DataError as error:
        raise Rejected("unreadable", str(error)) from error
    if not _known_scale(leads.scale, options):
        raise Rejected("units", f"{_NO_SCALE[leads.scale]}; --standardise lead needs no scale")
    return leads, prepare_windows(leads, options)


_LIMITS = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}
_NO_SCALE: dict[Scale, str] = {
    "NU": "normalised units (NU) are no millivolts",
    "uncalibrated": "no gain in the header, so that the amplitude is not known",
    "mixed": "some leads in millivolts, others not",
}


def _known_scale(scale: Scale, options: PrepareOptions) -> bool:
    """Whether the scale of a record's leads is known as far as the options need it."""
    if options.standardise == "lead":
        return True
    return scale == "mV" or (options.standardise == "record" and scale != "mixed")


def _with_known(header: Header, candidate: Candidate) -> Header:
    """Let what a table says of a record stand above what its header says."""
    return replace(
        header,
        dx=header.dx if candidate.codes is None else candidate.codes,
        age=header.age if candidate.age is None else candidate.age,
        sex=header.sex if candidate.sex is None else candidate.sex,
    )


def _row(
    candidate: Candidate, header: Header, leads: Leads, number: int, window: Window
) -> dict[str, Any]:
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
        "scale": leads.scale,
        "gain_corrected": leads.wrong_gain,
        "inverted": bool(leads.inverted),
    }


def _rejection(candidate: Candidate, reason: str, detail: str) -> dict[str, str]:
    return {
        "record": candidate.record,
        "source": candidate.source,
        "reason": reason,
        "detail": detail,
        "path": candidate.path,
    }
