"""The options that say how raw ECGs become a store: those of `prepare`, which `run` takes too."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.option_groups import MOST_SEED

if TYPE_CHECKING:
    from data_pipeline import PrepareOptions


@dataclass(frozen=True, slots=True)
class PrepareArguments:
    """What the user gave; `options` reads it."""

    layout: Annotated[
        str,
        typer.Option(
            "--format", help="challenge, ptb-xl, or csv (WFDB files and a CSV of labels)."
        ),
    ] = "challenge"
    table: Annotated[
        Path | None,
        typer.Option(
            help="For --format csv: record; labels (joined by |, or one row each) or a column of "
            "yes and no per class; if known, patient, source, fold, age, sex.",
            show_default="RAW/records.csv",
        ),
    ] = None
    labels: Annotated[
        str,
        typer.Option(
            help="challenge, ptb-xl-superclasses, or a CSV with abbreviation, name, codes."
        ),
    ] = "challenge"
    rate: Annotated[int, typer.Option(help="Samples per second to keep, Hz.")] = 100
    seconds: Annotated[float, typer.Option(help="Length to keep of each record, s.")] = 10
    band: Annotated[str, typer.Option(help="Band-pass LOW-HIGH in Hz, zero phase; or none.")] = (
        "0.5-40"
    )
    standardise: Annotated[
        str, typer.Option(help="Unit variance of each lead, of each record, or none (mV).")
    ] = "lead"
    windows: Annotated[
        int,
        typer.Option(
            min=0, max=100_000, help="Windows of a longer record: 1 the middle, 0 all that fit."
        ),
    ] = 1
    flat: Annotated[
        str, typer.Option(help="Flat lead: zero (and mark it), or drop the record.")
    ] = "zero"
    nan: Annotated[str, typer.Option(help="Lead with NaN: drop the record, or zero it.")] = "drop"
    patients: Annotated[
        Path | None,
        typer.Option(help="CSV with columns record, patient: a patient stays in one split."),
    ] = None
    split: Annotated[
        str,
        typer.Option(help="Shares of train, validation, test; or official (a data set's folds)."),
    ] = "60/20/20"
    folds: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN/VALIDATION/TEST",
            help="For --split official of a CSV: which of its folds are which, as in 1-8/9/10.",
        ),
    ] = None
    split_seed: Annotated[
        int,
        typer.Option(
            min=0, max=MOST_SEED, help="Another number, another split in the same shares."
        ),
    ] = 0
    keep_unlabelled: Annotated[
        bool, typer.Option(help="Keep records without any scored label (they are not normal!).")
    ] = False

    def options(self) -> PrepareOptions:
        """Return the options of the store; DataError says which was not understood."""
        from data_pipeline import PrepareOptions

        official = self.split == "official"
        shares = () if official else _numbers(self.split, "/", "--split", "60/20/20")
        band = None if self.band == "none" else _numbers(self.band, "-", "--band", "0.5-40")
        return PrepareOptions(
            layout=self.layout,  # type: ignore[arg-type]  # words are checked by PrepareOptions
            sample_rate_hz=self.rate,
            seconds=self.seconds,
            band_hz=band,  # type: ignore[arg-type]
            standardise=self.standardise,  # type: ignore[arg-type]
            windows=self.windows,
            flat=self.flat,  # type: ignore[arg-type]
            nan=self.nan,  # type: ignore[arg-type]
            keep_unlabelled=self.keep_unlabelled,
            patients=self.patients,
            labels=self.labels,
            table=self.table,
            folds=self.folds,
            split_seed=self.split_seed,
            split="official" if official else tuple(share / sum(shares) for share in shares),  # type: ignore[arg-type]
        )


def _numbers(text: str, between: str, name: str, example: str) -> tuple[float, ...]:
    """Read as many numbers as the example has."""
    from data_pipeline.errors import DataError

    try:
        numbers = tuple(float(part) for part in text.split(between))
    except ValueError:
        numbers = ()
    if len(numbers) != len(example.split(between)) or sum(numbers) <= 0:
        word = "official" if name == "--split" else "none"
        raise DataError(f"Expected {name} such as {example}, or {word}, but got {text!r}.")
    return numbers
