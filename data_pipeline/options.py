"""How a store is prepared: every choice that changes signals, labels or split."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, StrictBool, StrictFloat, StrictInt

from data_pipeline.errors import DataError
from definitions import AS_GIVEN, definition, key

STEP = 0.001
"""Value of one int16 unit: 0.001 standard deviations, or 1 µV when nothing is standardised.

The range is then ±32.8 sd (or mV), which real ECGs leave only where an electrode came off."""
MOST_SAMPLES = 1_000_000
DAY_SECONDS = 86_400
Share = Annotated[StrictFloat, key("A share.", ge=0, le=1), AS_GIVEN]
Hertz = Annotated[StrictFloat, AS_GIVEN]


def _whole(shares: tuple[float, float, float]) -> tuple[float, float, float]:
    if abs(sum(shares) - 1) > 1e-6:
        raise ValueError
    return shares


Shares = Annotated[tuple[Share, Share, Share], AfterValidator(_whole)]


@definition(DataError, "the options of a store")
class PrepareOptions:
    """Choose how raw records become rows of a store."""

    layout: Annotated[
        Literal["challenge", "ptb-xl", "csv"],
        key("PhysioNet/CinC files, PTB-XL's folders, or WFDB and a CSV.", option="--format"),
    ] = "challenge"
    sample_rate_hz: Annotated[
        StrictInt, key("Samples per second to keep, Hz.", option="--rate", ge=1, le=100_000)
    ] = 100
    seconds: Annotated[
        StrictFloat,
        key("Length to keep of each record, s.", gt=0, le=DAY_SECONDS),
        AS_GIVEN,
    ] = 10.0
    band_hz: Annotated[
        tuple[Hertz, Hertz] | None,
        key(
            "Edges of the zero-phase Butterworth band-pass; none: off.",
            option="--band",
            expected="[low, high] in Hz, or none",
        ),
    ] = (0.5, 40.0)
    standardise: Annotated[
        Literal["lead", "record", "none"],
        key("To mean 0 and sd 1, lead by lead or by record; none keeps mV."),
    ] = "lead"
    windows: Annotated[
        StrictInt,
        key(
            "Windows of a longer record, spread evenly: 1 the middle, 0 as many as fit.",
            ge=0,
            le=100_000,
        ),
    ] = 1
    minimum_seconds: Annotated[
        StrictFloat, key("Shorter records are excluded, s.", ge=0, le=DAY_SECONDS), AS_GIVEN
    ] = 3.0
    flat: Annotated[
        Literal["zero", "drop"],
        key("Flat lead: blank and mark it, or exclude the record."),
    ] = "zero"
    nan: Annotated[
        Literal["zero", "drop"],
        key("Lead with NaN: blank and mark it, or exclude the record."),
    ] = "drop"
    keep_unlabelled: Annotated[
        StrictBool,
        key("Keep records without any scored label; they are not normal."),
    ] = False
    patients: Annotated[
        Path | None,
        key(
            "CSV with record and patient; a patient never straddles two splits.",
            expected="the path of a CSV",
        ),
    ] = None
    labels: Annotated[
        str | Path,
        key(
            "The classes; a CSV has the columns abbreviation, name and codes (joined by |).",
            expected="challenge, ptb-xl-superclasses or the path of a CSV",
        ),
    ] = "challenge"
    table: Annotated[
        Path | None,
        key(
            "CSV that lists the records of the format csv; else records.csv in the raw folder.",
            expected="the path of a CSV",
        ),
    ] = None
    split: Annotated[
        Shares | Literal["official"],
        key(
            "Shares of train, validation and test; official takes the folds of the data set.",
            expected="three shares that sum to 1, or official",
        ),
    ] = (0.6, 0.2, 0.2)
    split_seed: Annotated[StrictInt, key("Decides the split.", ge=0, le=10**15)] = 0
    folds: Annotated[
        str | None,
        key(
            "Which folds of a CSV are train/validation/test.",
            expected="TRAIN/VALIDATION/TEST, such as 1-8/9/10",
        ),
    ] = None

    def __post_init__(self) -> None:
        """Refuse what cannot be prepared."""
        if not 1 <= self.samples <= MOST_SAMPLES:
            raise DataError(
                f"expected 1 to {MOST_SAMPLES:,} samples per lead, got {self.samples:,} of "
                f"{self.seconds:g} s at {self.sample_rate_hz} Hz: change --seconds or --rate"
            )
        if self.band_hz is not None:
            low, high = self.band_hz
            if not 0 < low < high < self.sample_rate_hz / 2:
                raise DataError(
                    f"expected a band within 0 and half the rate of {self.sample_rate_hz} Hz, "
                    f"got {low:g}-{high:g} Hz: lower the band or raise the rate"
                )

    @property
    def samples(self) -> int:
        """Samples per lead of every row in the store."""
        return round(self.seconds * self.sample_rate_hz)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON types, without the paths of tables: a store keeps what those say."""
        values = asdict(self)
        for name in ("patients", "labels", "table", "folds"):
            del values[name]
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
