"""Synthetic records in the files of the Challenge, for demos without a network and for scale."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from data_pipeline.errors import DataError
from data_pipeline.heartbeats import draw_ecg, labels_with_p
from data_pipeline.labels import CLASSES
from data_pipeline.quirks import QUIRKS, Draft, write_draft

RATE_HZ = 500
SECONDS = 10
_PER_FOLDER = 1000
_GAIN = 1000
_RHYTHMS = {
    "NSR": 0.38,
    "SB": 0.16,
    "STach": 0.12,
    "AF": 0.11,
    "SA": 0.09,
    "AFL": 0.07,
    "PR": 0.04,
    "Brady": 0.03,
}
_CHOICES: tuple[dict[str, float], ...] = (
    {"CRBBB": 0.06, "CLBBB": 0.04, "IRBBB": 0.05, "NSIVCB": 0.04, "BBB": 0.02},
    {"LAD": 0.08, "RAD": 0.05, "LAnFB": 0.05},
    {"IAVB": 0.06, "LPR": 0.03},
    {"PAC": 0.06},
    {"PVC": 0.06},
    {"TAb": 0.09, "TInv": 0.05},
    {"QAb": 0.04},
    {"LQRSV": 0.04},
    {"LQT": 0.04},
    {"PRWP": 0.03},
)
"""Diagnoses that exclude each other, with their probabilities."""


def synthesize(
    out: Path,
    *,
    records: int,
    seed: int = 0,
    quirks: float = 0.0,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write synthetic records of 10 s at 500 Hz below `out`, in the layout of the Challenge.

    Record i depends on (seed, i) alone. Every header says that its ECG is synthetic, and a
    store made from it says so too. quirks is the share of records that get one of the faults
    of real files; quirks.csv then says which, and why such a record is excluded.
    """
    if records < 1 or jobs < 1:
        raise DataError(f"Expected at least one record and process, but got {records} and {jobs}.")
    if not 0 <= quirks <= 1:
        raise DataError(f"Expected a share from 0 to 1 of records with quirks, but got {quirks}.")
    folders = [range(i, min(i + _PER_FOLDER, records)) for i in range(0, records, _PER_FOLDER)]
    work = partial(_write_folder, Path(out), seed, quirks)
    done, told = 0, ["record,quirk,reason"]
    try:
        for count, lines in _each(work, folders, jobs):
            done += count
            told += lines
            if progress is not None:
                progress(done, records)
        if quirks:
            (Path(out) / "quirks.csv").write_text("\n".join(told) + "\n", "utf-8")
    except OSError as error:
        raise DataError(f"Expected to write records to {out}, but that failed: {error}.") from error


def _each(
    work: Callable[[range], tuple[int, list[str]]], folders: list[range], jobs: int
) -> Iterator[tuple[int, list[str]]]:
    if min(jobs, len(folders)) == 1:
        yield from map(work, folders)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(folders)), mp_context=context) as pool:
        yield from pool.map(work, folders)


def _write_folder(out: Path, seed: int, quirks: float, numbers: range) -> tuple[int, list[str]]:
    folder = out / "training" / "synthetic" / f"g{numbers.start // _PER_FOLDER + 1}"
    folder.mkdir(parents=True, exist_ok=True)
    names, told = [], []
    for number in numbers:
        rng = np.random.default_rng([seed, number])
        draft = _draft(f"SY{number + 1:06d}", rng)
        names.append(draft.name)
        # Drawn last, so that quirks leave the other records as they are.
        if rng.random() >= quirks:
            write_draft(folder, draft)
            continue
        name = list(QUIRKS)[int(rng.integers(len(QUIRKS)))]
        quirk = QUIRKS[name]
        write_draft(folder, quirk.change(draft, rng))
        quirk.spoil(folder / f"{draft.name}.mat")
        told.append(f"{draft.name},{name},{quirk.reason}")
    (folder / "RECORDS").write_text("\n".join(names) + "\n", "utf-8")
    return len(names), told


def _draft(name: str, rng: np.random.Generator) -> Draft:
    labels = draw_labels(rng)
    leads = draw_ecg(labels, RATE_HZ, SECONDS, rng)
    return Draft(
        name=name,
        stored=np.clip(np.rint(leads * _GAIN), -32767, 32767).astype(np.int16),
        rate_hz=RATE_HZ,
        dx=",".join(codes_of(labels, rng)),
        age=str(int(rng.integers(18, 90))),
        sex="Female" if rng.random() < 0.5 else "Male",
    )


def draw_labels(rng: np.random.Generator) -> tuple[str, ...]:
    """Draw one rhythm and what goes with it, as abbreviations in the order of the classes."""
    names = list(_RHYTHMS)
    chosen = {str(rng.choice(names, p=list(_RHYTHMS.values())))}
    paced = "PR" in chosen
    for choice in _CHOICES:
        # A paced heart hides its own conduction, and without P waves there is no PR interval.
        if paced or ("IAVB" in choice and not labels_with_p(chosen)):
            continue
        luck, taken = rng.random(), 0.0
        for name, probability in choice.items():
            if taken <= luck < taken + probability:
                chosen.add(name)
            taken += probability
    if "LAnFB" in chosen and rng.random() < 0.7:
        chosen.add("LAD")
    return tuple(c.abbreviation for c in CLASSES if c.abbreviation in chosen)


def codes_of(labels: tuple[str, ...], rng: np.random.Generator) -> tuple[str, ...]:
    """Return one of the codes of each class."""
    return tuple(
        c.codes[int(rng.integers(len(c.codes)))] for c in CLASSES if c.abbreviation in labels
    )
