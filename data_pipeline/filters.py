"""Rate and band of a signal, with numpy alone: scipy's methods to rounding, in less time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sections = tuple[tuple[float, ...], ...]
"""Of a recursive filter, each of second order: b0, b1, b2, 1, a1, a2."""
LOWEST_RATE_HZ = 50.0
"""Below it the QRS complex is lost; it also bounds what resampling can make of a short file."""
# Outputs per stretch: longer ones waste products on zeros, shorter ones make slow matrices.
RESAMPLING_OUTPUTS = 25
# Product of a ratio's numbers up to which one matrix for every phase pays (8 MB).
LARGEST_MATRIX = 1_000_000
# Weights that are computed at once where it does not.
RESAMPLING_BLOCK = 100_000
# Steps per sample of the slower rate in which the kernel's integral is taken.
KERNEL_STEPS = 4096
# Samples that the recursive filter takes at once, and blocks of so many: matrices, not loops.
FILTER_BLOCK = 50
FILTER_STRETCH = 32


# ---- Rate ---- #


def resampled(values: Floats, rate_hz: float, target_hz: int) -> Floats:
    """Change the rate of (leads, samples) as scipy.signal.resample_poly(padtype="mean") does.

    The filter is a sinc cut at the lower Nyquist rate under a Kaiser window of beta 5, over 10
    samples of the slower rate to each side. It does the same to every stretch of time, so one small
    matrix, applied to all leads and stretches at once, replaces loops. Rates whose ratio is of
    large numbers, such as 257.123 Hz, would need a huge one: they are weighted one by one.
    """
    up, down = _ratio(rate_hz, target_hz)
    if up == down:
        return values
    if up * down > LARGEST_MATRIX:
        return _resampled_one_by_one(values, up, down)
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
    result: Floats = product.reshape(leads, -1)[:, :wanted] + mean
    return result


@lru_cache(maxsize=256)
def _ratio(rate_hz: float, target_hz: int) -> tuple[int, int]:
    """Return target over rate in lowest terms, the rate taken as it is written."""
    ratio = Fraction(target_hz) / Fraction(repr(float(rate_hz)))
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=16)
def _resampling_pieces(up: int, down: int) -> tuple[tuple[Floats, ...], int, int, int]:
    """Return matrices (inputs, outputs) per stretch, its outputs, the lead-in and the advance."""
    half = 10 * max(up, down)
    taps = _kernel(np.arange(-half, half + 1, dtype=np.float64) / up, up, down)
    # A constant passes unchanged.
    taps *= up / taps.sum()
    repeats = max(1, round(RESAMPLING_OUTPUTS / up))
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


def _resampled_one_by_one(values: Floats, up: int, down: int) -> Floats:
    """Weight every output where it lies, whatever the ratio; memory is that of a block."""
    leads, samples = values.shape
    wanted = -(-samples * up // down)
    reach = _reach(up, down)
    whole = math.ceil(reach)
    offsets = np.arange(-whole, whole + 1)
    grid = np.linspace(-reach, reach, 20 * KERNEL_STEPS + 1)
    integral = float(np.trapezoid(_kernel(grid, up, down), grid))
    mean = values.mean(axis=1, keepdims=True)
    padded = np.zeros((leads, samples + 2 * whole + 1))
    np.subtract(values, mean, out=padded[:, whole : whole + samples])
    result = np.empty((leads, wanted))
    block = max(1, RESAMPLING_BLOCK // len(offsets))
    for start in range(0, wanted, block):
        stop = min(start + block, wanted)
        # In whole numbers of any size, so that a long record does not drift.
        places = [divmod(m * down, up) for m in range(start, stop)]
        before = np.array([place for place, _ in places])
        fraction = np.array([rest / up for _, rest in places])
        weights = _kernel(fraction[:, None] - offsets, up, down) / integral
        index = before[:, None] + offsets + whole
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


# ---- Band ---- #


@lru_cache(maxsize=16)
def band_pass(rate_hz: int, low_hz: float, high_hz: float) -> tuple[Sections, int]:
    """Return a Butterworth band-pass of order 3, and by how many samples it extends ends: 2 s."""
    from scipy.signal import butter  # takes a second to import

    designed = butter(3, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    return tuple(tuple(float(c) for c in section) for section in designed), 2 * rate_hz


def zero_phase(values: Floats, sections: Sections, extension: int) -> Floats:
    """Filter (leads, samples) there and back as scipy.signal.sosfiltfilt does; no phase shifts.

    Ends are extended by up to `extension` samples, turned round the last one.
    """
    if not sections:
        return values
    blocks = filter_blocks(sections)
    leads, samples = values.shape
    extension = min(extension, samples - 1)
    inner = slice(extension, extension + samples)
    filtered = np.empty((leads, samples + 2 * extension))
    filtered[:, inner] = values
    before, after = filtered[:, :extension], filtered[:, extension + samples :]
    np.subtract(2 * values[:, :1], values[:, extension:0:-1], out=before)
    np.subtract(2 * values[:, -1:], values[:, -2 : -extension - 2 : -1], out=after)
    for _ in range(2):
        filtered = _forward(filtered, blocks)[:, ::-1]
    return filtered[:, inner]


@dataclass(frozen=True, slots=True, eq=False)
class FilterBlocks:
    """A recursive filter over blocks of samples, in rows: y = x · direct + s · read, and its state.

    s' = x · write + s · carry; `steady` is the state under a constant input of 1. `states` gives
    the states before each of FILTER_STRETCH blocks, and after them, from the first state and what
    each block writes, all joined in rows.
    """

    direct: Floats
    read: Floats
    write: Floats
    carry: Floats
    steady: Floats
    states: Floats


@lru_cache(maxsize=8)
def filter_blocks(sections: Sections, size: int = FILTER_BLOCK) -> FilterBlocks:
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
    carry = powers[size].T
    return FilterBlocks(
        direct=direct,
        read=np.stack([leave @ power for power in powers[:size]], axis=1),
        write=np.stack([power @ enter for power in powers[size - 1 :: -1]]),
        carry=carry,
        steady=np.asarray(np.linalg.solve(np.eye(order) - step, enter), np.float64),
        states=_states(carry),
    )


def _states(carry: Floats) -> Floats:
    """Return carry^(i − j) for all i ≥ j, as one matrix of blocks."""
    order, count = len(carry), FILTER_STRETCH + 1
    powers = [np.eye(order)]
    for _ in range(FILTER_STRETCH):
        powers.append(powers[-1] @ carry)
    blocks = np.zeros((count, order, count, order))
    for j in range(count):
        for i in range(j, count):
            blocks[j, :, i] = powers[i - j]
    return blocks.reshape(count * order, count * order)


def _forward(values: Floats, blocks: FilterBlocks) -> Floats:
    """Filter (leads, samples) once, starting as if its first value had always been there."""
    size, order = len(blocks.direct), len(blocks.carry)
    leads, samples = values.shape
    count = -(-samples // size)
    padded = np.zeros((leads, count * size))
    padded[:, :samples] = values
    entering = padded.reshape(-1, size)
    leaving = entering @ blocks.direct
    written = (entering @ blocks.write).reshape(leads, count, order)
    states = np.empty((leads, count, order))
    state = values[:, :1] * blocks.steady
    for start in range(0, count, FILTER_STRETCH):
        stop = min(start + FILTER_STRETCH, count)
        given = np.concatenate([state, written[:, start:stop].reshape(leads, -1)], axis=1)
        reached = given @ blocks.states[: given.shape[1], : given.shape[1]]
        states[:, start:stop] = reached[:, :-order].reshape(leads, -1, order)
        state = reached[:, -order:]
    leaving += states.reshape(-1, order) @ blocks.read
    return leaving.reshape(leads, -1)[:, :samples]
