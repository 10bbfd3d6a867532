"""Single ECGs as a user has them: WFDB records, folders of them, CSV files of a signal."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_pipeline.csv_files import MOST_BYTES
from data_pipeline.errors import DataError
from data_pipeline.headers import read_header
from data_pipeline.layouts import scan_challenge
from data_pipeline.segments import read_recording
from data_pipeline.store import LEADS
from definitions.files import read_at_most

_SIGNALS = (".hea", ".mat", ".dat")
_TIME = {"time": 1.0, "t": 1.0, "time_s": 1.0, "seconds": 1.0, "time_ms": 1e-3, "ms": 1e-3}
"""Columns of time in a CSV, and how many seconds their unit has."""
_JITTER = 0.01
"""Share by which two steps of time may differ and still be of one rate."""


@dataclass(frozen=True, slots=True, eq=False)
class Ecg:
    """One raw ECG: float64 (leads, samples) in mV, NaN where missing; `leads` names its rows."""

    signal_mv: NDArray[np.float64]
    rate_hz: float
    leads: tuple[str, ...]


def list_ecgs(paths: Sequence[Path]) -> list[Path]:
    """Return the headers and CSV files meant by paths: of a folder, every WFDB record below it.

    Raises:
        DataError: there is nothing at a path, or no record in a folder.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = [path / c.path for c in scan_challenge(path)]
            if not below:
                raise DataError(
                    f"Expected WFDB records (.hea files) in {path} or its folders, but found none; "
                    "name CSV files of signals one by one."
                )
            found += below
        elif path.suffix.lower() == ".csv":
            found.append(path)
        else:
            stem = path.with_suffix("") if path.suffix.lower() in _SIGNALS else path
            found.append(stem.with_name(f"{stem.name}.hea"))
    return list(dict.fromkeys(found))


def read_ecg(path: Path, *, csv_rate_hz: float | None = None, fix_gains: bool = False) -> Ecg:
    """Read a WFDB record by its header, or a CSV with a column per lead, in mV.

    A CSV without a column of time (time or time_s in seconds, time_ms) needs `csv_rate_hz`;
    fix_gains replaces the gains known to be wrong in copies of the Challenge.

    Raises:
        DataError: it cannot be read; the message is the reason alone.
    """
    if path.suffix.lower() == ".csv":
        return _read_csv(path, csv_rate_hz)
    leads = read_recording(read_header(path), fix_gains=fix_gains)
    return Ecg(leads.values, leads.sample_rate_hz, LEADS)


def _read_csv(path: Path, rate_hz: float | None) -> Ecg:
    try:
        content = io.BytesIO(read_at_most(path, MOST_BYTES))
        table = pd.read_csv(content, sep=None, engine="python", encoding="utf-8-sig")
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"cannot be read: {error}") from error
    table.columns = [str(name).strip() for name in table.columns]
    times = [name for name in table.columns if name.lower() in _TIME]
    signals = table.drop(columns=times).apply(pd.to_numeric, errors="coerce")
    wrong = [name for name in signals if table[name].notna().ne(signals[name].notna()).any()]
    known = {lead.upper() for lead in LEADS}
    wrong = [name for name in wrong if name.upper() in known]
    if wrong:
        raise DataError(f"has cells that are no numbers in {', '.join(wrong)}")
    if rate_hz is None:
        rate_hz = _rate_of(table[times[0]], _TIME[times[0].lower()]) if times else None
    if rate_hz is None:
        raise DataError("says nothing of its sampling rate: give --rate, or a column time_s")
    return Ecg(signals.to_numpy(np.float64).T, rate_hz, tuple(signals.columns))


def _rate_of(times: pd.Series, unit_s: float) -> float:
    steps = np.diff(pd.to_numeric(times, errors="coerce").to_numpy(np.float64)) * unit_s
    middle = float(np.median(steps)) if len(steps) else 0.0
    if not middle > 0 or not np.allclose(steps, middle, rtol=_JITTER, atol=0):
        raise DataError(f"has no even steps in its column {times.name}: give --rate without it")
    # Times are rounded; their whole span says the rate best.
    return round(len(steps) / float(steps.sum()), 3)
