"""Rate and band of a signal, with numpy alone: scipy's methods to rounding."""

from __future__ import annotations

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


# ---- Rate ---- #


def resampled(values: Floats, rate_hz: float, target_hz: int) -> Floats:
    """Change the rate of (leads, samples) as scipy.signal.resample_poly(padtype="mean") does."""
    ratio = Fraction(target_hz) / Fraction(rate_hz).limit_denominator(1000)
    if ratio == 1:
        return values
    up, down = ratio.numerator, ratio.denominator
    taps = _resampling_taps(up, down)
    half = len(taps) // 2
    length = values.shape[1]
    wanted = -(-length * up // down)
    mean = values.mean(axis=1, keepdims=True)
    reach = half // up + 1
    padded: Floats = np.pad(values - mean, ((0, 0), (reach, reach)))
    offsets = np.arange(2 * reach)
    result = np.empty((len(values), wanted))
    block = max(1, RESAMPLING_BLOCK // (2 * reach * len(values)))
    for start in range(0, wanted, block):
        # Output m gathers input j with tap m · down − j · up + half.
        place = np.arange(start, min(start + block, wanted)) * down
        index = np.minimum(place // up + 1 + offsets[:, None], padded.shape[1] - 1)
        tap = place - (index - reach) * up + half
        weights = np.where((tap >= 0) & (tap <= 2 * half), taps[tap.clip(0, 2 * half)], 0.0)
        result[:, start : start + block] = np.einsum("lkm,km->lm", padded[:, index], weights)
    result += mean
    return result


@lru_cache(maxsize=8)
def _resampling_taps(up: int, down: int) -> Floats:
    """Return a windowed sinc (Kaiser, beta 5) that passes a constant unchanged."""
    slower = max(up, down)
    half = 10 * slower
    place = np.arange(-half, half + 1)
    taps = np.sinc(place / slower) * np.kaiser(2 * half + 1, 5.0)
    scaled: Floats = taps / taps.sum() * up
    return scaled


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
