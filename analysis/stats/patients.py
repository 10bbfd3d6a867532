"""Bootstrap intervals of whole-fold scores, drawing patients, not records.

Records of one patient resemble each other; drawing records as if they were independent makes
intervals too narrow. The interval covers the chance in who was recorded, not that of training
(for which replicates are).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from analysis.stats.interval import Z

# Below, an interval holds the truth far less often than it says: of AUROC, in a simulation with 350
# patients, in 52, 78, 80, 87 and 89 % of the cases with 2, 4, 5, 10 and 15 positive ones.
FEWEST_PATIENTS = 5


def number_patients(patients: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], int]:
    """Number the patients from 0: return each record's patient (records,) and their count."""
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    return np.asarray(owner, dtype=np.int64), int(owner.max(initial=-1)) + 1


def draw_patients(count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Draw as many patients as there are, with replacement: how often each came (count,)."""
    return np.bincount(rng.integers(0, count, count), minlength=count)


def kind_patients(labels: npt.ArrayLike, patients: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Count the patients with a positive and with a negative record, per class the fewer.

    labels (records, classes) 0/1; patients (records,). Returns (classes,).
    """
    truth = np.asarray(labels).astype(bool)
    owner, count = number_patients(patients)
    have = np.zeros((2, count, truth.shape[1]), dtype=bool)
    for kind in (0, 1):
        np.logical_or.at(have[kind], owner, truth == kind)
    return np.asarray(have.sum(axis=1).min(axis=0), dtype=np.int64)


def corrected_limits(estimate: float, draws: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return normal limits on the scale of log odds, less the bias that the draws have.

    Drawing a positive record twice raises average precision, as few records do by themselves, so
    percentiles lie too high twice over: macro-AUPRC over 17 classes of 460 records was covered in
    77 of 100 simulated cases, by these limits in 92 (Efron & Tibshirani 1993, chapter 10: bias).
    The correction goes at most half the way to 0 or 1.
    """
    defined = draws[np.isfinite(draws)]
    sd = float(np.std(defined, ddof=1)) if 2 * len(defined) >= max(len(draws), 4) else 0.0
    if not sd > 0:
        return np.full(2, np.nan)
    centre = np.clip(2 * estimate - defined.mean(), estimate / 2, (1 + estimate) / 2)
    half = Z * sd / (centre * (1 - centre))
    return np.asarray(special.expit(special.logit(centre) + np.array([-half, half])))
