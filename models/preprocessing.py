"""From millivolts at any rate to the int16 windows that a network reads, with numpy alone.

It travels with a network, so that a prediction needs neither this package nor scipy. The method is
that of `data_pipeline.preprocessing`, by the same functions:
  rate      polyphase FIR (Kaiser window, beta 5) with the mean taken off
  band      Butterworth there and back (zero phase), ends extended by turning them round
  scale     mean 0 and sd 1 over the valid samples of a window, by lead or by record
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.filters import (
    LOWEST_RATE_HZ,
    Floats,
    Sections,
    band_pass,
    resampled,
    zero_phase,
)
from data_pipeline.windows import (
    LARGEST_UNIT,
    WindowUnits,
    quantised_window,
    span,
    window_starts,
)
from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How signals become what a network reads; with the filter's coefficients, nothing is missing.

    sections: second-order sections (b0, b1, b2, 1, a1, a2) of the band-pass at `sample_rate_hz`,
    none without a filter; it runs there and back, over ends extended by `extension_samples`.
    windows: how many windows a training record gave (0: all that fit, 1: the middle one).
    step: value of one int16 unit, in standard deviations (in mV if nothing is standardised).
    layout: that of the training records; "challenge" mends the gains known to be wrong there.
    """

    leads: tuple[str, ...]
    sample_rate_hz: int
    samples: int
    band_hz: tuple[float, float] | None
    sections: Sections
    extension_samples: int
    standardise: str
    flat: str
    nan: str
    windows: int
    minimum_seconds: float
    step: float
    method: str = ""
    layout: str = ""

    @classmethod
    def from_options(
        cls, options: Mapping[str, Any], leads: Sequence[str], step: float, method: str
    ) -> Preprocessing:
        """Return what a store's options do; designs the filter as the preparation does."""
        rate, band = int(options["sample_rate_hz"]), options["band_hz"]
        sections, extension = ((), 0) if band is None else band_pass(rate, *band)
        return cls(
            leads=tuple(leads),
            sample_rate_hz=rate,
            samples=round(options["seconds"] * rate),
            band_hz=None if band is None else (float(band[0]), float(band[1])),
            sections=sections,
            extension_samples=extension,
            standardise=options["standardise"],
            flat=options["flat"],
            nan=options["nan"],
            windows=int(options["windows"]),
            minimum_seconds=float(options["minimum_seconds"]),
            step=float(step),
            method=method,
            layout=options.get("layout", ""),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Return what `to_dict` (or its JSON) holds."""
        names = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in names}
        values["leads"] = tuple(data["leads"])
        values["band_hz"] = None if data["band_hz"] is None else tuple(data["band_hz"])
        values["sections"] = tuple(tuple(section) for section in data["sections"])
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)

    def describe(self) -> str:
        """Say it in words."""
        filtered = "no filter"
        if self.band_hz is not None:
            low, high = self.band_hz
            filtered = (
                f"Butterworth band-pass {low:g}-{high:g} Hz of order {len(self.sections)}, forward "
                f"and backward (zero phase), ends extended by {self.extension_samples} samples "
                "turned round the last one"
            )
        unit = {
            "lead": "each lead to mean 0 and sd 1",
            "record": "each lead to mean 0, all leads together to sd 1",
            "none": "millivolts",
        }[self.standardise]
        return (
            f"Millivolts, leads in the order {', '.join(self.leads)}; resampled to "
            f"{self.sample_rate_hz:g} Hz (polyphase FIR, Kaiser window of beta 5); {filtered}; "
            f"windows of {self.samples / self.sample_rate_hz:g} s ({self.samples} samples), "
            f"shorter records filled up with zeros; {unit}; rounded to {self.step:g}."
        )

    def windows_of(
        self,
        signal_mv: Any,
        rate_hz: float,
        leads: Sequence[str] | None = None,
        *,
        windows: int | None = None,
    ) -> NDArray[np.int16]:
        """Return the windows int16 (windows, leads, samples) of one ECG.

        signal_mv is (leads, samples) in millivolts, NaN where missing; `leads` names its rows where
        they are not those of the network in its order. `windows` as in the class, by default as the
        training records were cut. Raises ModelError for a signal that the network cannot read.
        """
        raw = self.ordered(signal_mv, leads)
        seconds = raw.shape[1] / self._rate(rate_hz)
        if raw.shape[1] == 0 or seconds < self.minimum_seconds:
            raise ModelError(f"expected at least {self.minimum_seconds:g} s, got {seconds:.3g} s")
        missing = np.asarray(~np.isfinite(raw).all(axis=1))
        if missing.any():
            if self.nan == "drop" or missing.all():
                gaps = f"missing samples in {self._named(missing)}"
                raise ModelError(f"expected a signal without gaps, got {gaps}")
            raw = np.where(missing[:, None], 0.0, raw)
        filtered = self.filtered(raw, rate_hz)
        starts = window_starts(
            filtered.shape[1], self.samples, self.windows if windows is None else windows
        )
        return np.stack([self._window(raw, rate_hz, filtered, start) for start in starts])

    def filtered(self, raw: Floats, rate_hz: float) -> Floats:
        """Return (leads, samples) in mV at the network's rate, within its band."""
        values = resampled(raw, rate_hz, self.sample_rate_hz)
        return zero_phase(values, self.sections, self.extension_samples)

    def _window(
        self, raw: Floats, rate_hz: float, filtered: Floats, start: int
    ) -> NDArray[np.int16]:
        """Standardise and quantise one window (leads, samples)."""
        piece = filtered[:, start : start + self.samples]
        there = span(start, piece.shape[1], rate_hz, self.sample_rate_hz)
        cut = quantised_window(raw[:, there], piece, self.standardise, self.step)
        if cut.flat.all():
            raise ModelError("expected an ECG, but all leads are constant")
        if cut.flat.any() and self.flat == "drop":
            raise ModelError(f"expected no flat lead, but constant are {self._named(cut.flat)}")
        if self.standardise == "none":
            self._require_millivolts(cut)
        whole = np.zeros((len(self.leads), self.samples), dtype=np.int16)
        whole[:, : piece.shape[1]] = cut.units
        return whole

    def _require_millivolts(self, cut: WindowUnits) -> None:
        """Refuse amplitudes that int16 cannot hold, as the preparation does."""
        if cut.clipped_samples:
            reach = LARGEST_UNIT * self.step
            raise ModelError(f"expected millivolts, got samples beyond ±{reach:g} mV")
        lost = ~cut.flat & ~cut.units.any(axis=1)
        if lost.any():
            few = f"less than {self.step:g} mV in {self._named(lost)}"
            raise ModelError(f"expected millivolts, got {few}")

    def _named(self, chosen: NDArray[np.bool_]) -> str:
        return ", ".join(np.array(self.leads)[chosen])

    def ordered(self, signal_mv: Any, leads: Sequence[str] | None) -> Floats:
        """Return the network's leads (leads, samples) of a signal, in its order."""
        raw = np.asarray(signal_mv, dtype=np.float64)
        given = self.leads if leads is None else tuple(leads)
        if raw.ndim != 2 or len(raw) != len(given):
            raise ModelError(
                f"expected a signal ({len(given)} leads, samples) of {', '.join(given)}, got the "
                f"shape {raw.shape}; turn it with .T, or name its rows with leads="
            )
        if given == self.leads:
            return raw
        rows = {name.strip().upper(): row for row, name in enumerate(given)}
        lacking = [name for name in self.leads if name.upper() not in rows]
        if lacking:
            raise ModelError(
                f"expected the leads {', '.join(self.leads)}, got {', '.join(given)}, without "
                f"{', '.join(lacking)}"
            )
        return raw[[rows[name.upper()] for name in self.leads]]

    def _rate(self, rate_hz: float) -> float:
        if not (math.isfinite(rate_hz) and rate_hz >= LOWEST_RATE_HZ):
            raise ModelError(f"expected {LOWEST_RATE_HZ:g} Hz or more, got {rate_hz!r} Hz")
        return rate_hz
