"""The scored diagnoses of the PhysioNet/CinC Challenge 2021 and their weights.

Of 133 SNOMED CT codes 30 are scored; four pairs count as the same diagnosis, which leaves
26 classes. They stand in the order of the official weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LabelClass:
    """One diagnosis: positive when any of its codes is present."""

    abbreviation: str
    name: str
    codes: tuple[str, ...]


CLASSES: tuple[LabelClass, ...] = (
    LabelClass("AF", "atrial fibrillation", ("164889003",)),
    LabelClass("AFL", "atrial flutter", ("164890007",)),
    LabelClass("BBB", "bundle branch block", ("6374002",)),
    LabelClass("Brady", "bradycardia", ("426627000",)),
    LabelClass("CLBBB", "complete left bundle branch block", ("733534002", "164909002")),
    LabelClass("CRBBB", "complete right bundle branch block", ("713427006", "59118001")),
    LabelClass("IAVB", "first-degree AV block", ("270492004",)),
    LabelClass("IRBBB", "incomplete right bundle branch block", ("713426002",)),
    LabelClass("LAD", "left axis deviation", ("39732003",)),
    LabelClass("LAnFB", "left anterior fascicular block", ("445118002",)),
    LabelClass("LPR", "prolonged PR interval", ("164947007",)),
    LabelClass("LQRSV", "low QRS voltages", ("251146004",)),
    LabelClass("LQT", "prolonged QT interval", ("111975006",)),
    LabelClass("NSIVCB", "nonspecific intraventricular conduction disorder", ("698252002",)),
    LabelClass("NSR", "sinus rhythm", ("426783006",)),
    LabelClass("PAC", "premature atrial contraction", ("284470004", "63593006")),
    LabelClass("PR", "pacing rhythm", ("10370003",)),
    LabelClass("PRWP", "poor R wave progression", ("365413008",)),
    LabelClass("PVC", "premature ventricular contractions", ("427172004", "17338001")),
    LabelClass("QAb", "abnormal Q wave", ("164917005",)),
    LabelClass("RAD", "right axis deviation", ("47665007",)),
    LabelClass("SA", "sinus arrhythmia", ("427393009",)),
    LabelClass("SB", "sinus bradycardia", ("426177001",)),
    LabelClass("STach", "sinus tachycardia", ("427084000",)),
    LabelClass("TAb", "abnormal T wave", ("164934002",)),
    LabelClass("TInv", "T wave inversion", ("59931005",)),
)
ABBREVIATIONS: tuple[str, ...] = tuple(c.abbreviation for c in CLASSES)
NORMAL: int = ABBREVIATIONS.index("NSR")
"""Index of sinus rhythm, the class that the Challenge's inactive classifier always predicts."""


def encode(codes: Iterable[str], classes: Sequence[LabelClass] = CLASSES) -> NDArray[np.uint8]:
    """Turn codes into a vector of zeros and ones, one entry per class."""
    present = set(codes)
    return np.array([not present.isdisjoint(c.codes) for c in classes], dtype=np.uint8)


def _weights() -> NDArray[np.float64]:
    lines = files("data_pipeline").joinpath("weights.csv").read_text("utf-8").splitlines()
    rows = [line.split(",") for line in lines if not line.startswith("#")]
    if tuple(row[0] for row in rows) != ABBREVIATIONS:
        raise AssertionError("weights.csv and CLASSES stand in different orders")
    weights = np.zeros((len(rows), len(rows)))
    for i, row in enumerate(rows):
        weights[i, : i + 1] = weights[: i + 1, i] = [float(value) for value in row[1:]]
    weights.flags.writeable = False
    return weights


WEIGHTS: NDArray[np.float64] = _weights()
"""Official rewards (26, 26), true class by predicted class; read-only."""
