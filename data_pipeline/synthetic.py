"""Synthetic records in the files of the Challenge, for demos without a network and for scale."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.headers import SYNTHETIC_KEY
from data_pipeline.heartbeats import draw_ecg, labels_with_p
from data_pipeline.labels import CLASSES
from data_pipeline.store import LEADS

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
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write synthetic records of 10 s at 500 Hz below `out`, in the layout of the Challenge.

    Record i depends on (seed, i) alone. Every header says that its ECG is synthetic, and a
    store made from it says so too.
    """
    if records < 1 or jobs < 1:
        raise DataError(f"Expected at least one record and process, but got {records} and {jobs}.")
    folders = [range(i, min(i + _PER_FOLDER, records)) for i in range(0, records, _PER_FOLDER)]
    work = partial(_write_folder, Path(out), seed)
    done = 0
    try:
        for count in _each(work, folders, jobs):
            done += count
            if progress is not None:
                progress(done, records)
    except OSError as error:
        raise DataError(f"Expected to write records to {out}, but that failed: {error}.") from error


def _each(work: Callable[[range], int], folders: list[range], jobs: int) -> Iterator[int]:
    if min(jobs, len(folders)) == 1:
        yield from map(work, folders)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(folders)), mp_context=context) as pool:
        yield from pool.map(work, folders)


def _write_folder(out: Path, seed: int, numbers: range) -> int:
    folder = out / "training" / "synthetic" / f"g{numbers.start // _PER_FOLDER + 1}"
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"SY{number + 1:06d}" for number in numbers]
    for number, name in zip(numbers, names, strict=True):
        rng = np.random.default_rng([seed, number])
        labels = draw_labels(rng)
        leads = draw_ecg(labels, RATE_HZ, SECONDS, rng)
        stored = np.clip(np.rint(leads * _GAIN), -32767, 32767).astype(np.int16)
        write_record(folder, name, stored, RATE_HZ, codes_of(labels, rng), rng)
    (folder / "RECORDS").write_text("\n".join(names) + "\n", "utf-8")
    return len(names)


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


def write_record(
    folder: Path,
    name: str,
    stored: NDArray[np.int16],
    rate_hz: int,
    codes: tuple[str, ...],
    rng: np.random.Generator,
) -> None:
    """Write one record (leads, samples) as MATLAB v4 and WFDB header, as the Challenge does."""
    leads, samples = stored.shape
    # Type 30 is int16; then rows, columns, no imaginary part, length of the name with its zero.
    start = np.array([30, leads, samples, 0, 4], dtype="<i4").tobytes() + b"val\0"
    data = np.ascontiguousarray(stored.T, dtype="<i2").tobytes()
    (folder / f"{name}.mat").write_bytes(start + data)
    sums = stored.sum(axis=1, dtype=np.int64).astype(np.int16)
    lines = [f"{name} {leads} {rate_hz} {samples}"]
    for lead, first, total in zip(LEADS, stored[:, 0].tolist(), sums.tolist(), strict=True):
        lines.append(f"{name}.mat 16+24 {_GAIN}/mV 16 0 {first} {total} 0 {lead}")
    lines += [
        f"#Age: {int(rng.integers(18, 90))}",
        f"#Sex: {'Female' if rng.random() < 0.5 else 'Male'}",
        f"#Dx: {','.join(codes)}",
        f"#{SYNTHETIC_KEY.capitalize()}: computed from its diagnoses, not recorded from a person",
    ]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", "utf-8")
