"""How a store is prepared: every choice that changes signals, labels or split."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from data_pipeline.errors import DataError

Layout = Literal["challenge", "ptb-xl", "csv"]
LAYOUTS: tuple[Layout, ...] = ("challenge", "ptb-xl", "csv")
STEP = 0.001
"""Value of one int16 unit: 0.001 standard deviations, or 1 µV when nothing is standardised.

The range is then ±32.8 sd (or mV), which real ECGs leave only where an electrode came off."""


@dataclass(frozen=True, slots=True)
class PrepareOptions:
    """Choose how raw records become rows of a store.

    layout: "challenge" (PhysioNet/CinC), "ptb-xl" (its own folders) or "csv" (WFDB and a CSV).
    band_hz: edges of the zero-phase Butterworth band-pass; None switches it off.
    standardise: to mean 0 and sd 1 "lead" by lead, by "record", or "none" (keeps millivolts).
    windows: how many windows of `seconds` a longer record may give, spread evenly and without
        overlap; 1 takes the middle, 0 as many as fit.
    flat, nan: "zero" blanks the lead and marks it, "drop" quarantines the record.
    keep_unlabelled: keep records without any scored label; they are not normal, only unlabelled.
    patients: CSV with the columns record and patient; a patient never straddles two splits.
    labels: label table: "challenge", "ptb-xl-superclasses" or a CSV (see tables.load_classes).
    table: CSV that lists the records of the layout "csv"; records.csv in the raw folder if None.
    split: shares of train, validation and test; "official" takes the folds of the data set.
    """

    layout: Layout = "challenge"
    sample_rate_hz: int = 100
    seconds: float = 10.0
    band_hz: tuple[float, float] | None = (0.5, 40.0)
    standardise: Literal["lead", "record", "none"] = "lead"
    windows: int = 1
    minimum_seconds: float = 3.0
    flat: Literal["zero", "drop"] = "zero"
    nan: Literal["zero", "drop"] = "drop"
    keep_unlabelled: bool = False
    patients: Path | None = None
    labels: str | Path = "challenge"
    table: Path | None = None
    split: tuple[float, float, float] | Literal["official"] = (0.6, 0.2, 0.2)
    split_seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be prepared."""
        if self.layout not in LAYOUTS:
            raise DataError(
                f"Expected a format out of {', '.join(LAYOUTS)}, but got {self.layout!r}."
            )
        if self.sample_rate_hz < 1 or self.samples < 1:
            raise DataError(
                f"Expected a positive rate and length, but got {self.sample_rate_hz} Hz "
                f"and {self.seconds} s; give whole hertz, such as 100, and seconds, such as 10."
            )
        if self.band_hz is not None:
            low, high = self.band_hz
            if not 0 < low < high < self.sample_rate_hz / 2:
                raise DataError(
                    f"Expected a band within 0 and half the rate of {self.sample_rate_hz} Hz, "
                    f"but got {low}-{high} Hz; lower the band or raise the rate."
                )
        if self.split != "official" and (
            len(self.split) != 3 or min(self.split) < 0 or abs(sum(self.split) - 1) > 1e-6
        ):
            raise DataError(f"Expected three shares that sum to 1 as split, but got {self.split}.")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise DataError(
                    f"Expected {name} out of {', '.join(allowed)}, but got {getattr(self, name)!r}."
                )
        if self.windows < 0 or self.minimum_seconds < 0:
            raise DataError(
                f"Expected no negative numbers, but got windows={self.windows} "
                f"and minimum_seconds={self.minimum_seconds}."
            )

    @property
    def samples(self) -> int:
        """Samples per lead of every row in the store."""
        return round(self.seconds * self.sample_rate_hz)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types, without the paths of tables: a store keeps what those say."""
        values = asdict(self)
        for name in ("patients", "labels", "table"):
            del values[name]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


_CHOICES = {
    "standardise": ("lead", "record", "none"),
    "flat": ("zero", "drop"),
    "nan": ("zero", "drop"),
}
