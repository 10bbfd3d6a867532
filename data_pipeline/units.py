"""From what a signal line calls its unit to millivolts, and the gains that are known to be wrong.

The Challenge stored all databases at 1000 per mV, but copies of its headers give other gains for
four of them. They are put right where everything about a record says that it is one of those:
its name, rate, file format and that very gain in all lines. No other gain is ever replaced.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from data_pipeline.errors import DataError

if TYPE_CHECKING:
    from data_pipeline.headers import Header, SignalLine

Scale = Literal["mV", "NU", "uncalibrated", "mixed"]
"""What physical values are: millivolts, normalised units, or of an unknown scale."""
_PREFIXES = {
    "n": 1e-6,
    "u": 1e-3,
    "μ": 1e-3,
    "m": 1.0,
    "": 1e3,
    "nano": 1e-6,
    "micro": 1e-3,
    "milli": 1.0,
}
_MILLIVOLTS = {
    f"{prefix}{volt}": factor
    for prefix, factor in _PREFIXES.items()
    for volt in ("v", "volt", "volts")
}
_NORMALISED = {"nu", "normalized", "normalised"}
_SMALLEST, _LARGEST = 1e-9, 1e12
"""Gains per mV beyond which numbers overflow."""
CHALLENGE_GAIN = 1000.0
_WRONG_GAINS = (
    (re.compile(r"E\d{5}"), 500.0, 4880.0),  # Georgia
    (re.compile(r"S\d{4}"), 1000.0, 2_000_000.0),  # PTB
    (re.compile(r"I\d{4}"), 257.0, 200.0),  # INCART
    (re.compile(r"HR\d{5}"), 500.0, 200.0),  # PTB-XL
)
"""Names of records, their rate in Hz and the wrong gain per mV in copies of the Challenge."""


class UnknownUnit(DataError):
    """A unit that is no voltage."""


def millivolts(units: str) -> float | None:
    """Return the millivolts in one unit; None for normalised units, which are no voltage."""
    # Compatibility form makes one letter of the micro sign and the Greek mu.
    word = unicodedata.normalize("NFKC", units.strip()).lower()
    if word in _NORMALISED:
        return None
    if word not in _MILLIVOLTS:
        raise UnknownUnit(f"the unit {units!r} is no voltage: expected nV, uV, mV, V or NU")
    return _MILLIVOLTS[word]


def gains_per_mv(lines: Sequence[SignalLine]) -> tuple[tuple[float, ...], Scale]:
    """Return the gain of every signal per mV, and what its values are then.

    Raises:
        UnknownUnit: a unit is no voltage, or a gain is not one of an ECG by orders of magnitude.
    """
    # Almost all records of a data set have the same gains.
    return _gains(tuple([(line.gain, line.units, line.calibrated) for line in lines]))


@lru_cache(maxsize=1024)
def _gains(lines: tuple[tuple[float, str, bool], ...]) -> tuple[tuple[float, ...], Scale]:
    gains: list[float] = []
    scales: set[Scale] = set()
    for given, units, calibrated in lines:
        factor = millivolts(units)
        # Per mV = per unit / (mV per unit); exactly the gain where the unit is mV.
        gain = given / (factor or 1.0)
        if not _SMALLEST < abs(gain) < _LARGEST:
            raise UnknownUnit(f"the gain {given:g}/{units} is not plausible")
        gains.append(gain)
        scales.add("NU" if factor is None else "mV" if calibrated else "uncalibrated")
    return tuple(gains), joint_scale(scales)


def joint_scale(scales: set[Scale]) -> Scale:
    """Return the scale that all share, or "mixed"."""
    return next(iter(scales), "mV") if len(scales) < 2 else "mixed"


def has_wrong_gain(header: Header) -> bool:
    """Whether this is a file of the Challenge with a gain that is known to be wrong."""
    first = header.signals[0]
    gain = first.gain
    # Almost no record has one of these gains, and this is asked of every record.
    if gain not in _GAINS or not first.file.lower().endswith(".mat"):
        return False
    return any(
        gain == wrong and header.sample_rate_hz == rate and name.fullmatch(header.path.stem)
        for name, rate, wrong in _WRONG_GAINS
    ) and all(
        line.gain == gain
        and line.units.lower() == "mv"
        and (line.format, line.byte_offset, line.baseline) == ("16", 24, 0)
        for line in header.signals
    )


_GAINS = frozenset(wrong for _, _, wrong in _WRONG_GAINS)
