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
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import signal

from data_pipeline.errors import DataError
from data_pipeline.options import STEP, PrepareOptions
from data_pipeline.signals import Leads
from data_pipeline.store import LEADS

METHOD = "polyphase-kaiser5-mean/sosfiltfilt-butter3-odd2s"
"""Name of the method; part of the hash of a store."""
Array = NDArray[np.float64]
_ORDER = 3
_EXTENSION_S = 2.0
_BLOCK = 50
_FLAT = 1e-4
"""A lead whose sd is below this share of the strongest lead's holds filter residue, no ECG."""


class Rejected(DataError):
    """A record that the options send to quarantine; reason is one of a few words."""

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
        Rejected: the record is too short, or has missing or flat leads that the options refuse.
    """
    raw, rate = leads.values, leads.sample_rate_hz
    seconds = raw.shape[1] / rate
    if raw.shape[1] == 0 or seconds < options.minimum_seconds:
        raise Rejected("too short", f"{seconds:.3g} s of {options.minimum_seconds:g} s")
    nan_leads = _missing(raw)
    if nan_leads:
        if options.nan == "drop" or len(nan_leads) == len(LEADS):
            named = ", ".join(LEADS[i] for i in nan_leads)
            raise Rejected("NaN", f"missing samples in {named}")
        raw = raw.copy()
        raw[nan_leads] = 0.0
    values = band_pass(resample(raw, rate, options.sample_rate_hz), options)
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


def _missing(raw: Array) -> list[int]:
    # A sum is NaN or infinite where any sample is, and ten times cheaper than asking each.
    if np.isfinite(raw.sum()):
        return []
    return np.flatnonzero(~np.isfinite(raw).all(axis=1)).tolist()


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


def resample(values: Array, rate_hz: float, target_hz: int) -> Array:
    """Change the rate of (leads, samples) as scipy.signal.resample_poly(padtype="mean") does.

    A polyphase FIR is a banded Toeplitz matrix that repeats itself every `up` outputs, so one
    matrix product with its repeating block does all leads and times at once.
    """
    ratio = Fraction(target_hz) / Fraction(rate_hz).limit_denominator(1000)
    if ratio == 1:
        return values
    up, down = ratio.numerator, ratio.denominator
    block, left, advance = _resampling_block(up, down)
    width, outputs = block.shape
    wanted = -(-values.shape[1] * up // down)
    blocks = -(-wanted // outputs)
    mean = values.mean(axis=1, keepdims=True)
    padded = np.zeros((len(values), max((blocks - 1) * advance + width, left + values.shape[1])))
    np.subtract(values, mean, out=padded[:, left : left + values.shape[1]])
    frames = sliding_window_view(padded, width, axis=1)[:, : blocks * advance : advance]
    product = frames.reshape(-1, width) @ block
    resampled: Array = product.reshape(len(values), -1)[:, :wanted] + mean
    return resampled


@lru_cache(maxsize=16)
def _resampling_block(up: int, down: int) -> tuple[Array, int, int]:
    """Return the repeating block (inputs, outputs), its lead-in and its advance, in inputs."""
    half = 10 * max(up, down)
    taps = signal.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0)) * up
    repeats = max(1, round(_BLOCK / up))
    outputs, advance = up * repeats, down * repeats
    left = half // up
    width = left + ((outputs - 1) * down + half) // up + 1
    # Output m gathers input j with tap m * down - j * up + half.
    tap = np.arange(outputs)[None, :] * down - (np.arange(width)[:, None] - left) * up + half
    inside = (tap >= 0) & (tap <= 2 * half)
    block = np.where(inside, taps[tap.clip(0, 2 * half)], 0.0)
    return block, left, advance


def band_pass(values: Array, options: PrepareOptions) -> Array:
    """Filter (leads, samples) at the target rate there and back, as scipy's sosfiltfilt does.

    scipy designs the steady state anew at every call, which takes as long as the filtering.
    """
    if options.band_hz is None:
        return values
    sections, steady = _band_sections(options.sample_rate_hz, *options.band_hz)
    extension = min(round(_EXTENSION_S * options.sample_rate_hz), values.shape[1] - 1)
    before = 2 * values[:, :1] - values[:, extension:0:-1]
    after = 2 * values[:, -1:] - values[:, -2 : -extension - 2 : -1]
    signals = np.concatenate([before, values, after], axis=1)
    for _ in range(2):
        state = steady[:, None, :] * signals[None, :, :1]
        signals = signal.sosfilt(sections, signals, axis=1, zi=state)[0][:, ::-1]
    return signals[:, extension : extension + values.shape[1]]


@lru_cache(maxsize=16)
def _band_sections(rate_hz: int, low_hz: float, high_hz: float) -> tuple[Array, Array]:
    """Return second-order sections and their state under a constant input of 1."""
    sections = signal.butter(_ORDER, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    return sections, signal.sosfilt_zi(sections)


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
