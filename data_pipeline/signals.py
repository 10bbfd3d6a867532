"""Samples of WFDB records: int16 files by a reader of our own, everything else by wfdb.

The Challenge stores records as MATLAB v4 files, which are format 16 behind a header of 24 bytes;
reading them without wfdb is 20 times faster. -32768 marks a missing sample.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.headers import Header, SignalLine

INVALID = -32768
"""Stored value of a missing sample in format 16."""
DIGITAL_GAINS_OF_THE_CHALLENGE = frozenset({200.0, 4880.0, 2_000_000.0})
"""Gains per mV that copies of 2020 give by mistake; the data of every database are at 1000."""


class Checksum(DataError):
    """The samples are not those that the header was written for."""


@dataclass(frozen=True, slots=True)
class Leads:
    """Twelve leads in the order of LEADS: float64 (12, samples), NaN where missing."""

    values: NDArray[np.float64]
    sample_rate_hz: float


def read_leads(header: Header, *, fix_gains: bool = False) -> Leads:
    """Read the twelve leads of a record in physical units.

    fix_gains replaces the gains known to be wrong in copies of the Challenge by 1000 per mV.

    Raises:
        DataError: a lead or the file is missing, too short or not what the header says.
    """
    if header.segments:
        return _read_by_wfdb(header)
    rows = header.lead_rows()
    if not is_plain_int16(header):
        return _read_by_wfdb(header)
    stored = read_int16(header)
    check_sums(header, stored)
    lines = [header.signals[row] for row in rows]
    if fix_gains:
        lines = [corrected(line) for line in lines]
    return Leads(to_physical(stored[:, rows], lines), header.sample_rate_hz)


def is_plain_int16(header: Header) -> bool:
    """Whether all signals are interleaved int16 of one file, one sample per frame."""
    first = header.signals[0]
    return first.format == "16" and all(
        (s.file, s.format, s.byte_offset) == (first.file, "16", first.byte_offset)
        and s.samples_per_frame == 1
        and s.skew == 0
        for s in header.signals
    )


def corrected(line: SignalLine) -> SignalLine:
    """Return the line with a gain known to be wrong replaced."""
    wrong = line.gain in DIGITAL_GAINS_OF_THE_CHALLENGE and line.units.lower() == "mv"
    return replace(line, gain=1000.0) if wrong else line


def read_int16(header: Header) -> NDArray[np.int16]:
    """Return what is stored (samples, signals) of a record that is plain int16."""
    first, count = header.signals[0], len(header.signals)
    path = header.path.parent / first.file
    try:
        with path.open("rb") as stream:
            available = (os.fstat(stream.fileno()).st_size - first.byte_offset) // (2 * count)
            samples = available if header.samples is None else header.samples
            if samples > available:
                raise DataError(f"truncated: {max(available, 0)} of {samples} samples")
            stream.seek(first.byte_offset)
            stored = np.fromfile(stream, dtype="<i2", count=samples * count)
    except FileNotFoundError as error:
        raise MissingFile(f"no file {first.file}") from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    return stored.reshape(samples, count)


class MissingFile(DataError):
    """A header without its signal file."""


def check_sums(header: Header, stored: NDArray[np.int16]) -> None:
    """Compare the sums of all samples with the header, modulo 65536."""
    sums = stored.sum(axis=0, dtype=np.int64)
    for line, total in zip(header.signals, sums.tolist(), strict=True):
        if line.checksum is not None and (total - line.checksum) % 65536:
            raise Checksum(f"the checksum of {line.name} does not fit")


def to_physical(stored: NDArray[np.int16], lines: list[SignalLine]) -> NDArray[np.float64]:
    """Turn stored values (samples, signals) into physical ones (signals, samples)."""
    baseline = np.array([line.baseline for line in lines], dtype=np.float64)
    gain = np.array([line.gain for line in lines])
    values = stored.T.astype(np.float64, order="C")
    missing = values == INVALID if stored.min(initial=0) == INVALID else None
    if baseline.any():
        values -= baseline[:, None]
    values /= gain[:, None]
    if missing is not None:
        values[missing] = np.nan
    return values


def _read_by_wfdb(header: Header) -> Leads:
    """Read any other format; wfdb refuses many headers, so it gets a plain one of ours."""
    import wfdb

    try:
        if header.segments:
            record = wfdb.rdrecord(str(header.path.with_suffix("")))
        else:
            with tempfile.TemporaryDirectory() as scratch:
                record = wfdb.rdrecord(_plain_copy(header, Path(scratch)))
    except FileNotFoundError as error:
        raise MissingFile(f"no file {Path(str(error.filename)).name}") from error
    except Exception as error:
        # wfdb raises whatever its parts raise on files that are not as they should be.
        raise DataError(f"wfdb cannot read it: {type(error).__name__}: {error}") from error
    if record.p_signal is None:
        raise DataError("wfdb finds no signals of one rate in it")
    lines = tuple(_named(name) for name in record.sig_name)
    rows = replace(header, signals=lines).lead_rows()
    values = np.ascontiguousarray(record.p_signal.T[list(rows)], dtype=np.float64)
    return Leads(values, float(record.fs))


def _plain_copy(header: Header, scratch: Path) -> str:
    """Write a header without dates and oddities beside links to its signal files."""
    lines = []
    for i, s in enumerate(header.signals):
        form = s.format + (f"x{s.samples_per_frame}" if s.samples_per_frame > 1 else "")
        form += (f":{s.skew}" if s.skew else "") + (f"+{s.byte_offset}" if s.byte_offset else "")
        gain = f"{s.gain!r}({s.baseline})/{s.units}"
        lines.append(f"{Path(s.file).name} {form} {gain} 16 {s.baseline} 0 0 0 {s.name or i}")
        link = scratch / Path(s.file).name
        source = header.path.parent / s.file
        if not source.is_file():
            raise FileNotFoundError(2, "No such file", s.file)
        if not link.exists():
            link.symlink_to(source.resolve())
    samples = f" {header.samples}" if header.samples else ""
    first = f"record {len(lines)} {header.sample_rate_hz:g}{samples}"
    (scratch / "record.hea").write_text("\n".join([first, *lines]) + "\n", "utf-8")
    return str(scratch / "record")


def _named(name: str) -> SignalLine:
    return SignalLine("", "16", 1, 0, 0, 1.0, 0, "mV", None, name)
