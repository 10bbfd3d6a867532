"""Rate and band: scipy's methods to rounding, at a fraction of their time."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Array = NDArray[np.float64]
_ORDER = 3
_EXTENSION_S = 2.0
_OUTPUTS = 25
"""Outputs per stretch: longer ones waste products on zeros, shorter ones make slow matrices."""
_LARGEST_MATRIX = 1_000_000
"""Entries up to which one matrix for every phase pays (8 MB); odd rates have too many phases."""
_PHASES = 4096
"""Steps per sample of the slower rate in which the kernel's integral is taken."""


def resample(values: Array, rate_hz: float, target_hz: int) -> Array:
    """Change the rate of (leads, samples) as scipy.signal.resample_poly(padtype="mean") does.

    A polyphase FIR does the same to every stretch of time, so one small matrix, applied to all
    leads and stretches at once, replaces its loops. Rates whose ratio is of large numbers, such as
    257.123 Hz, would need a huge one: their outputs are weighted one by one.
    """
    up, down = _ratio(rate_hz, target_hz)
    if up == down:
        return values
    if up * down > _LARGEST_MATRIX:
        return _resample_odd(values, up, down)
    pieces, outputs, left, advance = _resampling_pieces(up, down)
    leads, samples = values.shape
    wanted = -(-samples * up // down)
    stretches = max(-(-wanted // outputs) + len(pieces) - 1, -(-(left + samples) // advance))
    mean = values.mean(axis=1, keepdims=True)
    padded = np.zeros((leads, stretches * advance))
    np.subtract(values, mean, out=padded[:, left : left + samples])
    # Outputs of a stretch need inputs of the next ones too; those past a lead's end are cut off.
    inputs = padded.reshape(-1, advance)
    product = inputs @ pieces[0]
    for shift, piece in enumerate(pieces[1:], 1):
        product[:-shift] += inputs[shift:, : len(piece)] @ piece
    resampled: Array = product.reshape(leads, -1)[:, :wanted] + mean
    return resampled


@lru_cache(maxsize=256)
def _ratio(rate_hz: float, target_hz: int) -> tuple[int, int]:
    """Return target over rate in lowest terms, the rate taken as it is written."""
    ratio = Fraction(target_hz) / Fraction(repr(float(rate_hz)))
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=16)
def _resampling_pieces(up: int, down: int) -> tuple[tuple[Array, ...], int, int, int]:
    """Return matrices (inputs, outputs) per stretch, its outputs, the lead-in and the advance."""
    half = 10 * max(up, down)
    taps = signal.firwin(2 * half + 1, 1 / max(up, down), window=("kaiser", 5.0)) * up
    repeats = max(1, round(_OUTPUTS / up))
    outputs, advance = up * repeats, down * repeats
    left = half // up
    width = left + ((outputs - 1) * down + half) // up + 1
    # Output m gathers input j with tap m * down - j * up + half.
    tap = np.arange(outputs)[None, :] * down - (np.arange(width)[:, None] - left) * up + half
    inside = (tap >= 0) & (tap <= 2 * half)
    whole = np.where(inside, taps[tap.clip(0, 2 * half)], 0.0)
    pieces = tuple(whole[start : start + advance] for start in range(0, width, advance))
    first = np.zeros((advance, outputs))
    first[: len(pieces[0])] = pieces[0]
    return (first, *pieces[1:]), outputs, left, advance


def _resample_odd(values: Array, up: int, down: int) -> Array:
    """Do the same for any ratio, with the weights of every output computed where it lies.

    The filter is the polyphase FIR's: a sinc cut at the lower Nyquist rate under a Kaiser window
    of beta 5, over 10 samples of the slower rate to each side. Memory is that of a block.
    """
    leads, samples = values.shape
    wanted = -(-samples * up // down)
    cut = min(1.0, up / down)
    reach = 10 * max(1.0, down / up)
    whole = math.ceil(reach)
    offsets = np.arange(-whole, whole + 1)
    grid = np.linspace(-reach, reach, 20 * _PHASES + 1)
    integral = float(np.trapezoid(_kernel(grid, cut, reach), grid))
    mean = values.mean(axis=1, keepdims=True)
    padded = np.zeros((leads, samples + 2 * whole + 1))
    np.subtract(values, mean, out=padded[:, whole : whole + samples])
    resampled = np.empty((leads, wanted))
    block = max(1, 100_000 // len(offsets))
    for start in range(0, wanted, block):
        stop = min(start + block, wanted)
        # In whole numbers, so that a long record does not drift.
        places = [divmod(m * down, up) for m in range(start, stop)]
        before = np.array([place for place, _ in places])
        fraction = np.array([rest / up for _, rest in places])
        weights = _kernel(fraction[:, None] - offsets, cut, reach) / integral
        index = before[:, None] + offsets + whole
        resampled[:, start:stop] = np.einsum("lmk,mk->lm", padded[:, index], weights)
    resampled += mean
    return resampled


def _kernel(distance: Array, cut: float, reach: float) -> Array:
    """Return the filter's weight at distances in input samples."""
    inside = np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))
    window = np.where(np.abs(distance) <= reach, np.i0(5.0 * inside) / np.i0(5.0), 0.0)
    weight: Array = cut * np.sinc(cut * distance) * window
    return weight


def band_pass(values: Array, rate_hz: int, low_hz: float, high_hz: float) -> Array:
    """Filter (leads, samples) there and back as scipy.signal.sosfiltfilt does; no phase shifts.

    Ends are extended by up to 2 s, turned round the last sample. scipy's own function designs
    the steady state anew at every call, which takes as long as the filtering.
    """
    sections, steady = _band(rate_hz, low_hz, high_hz)
    samples = values.shape[1]
    extension = min(round(_EXTENSION_S * rate_hz), samples - 1)
    before = 2 * values[:, :1] - values[:, extension:0:-1]
    after = 2 * values[:, -1:] - values[:, -2 : -extension - 2 : -1]
    filtered = np.concatenate([before, values, after], axis=1)
    for _ in range(2):
        state = steady[:, None, :] * filtered[None, :, :1]
        filtered = signal.sosfilt(sections, filtered, axis=1, zi=state)[0][:, ::-1]
    return filtered[:, extension : extension + samples]


@lru_cache(maxsize=16)
def _band(rate_hz: int, low_hz: float, high_hz: float) -> tuple[Array, Array]:
    """Return second-order sections and their state under a constant input of 1."""
    sections = signal.butter(_ORDER, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    return sections, signal.sosfilt_zi(sections)
