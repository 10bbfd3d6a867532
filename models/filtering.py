"""Rate and band of a signal, with numpy alone: scipy's methods to rounding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Samples that the recursive filter takes at once: a product of matrices in place of a loop.
FILTER_BLOCK = 64
# Weights of the resampling filter that are gathered at once.
RESAMPLING_BLOCK = 1_000_000
# Product of the numbers of a ratio of rates up to which weights are looked up.
LARGEST_TABLE = 1_000_000
INTEGRAL_STEPS = 81_920


# ---- Rate ---- #


def resampled(values: Floats, rate_hz: float, target_hz: int) -> Floats:
    """Change the rate of (leads, samples) as scipy.signal.resample_poly(padtype="mean") does.

    The filter is a sinc cut at the lower Nyquist rate under a Kaiser window of beta 5, over 10
    samples of the slower rate to each side. Where the ratio of the rates is of large numbers, its
    weights are computed where each output lies, not looked up.
    """
    ratio = Fraction(target_hz) / Fraction(repr(float(rate_hz)))
    if ratio == 1:
        return values
    up, down = ratio.numerator, ratio.denominator
    looked_up = up * down <= LARGEST_TABLE
    taps = _taps(up, down) if looked_up else np.zeros(0)
    scale = 1.0 if looked_up else _integral(up, down)
    half, length = len(taps) // 2, values.shape[1]
    wanted = -(-length * up // down)
    reach = math.ceil(_reach(up, down))
    offsets = np.arange(-reach, reach + 1)
    mean = values.mean(axis=1, keepdims=True)
    padded: Floats = np.pad(values - mean, ((0, 0), (reach, reach + 1)))
    result = np.empty((len(values), wanted))
    block = max(1, RESAMPLING_BLOCK // (len(offsets) * len(values)))
    for start in range(0, wanted, block):
        stop = min(start + block, wanted)
        # In whole numbers of any size, so that a long record does not drift.
        places = [divmod(m * down, up) for m in range(start, stop)]
        if looked_up:
            tap = np.array([rest for _, rest in places])[:, None] - offsets * up + half
            inside = (tap >= 0) & (tap <= 2 * half)
            weights = np.where(inside, taps[tap.clip(0, 2 * half)], 0.0)
        else:
            along = np.array([rest / up for _, rest in places])
            distance: Floats = np.subtract.outer(along, offsets)
            weights = _kernel(distance, up, down) / scale
        index = np.array([place for place, _ in places])[:, None] + offsets + reach
        result[:, start:stop] = np.einsum("lmk,mk->lm", padded[:, index], weights)
    result += mean
    return result


def _reach(up: int, down: int) -> float:
    """Return how many input samples the filter spans to each side."""
    return 10 * max(1.0, down / up)


def _kernel(distance: Floats, up: int, down: int) -> Floats:
    """Return the filter's weight at distances in input samples."""
    cut, reach = min(1.0, up / down), _reach(up, down)
    inside = np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))
    window = np.where(np.abs(distance) <= reach, np.i0(5.0 * inside) / np.i0(5.0), 0.0)
    weight: Floats = cut * np.sinc(cut * distance) * window
    return weight


@lru_cache(maxsize=8)
def _taps(up: int, down: int) -> Floats:
    """Return the weights at all distances that occur, which pass a constant unchanged."""
    half = 10 * max(up, down)
    taps = _kernel(np.arange(-half, half + 1, dtype=np.float64) / up, up, down)
    scaled: Floats = taps / taps.sum() * up
    return scaled


@lru_cache(maxsize=8)
def _integral(up: int, down: int) -> float:
    """Return what the weights sum to, where they lie anywhere."""
    reach = _reach(up, down)
    grid = np.linspace(-reach, reach, INTEGRAL_STEPS + 1)
    return float(np.trapezoid(_kernel(grid, up, down), grid))


# ---- Band ---- #


def zero_phase(values: Floats, sections: Sequence[Sequence[float]], extension: int) -> Floats:
    """Filter (leads, samples) there and back as scipy.signal.sosfiltfilt does."""
    if not sections:
        return values
    blocks = filter_blocks(tuple(tuple(section) for section in sections))
    samples = values.shape[1]
    extension = min(extension, samples - 1)
    before = 2 * values[:, :1] - values[:, extension:0:-1]
    after = 2 * values[:, -1:] - values[:, -2 : -extension - 2 : -1]
    filtered = np.concatenate([before, values, after], axis=1)
    for _ in range(2):
        filtered = _forward(filtered, blocks)[:, ::-1]
    return filtered[:, extension : extension + samples]


@dataclass(frozen=True, slots=True, eq=False)
class FilterBlocks:
    """A recursive filter over blocks of samples, in rows: y = x · direct + s · read, and its state.

    s' = x · write + s · carry; `steady` is the state under a constant input of 1.
    """

    direct: Floats
    read: Floats
    write: Floats
    carry: Floats
    steady: Floats


@lru_cache(maxsize=8)
def filter_blocks(
    sections: tuple[tuple[float, ...], ...], size: int = FILTER_BLOCK
) -> FilterBlocks:
    """Join second-order sections to one linear system, and take `size` of its steps at once."""
    order = 2 * len(sections)
    step, enter = np.zeros((order, order)), np.zeros(order)
    leave, through = np.zeros(order), 1.0
    for i, (b0, b1, b2, _, a1, a2) in enumerate(sections):
        own = slice(2 * i, 2 * i + 2)
        gain = np.array([b1 - a1 * b0, b2 - a2 * b0])
        step[own] = np.outer(gain, leave)
        step[own, own] += np.array([[-a1, 1.0], [-a2, 0.0]])
        enter[own] = gain * through
        leave = leave * b0
        leave[2 * i] += 1.0
        through *= b0
    powers = [np.eye(order)]
    for _ in range(size):
        powers.append(powers[-1] @ step)
    response = [through, *(float(leave @ power @ enter) for power in powers[: size - 1])]
    direct = np.zeros((size, size))
    for row in range(size):
        direct[row, row:] = response[: size - row]
    return FilterBlocks(
        direct=direct,
        read=np.stack([leave @ power for power in powers[:size]], axis=1),
        write=np.stack([power @ enter for power in powers[size - 1 :: -1]]),
        carry=powers[size].T,
        steady=np.asarray(np.linalg.solve(np.eye(order) - step, enter), np.float64),
    )


def _forward(values: Floats, blocks: FilterBlocks) -> Floats:
    """Filter (leads, samples) once, starting as if its first value had always been there."""
    size = len(blocks.direct)
    count = -(-values.shape[1] // size)
    padded = np.zeros((len(values), count * size))
    padded[:, : values.shape[1]] = values
    state = values[:, :1] * blocks.steady
    for start in range(0, count * size, size):
        entering = padded[:, start : start + size]
        leaving = entering @ blocks.direct + state @ blocks.read
        state = entering @ blocks.write + state @ blocks.carry
        padded[:, start : start + size] = leaving
    return padded[:, : values.shape[1]]
