"""From twelve leads in physical units to int16 windows.

The method is pinned, because resamplers and filters of other kinds differ by up to 10 % rms:
  rate      scipy's polyphase FIR (Kaiser window, beta 5), applied as one matrix product per record
            with the mean taken off, so that no edge rings
  band      zero-phase Butterworth of order 3 at the new rate, odd extension of 2 s
  scale     mean 0 and sd 1 over the valid samples of a window, by lead or by record
All is done in float64, so that the same records give the same store on any machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.filters import band_pass, resample
from data_pipeline.options import STEP, PrepareOptions
from data_pipeline.signals import Leads
from data_pipeline.store import LEADS

METHOD = "polyphase-kaiser5-mean/sosfiltfilt-butter3-odd2s"
"""Name of the method; part of the hash of a store."""
Array = NDArray[np.float64]
LOWEST_RATE_HZ = 50.0
"""Below it the QRS complex is lost; it also bounds what resampling can make of a short file."""
_FLAT = 1e-4
"""A lead whose sd is below this share of the strongest lead's holds filter residue, no ECG."""


class Rejected(DataError):
    """A record that is excluded; reason is one of a few words."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One row of a store: int16 (leads, samples), of which the first valid_samples are real."""

    signal: NDArray[np.int16]
    start_seconds: float
    valid_samples: int
    flat_leads: tuple[str, ...]
    nan_leads: tuple[str, ...]
    clipped_samples: int


def prepare_windows(leads: Leads, options: PrepareOptions) -> list[Window]:
    """Resample, filter, cut, scale and quantise one record.

    Raises:
        Rejected: the record is too short, its sampling rate too low, its millivolts do not fit,
            or it has missing or flat leads that the options refuse.
    """
    raw, rate = leads.stored, leads.sample_rate_hz
    if rate < LOWEST_RATE_HZ:
        raise Rejected("sampling rate", f"{rate:g} Hz, but an ECG needs {LOWEST_RATE_HZ:g} Hz")
    seconds = raw.shape[1] / rate
    if raw.shape[1] == 0 or seconds < options.minimum_seconds:
        raise Rejected("too short", f"{seconds:.3g} s of {options.minimum_seconds:g} s")
    nan_leads = leads.missing()
    if nan_leads:
        if options.nan == "drop" or len(nan_leads) == len(LEADS):
            named = ", ".join(LEADS[i] for i in nan_leads)
            raise Rejected("NaN", f"missing samples in {named}")
        raw = raw.copy()
        raw[nan_leads] = leads.baseline[nan_leads, None]
    values = resample(raw, rate, options.sample_rate_hz)
    # In physical units only now, when there are fewer samples.
    values = (values - leads.baseline[:, None]) / leads.gain[:, None]
    if options.band_hz is not None:
        values = band_pass(values, options.sample_rate_hz, *options.band_hz)
    windows = []
    for start in window_starts(values.shape[1], options):
        piece = values[:, start : start + options.samples]
        first = round(start / options.sample_rate_hz * rate)
        last = first + max(round(piece.shape[1] / options.sample_rate_hz * rate), 1)
        flat = _flat(raw[:, first:last], piece)
        names = tuple(LEADS[i] for i in flat if i not in nan_leads)
        if len(flat) == len(LEADS):
            raise Rejected("flat", "all leads are constant")
        if names and options.flat == "drop":
            raise Rejected("flat", f"constant in {', '.join(names)}")
        quantised, clipped = quantise(standardise(piece, flat, options))
        if options.standardise == "none":
            _require_millivolts(quantised, clipped, flat)
        whole = np.zeros((len(LEADS), options.samples), dtype=np.int16)
        whole[:, : piece.shape[1]] = quantised
        windows.append(
            Window(
                signal=whole,
                start_seconds=start / options.sample_rate_hz,
                valid_samples=piece.shape[1],
                flat_leads=names,
                nan_leads=tuple(LEADS[i] for i in nan_leads),
                clipped_samples=clipped,
            )
        )
    return windows


def _require_millivolts(quantised: NDArray[np.int16], clipped: int, flat: list[int]) -> None:
    """Refuse a window whose millivolts int16 cannot hold, so that the store would not be true."""
    if clipped:
        raise Rejected("amplitude", f"{clipped} samples beyond ±{32767 * STEP:g} mV")
    lost = [lead for i, lead in enumerate(LEADS) if i not in flat and not quantised[i].any()]
    if lost:
        raise Rejected("amplitude", f"less than {STEP:g} mV in {', '.join(lost)}; check its gain")


def _flat(raw: Array, filtered: Array) -> list[int]:
    spread = filtered.std(axis=1)
    constant = raw.max(axis=1) == raw.min(axis=1)
    return np.flatnonzero(constant | (spread <= _FLAT * spread[~constant].max(initial=0))).tolist()


def window_starts(samples: int, options: PrepareOptions) -> list[int]:
    """Return where windows begin: the middles of equal parts of the record, as many as asked."""
    fitting = samples // options.samples
    if fitting == 0:
        return [0]
    count = fitting if options.windows == 0 else min(options.windows, fitting)
    return [((2 * i + 1) * samples // count - options.samples) // 2 for i in range(count)]


def standardise(values: Array, flat: list[int], options: PrepareOptions) -> Array:
    """Scale one window (leads, samples); flat leads become zero."""
    if options.standardise == "none":
        scaled = values.copy()
    else:
        centred = values - values.mean(axis=1, keepdims=True)
        spread = centred.std(axis=1, keepdims=True)
        if options.standardise == "record":
            spread = np.full_like(spread, np.sqrt(np.mean(np.delete(spread, flat) ** 2)))
        scaled = centred / np.where(spread > 0, spread, 1.0)
    scaled[flat] = 0.0
    return scaled


def quantise(values: Array) -> tuple[NDArray[np.int16], int]:
    """Round to int16 units of STEP; also count the samples that do not fit."""
    units = np.rint(values / STEP)
    clipped = int(np.count_nonzero(np.abs(units) > 32767))
    return units.clip(-32767, 32767).astype(np.int16), clipped
