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

Array = NDArray[np.float64]
INVALID = -32768
"""Stored value of a missing sample in format 16."""
DIGITAL_GAINS_OF_THE_CHALLENGE = frozenset({200.0, 4880.0, 2_000_000.0})
"""Gains per mV that copies of 2020 give by mistake; the data of every database are at 1000."""


class Checksum(DataError):
    """The samples are not those that the header was written for."""


@dataclass(frozen=True, slots=True, eq=False)
class Leads:
    """Twelve leads in the order of LEADS: stored (12, samples), baseline and gain (12,), float64.

    Missing samples are NaN. complete says that none is, None that nobody has looked.
    """

    stored: Array
    sample_rate_hz: float
    baseline: Array
    gain: Array
    complete: bool | None = None

    @property
    def values(self) -> Array:
        """Physical values (12, samples)."""
        return (self.stored - self.baseline[:, None]) / self.gain[:, None]

    @classmethod
    def of_values(cls, values: Array, sample_rate_hz: float) -> Leads:
        """Hold values that are physical already."""
        return cls(values, sample_rate_hz, np.zeros(len(values)), np.ones(len(values)))

    def missing(self) -> list[int]:
        """Return the leads with missing samples."""
        if self.complete:
            return []
        return np.flatnonzero(~np.isfinite(self.stored).all(axis=1)).tolist()


def read_leads(header: Header, *, fix_gains: bool = False) -> Leads:
    """Read the twelve leads of a record.

    fix_gains replaces the gains known to be wrong in copies of the Challenge by 1000 per mV.

    Raises:
        DataError: a lead or the file is missing, too short or not what the header says.
    """
    if fix_gains:
        header = replace(header, signals=tuple(corrected(line) for line in header.signals))
    if header.segments:
        return _read_by_wfdb(header)
    rows = header.lead_rows()
    if not is_plain_int16(header):
        return _read_by_wfdb(header)
    digital = read_int16(header)
    check_sums(header, digital)
    lines = [header.signals[row] for row in rows]
    stored = digital.T.astype(np.float64, order="C")
    if rows != tuple(range(len(stored))):
        stored = stored[list(rows)]
    complete = digital.size > 0 and int(digital.min()) != INVALID
    if not complete:
        stored[stored == INVALID] = np.nan
    return Leads(
        stored=stored,
        sample_rate_hz=header.sample_rate_hz,
        baseline=np.array([line.baseline for line in lines], dtype=np.float64),
        gain=np.array([line.gain for line in lines]),
        complete=complete,
    )


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
    count = stored.shape[1]
    # int16 wraps around as the checksum does; rows of 32 samples add up faster than single ones.
    whole = len(stored) // 32 * 32
    sums = stored[:whole].reshape(-1, 32 * count).sum(axis=0, dtype=np.int16)
    sums = sums.reshape(32, count).sum(axis=0, dtype=np.int16)
    sums += stored[whole:].sum(axis=0, dtype=np.int16)
    for line, total in zip(header.signals, sums.tolist(), strict=True):
        if line.checksum is not None and (total - line.checksum) % 65536:
            raise Checksum(f"the checksum of {line.name} does not fit")


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
    return Leads.of_values(values, float(record.fs))


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
