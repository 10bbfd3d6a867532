"""Cutting, scaling and rounding windows of filtered leads, with numpy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_pipeline.filters import Floats

LARGEST_UNIT = 32767
# A lead whose sd is below this share of the strongest lead's holds filter residue, no ECG.
FLAT_SHARE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class WindowUnits:
    """One window: int16 (leads, samples) in units of a step, flat leads zero.

    samples may be fewer than the window has; flat (leads,) tells which leads hold no signal;
    clipped_samples did not fit.
    """

    units: NDArray[np.int16]
    flat: NDArray[np.bool_]
    clipped_samples: int


def window_starts(length: int, samples: int, windows: int) -> list[int]:
    """Return where windows begin: the middles of equal parts of the record, as many as asked."""
    fitting = length // samples
    if fitting == 0:
        return [0]
    count = fitting if windows == 0 else min(windows, fitting)
    return [((2 * i + 1) * length // count - samples) // 2 for i in range(count)]


def span(start: int, samples: int, rate_hz: float, target_hz: int) -> slice:
    """Return which samples of the original rate a window of the new rate covers."""
    first = round(start / target_hz * rate_hz)
    return slice(first, first + max(round(samples / target_hz * rate_hz), 1))


def quantised_window(raw: Floats, filtered: Floats, standardise: str, step: float) -> WindowUnits:
    """Scale one window (leads, samples) by "lead", by "record" or by "none", and round it.

    raw holds the same time as it was stored, in any units: a lead that is constant there is flat.
    """
    centred = filtered - filtered.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.einsum("ls,ls->l", centred, centred) / filtered.shape[1])
    flat = flat_leads(raw, spread)
    if standardise == "none":
        centred = filtered.copy()
    else:
        divisor = spread
        if standardise == "record":
            divisor = np.full_like(spread, np.sqrt(np.mean(spread[~flat] ** 2)))
        centred /= np.where(divisor > 0, divisor, 1.0)[:, None]
    centred[flat] = 0.0
    units, clipped = _rounded(centred, step)
    return WindowUnits(units, flat, clipped)


def flat_leads(raw: Floats, spread: Floats) -> NDArray[np.bool_]:
    """Tell which leads (leads,) hold no signal, by their samples and their sd once filtered."""
    # Few leads begin, halve and end at one value: only they are looked at as a whole.
    middle = raw.shape[1] // 2
    constant = (raw[:, 0] == raw[:, middle]) & (raw[:, 0] == raw[:, -1])
    constant[constant] = (raw[constant] == raw[constant, :1]).all(axis=1)
    flat: NDArray[np.bool_] = constant | (spread <= FLAT_SHARE * spread[~constant].max(initial=0))
    return flat


def _rounded(values: Floats, step: float) -> tuple[NDArray[np.int16], int]:
    """Round to units of a step; also count the samples that int16 does not hold."""
    units = values / step
    np.rint(units, out=units)
    clipped = 0
    if units.max() > LARGEST_UNIT or units.min() < -LARGEST_UNIT:
        clipped = int(np.count_nonzero(np.abs(units) > LARGEST_UNIT))
        units.clip(-LARGEST_UNIT, LARGEST_UNIT, out=units)
    return units.astype(np.int16), clipped
