"""Samples of WFDB records: int16 files by a reader of our own, everything else by wfdb.

The Challenge stores records as MATLAB v4 files, which are format 16 behind a header of 24 bytes;
reading them without wfdb is 20 times faster. -32768 marks a missing sample.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.headers import Header, SignalLine
from data_pipeline.other_formats import decode, missing_value
from data_pipeline.signal_files import find_signal_file
from data_pipeline.store import LEADS
from data_pipeline.units import CHALLENGE_GAIN, Scale, gains_per_mv, has_wrong_gain

Array = NDArray[np.float64]
Rows = Sequence[tuple[int, int]]
"""Where leads stand among the signals of a record, and their signs."""
INVALID = -32768
"""Stored value of a missing sample in format 16."""


class Checksum(DataError):
    """The samples are not those that the header was written for."""


@dataclass(frozen=True, slots=True, eq=False)
class Leads:
    """Twelve leads in the order of LEADS: stored (12, samples), baseline and gain (12,), float64.

    Missing samples are NaN. complete says that none is, None that nobody has looked. gain is per mV
    and negative for inverted leads; wrong_gain is one that was replaced, and scale says what
    physical values are if not millivolts.
    """

    stored: Array
    sample_rate_hz: float
    baseline: Array
    gain: Array
    complete: bool | None = None
    scale: Scale = "mV"
    wrong_gain: float | None = None
    inverted: tuple[str, ...] = ()

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


def read_leads(header: Header, *, fix_gains: bool = False, partial: bool = False) -> Leads:
    """Read the twelve leads of a record, or of one segment of a recording.

    fix_gains replaces the gains known to be wrong in copies of the Challenge by 1000 per mV.
    partial fills leads that the record lacks with NaN.

    Raises:
        DataError: a lead or the file is missing, too short or not what the header says.
    """
    rows = header.lead_rows(partial=partial)
    wrong_gain = None
    if fix_gains and has_wrong_gain(header):
        wrong_gain = header.signals[0].gain
        corrected = tuple(replace(line, gain=CHALLENGE_GAIN) for line in header.signals)
        header = replace(header, signals=corrected)
    lines = [header.signals[row] for row, _ in rows if row >= 0]
    gains, scale = gains_per_mv(lines)
    baseline, gain = np.zeros(len(LEADS)), np.ones(len(LEADS))
    there = [row >= 0 for row, _ in rows] if partial else slice(None)
    baseline[there], gain[there] = [line.baseline for line in lines], gains
    inverted = [lead for lead, (_, sign) in zip(LEADS, rows, strict=True) if sign < 0]
    if inverted:
        gain *= [sign for _, sign in rows]
    if is_plain_int16(header):
        stored, complete = _plain_leads(header, rows)
        rate = header.sample_rate_hz
    else:
        stored, rate = _other_leads(header, rows)
        complete = None
    return Leads(
        stored=stored,
        sample_rate_hz=rate,
        baseline=baseline,
        gain=gain,
        complete=complete,
        scale=scale,
        wrong_gain=wrong_gain,
        inverted=tuple(inverted),
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


def _plain_leads(header: Header, rows: Rows) -> tuple[Array, bool]:
    """Return stored values (12, samples), and whether none is missing."""
    digital = read_int16(header)
    check_sums(header, digital)
    chosen = [row for row, _ in rows]
    stored = digital.T.astype(np.float64, order="C")
    if chosen != list(range(len(stored))):
        stored = stored[chosen]
        stored[[row < 0 for row in chosen]] = np.nan
    complete = digital.size > 0 and min(chosen) >= 0 and int(digital.min()) != INVALID
    if not complete:
        stored[stored == INVALID] = np.nan
    return stored, complete


def _other_leads(header: Header, rows: Rows) -> tuple[Array, float]:
    """Return stored values (12, samples) of any format, and their rate in Hz."""
    digital = decode(header)
    for line, signal in zip(header.signals, digital, strict=True):
        _check_sum(line, int(signal.sum()))
    lines = [header.signals[row] for row, _ in rows if row >= 0]
    per_frame = {line.samples_per_frame for line in lines}
    if len(per_frame) > 1:
        rates = ", ".join(f"{header.sample_rate_hz * n:g} Hz" for n in sorted(per_frame))
        raise DataError(f"has leads of several sampling rates: {rates}")
    factor = per_frame.pop() if per_frame else 1
    # A skewed signal was stored late, so its last samples are not in the file.
    late = max((line.skew for line in lines), default=0) * factor
    samples = max((len(digital[row]) for row, _ in rows if row >= 0), default=0) - late
    stored = np.full((len(rows), max(samples, 0)), np.nan)
    for lead, (row, _) in enumerate(rows):
        if row < 0:
            continue
        line = header.signals[row]
        start = line.skew * factor
        stored[lead] = digital[row][start : start + stored.shape[1]]
        stored[lead][stored[lead] == missing_value(line)] = np.nan
    return stored, header.sample_rate_hz * factor


def read_int16(header: Header) -> NDArray[np.int16]:
    """Return what is stored (samples, signals) of a record that is plain int16."""
    first, count = header.signals[0], len(header.signals)
    try:
        try:
            stream = (header.path.parent / first.file).open("rb")
        except FileNotFoundError:
            stream = find_signal_file(header.path, first.file).open("rb")
        with stream:
            size = max(os.fstat(stream.fileno()).st_size - first.byte_offset, 0)
            available = size // (2 * count)
            samples = available if header.samples is None else header.samples
            if samples > available:
                raise DataError(f"truncated: {available} of {samples} samples")
            stream.seek(first.byte_offset)
            stored = np.fromfile(stream, dtype="<i2", count=samples * count)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    return stored.reshape(samples, count)


def check_sums(header: Header, stored: NDArray[np.int16]) -> None:
    """Compare the sums of all samples with the header, modulo 65536."""
    count = stored.shape[1]
    # int16 wraps around as the checksum does; rows of 32 samples add up faster than single ones.
    whole = len(stored) // 32 * 32
    sums = stored[:whole].reshape(-1, 32 * count).sum(axis=0, dtype=np.int16)
    sums = sums.reshape(32, count).sum(axis=0, dtype=np.int16)
    sums += stored[whole:].sum(axis=0, dtype=np.int16)
    for line, total in zip(header.signals, sums.tolist(), strict=True):
        _check_sum(line, total)


def _check_sum(line: SignalLine, total: int) -> None:
    if line.checksum is not None and (total - line.checksum) % 65536:
        raise Checksum(f"the checksum of {line.name} does not fit")
