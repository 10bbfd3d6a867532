"""ROC and precision–recall curves of a network, the mean of its trainings."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from analysis.use.scores import Evaluated

POINTS = 101
ROC, PRECISION = "ROC", "precision–recall"


def ranking_curves(evaluated: Evaluated) -> pd.DataFrame:
    """Return the curves of the classes with enough patients, at POINTS places of the x-axis.

    Columns: network, class, curve, x, y. ROC has 1 − specificity and sensitivity, the other recall
    and precision. Trainings are averaged vertically (Fawcett 2006), so that the area under a curve
    is the mean AUROC, or the mean average precision, of the trainings.
    """
    grid = np.linspace(0.0, 1.0, POINTS)
    parts = []
    for name, runs in evaluated.networks.items():
        for k in np.flatnonzero(evaluated.enough):
            truth = evaluated.labels[:, k].astype(bool)
            own = [np.asarray(run.probabilities[:, k], np.float64) for run in runs]
            for curve, at in ((ROC, _sensitivity), (PRECISION, _precision)):
                y = np.mean([at(truth, values, grid) for values in own], axis=0)
                about = {"network": name, "class": evaluated.classes[k], "curve": curve}
                parts.append(pd.DataFrame({**about, "x": grid, "y": y}))
    columns = ["network", "class", "curve", "x", "y"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def _sensitivity(
    truth: NDArray[np.bool_], values: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    alarms, found, _ = roc_curve(truth, values, drop_intermediate=False)
    return np.asarray(np.interp(grid, alarms, found))


def _precision(
    truth: NDArray[np.bool_], values: NDArray[np.float64], grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the precision at the highest threshold that finds at least such a share."""
    precision, recall, _ = precision_recall_curve(truth, values)
    # In order of falling thresholds, without the point at recall 0, which no threshold has.
    precision, recall = precision[-2::-1], recall[-2::-1]
    place = np.searchsorted(recall, grid - 1e-12, side="left")
    return np.asarray(precision[np.minimum(place, len(precision) - 1)])
