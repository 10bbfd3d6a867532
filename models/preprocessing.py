"""From millivolts at any rate to the int16 windows that a network reads, with numpy alone.

It travels with a network, so that a prediction needs neither this package nor scipy. The method is
that of `data_pipeline.preprocessing`, whose int16 values it gives; tests hold both together:
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

from models.errors import ModelError
from models.filtering import Floats, resampled, zero_phase

# Below it the QRS complex is lost.
LOWEST_RATE_HZ = 50.0
# A lead whose sd is below this share of the strongest lead's holds filter residue, no ECG.
FLAT_SHARE = 1e-4


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
    sections: tuple[tuple[float, ...], ...]
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
        rate = int(options["sample_rate_hz"])
        band = options["band_hz"]
        sections: tuple[tuple[float, ...], ...] = ()
        if band is not None:
            from scipy.signal import butter

            designed = butter(3, tuple(band), "bandpass", fs=rate, output="sos")
            sections = tuple(tuple(float(c) for c in section) for section in designed)
        return cls(
            leads=tuple(leads),
            sample_rate_hz=rate,
            samples=round(options["seconds"] * rate),
            band_hz=None if band is None else (float(band[0]), float(band[1])),
            sections=sections,
            extension_samples=round(2 * rate),
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
                named = ", ".join(n for n, lost in zip(self.leads, missing, strict=True) if lost)
                raise ModelError(f"expected a signal without gaps, got missing samples in {named}")
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
        first = round(start / self.sample_rate_hz * rate_hz)
        last = first + max(round(piece.shape[1] / self.sample_rate_hz * rate_hz), 1)
        flat = flat_leads(raw[:, first:last], piece)
        named = ", ".join(np.array(self.leads)[flat])
        if flat.all():
            raise ModelError("expected an ECG, but all leads are constant")
        if flat.any() and self.flat == "drop":
            raise ModelError(f"expected no flat lead, but constant are {named}")
        units = np.rint(standardised(piece, flat, self.standardise) / self.step)
        if self.standardise == "none":
            self._require_millivolts(units, flat)
        whole = np.zeros((len(self.leads), self.samples), dtype=np.int16)
        whole[:, : piece.shape[1]] = units.clip(-32767, 32767)
        return whole

    def _require_millivolts(self, units: Floats, flat: NDArray[np.bool_]) -> None:
        """Refuse amplitudes that int16 cannot hold, as the preparation does."""
        reach = 32767 * self.step
        if (np.abs(units) > 32767).any():
            raise ModelError(f"expected millivolts, got samples beyond ±{reach:g} mV")
        lost = ~flat & ~units.any(axis=1)
        if lost.any():
            named = ", ".join(np.array(self.leads)[lost])
            raise ModelError(f"expected millivolts, got less than {self.step:g} mV in {named}")

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


def window_starts(length: int, samples: int, windows: int) -> list[int]:
    """Return where windows begin: the middles of equal parts of the record, as many as asked."""
    fitting = length // samples
    if fitting == 0:
        return [0]
    count = fitting if windows == 0 else min(windows, fitting)
    return [((2 * i + 1) * length // count - samples) // 2 for i in range(count)]


def flat_leads(raw: Floats, filtered: Floats) -> NDArray[np.bool_]:
    """Tell which leads (leads,) hold no signal."""
    spread = filtered.std(axis=1)
    constant = raw.max(axis=1) == raw.min(axis=1)
    flat: NDArray[np.bool_] = constant | (spread <= FLAT_SHARE * spread[~constant].max(initial=0))
    return flat


def standardised(values: Floats, flat: NDArray[np.bool_], kind: str) -> Floats:
    """Scale one window (leads, samples); flat leads become zero."""
    if kind == "none":
        scaled = values.copy()
    else:
        centred = values - values.mean(axis=1, keepdims=True)
        spread = centred.std(axis=1, keepdims=True)
        if kind == "record":
            spread = np.full_like(spread, np.sqrt(np.mean(spread[~flat] ** 2)))
        scaled = centred / np.where(spread > 0, spread, 1.0)
    scaled[flat] = 0.0
    return scaled
