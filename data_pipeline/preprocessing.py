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
from data_pipeline.filters import LOWEST_RATE_HZ, band_pass, resampled, zero_phase
from data_pipeline.options import STEP, PrepareOptions
from data_pipeline.signals import Leads
from data_pipeline.store import LEADS
from data_pipeline.windows import LARGEST_UNIT, WindowUnits, quantised_window, span, window_starts

METHOD = "polyphase-kaiser5-mean/sosfiltfilt-butter3-odd2s"
"""Name of the method; part of the hash of a store."""


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
    values = resampled(raw, rate, options.sample_rate_hz)
    # In physical units only now, when there are fewer samples.
    values = (values - leads.baseline[:, None]) / leads.gain[:, None]
    if options.band_hz is not None:
        band = band_pass(options.sample_rate_hz, *options.band_hz)
        values = zero_phase(values, *band)
    windows = []
    for start in window_starts(values.shape[1], options.samples, options.windows):
        piece = values[:, start : start + options.samples]
        there = span(start, piece.shape[1], rate, options.sample_rate_hz)
        cut = quantised_window(raw[:, there], piece, options.standardise, STEP)
        flat = np.flatnonzero(cut.flat).tolist()
        names = tuple(LEADS[i] for i in flat if i not in nan_leads)
        if len(flat) == len(LEADS):
            raise Rejected("flat", "all leads are constant")
        if names and options.flat == "drop":
            raise Rejected("flat", f"constant in {', '.join(names)}")
        if options.standardise == "none":
            _require_millivolts(cut)
        whole = np.zeros((len(LEADS), options.samples), dtype=np.int16)
        whole[:, : piece.shape[1]] = cut.units
        windows.append(
            Window(
                signal=whole,
                start_seconds=start / options.sample_rate_hz,
                valid_samples=piece.shape[1],
                flat_leads=names,
                nan_leads=tuple(LEADS[i] for i in nan_leads),
                clipped_samples=cut.clipped_samples,
            )
        )
    return windows


def _require_millivolts(cut: WindowUnits) -> None:
    """Refuse a window whose millivolts int16 cannot hold, so that the store would not be true."""
    if cut.clipped_samples:
        reach = f"±{LARGEST_UNIT * STEP:g} mV"
        raise Rejected("amplitude", f"{cut.clipped_samples} samples beyond {reach}")
    empty = ~cut.flat & ~cut.units.any(axis=1)
    lost = [lead for lead, nothing in zip(LEADS, empty, strict=True) if nothing]
    if lost:
        raise Rejected("amplitude", f"less than {STEP:g} mV in {', '.join(lost)}; check its gain")
