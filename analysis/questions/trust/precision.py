"""Whether the precision of the training moved the scores, where a study has trials in two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analysis.stats.coding import equal_cost
from analysis.stats.interval import Interval
from analysis.stats.regression import least_squares
from analysis.trials.table import TrialTable

FEWEST_TRIALS = 5  # in each precision


@dataclass(frozen=True, slots=True)
class PrecisionDifference:
    """Score of `other` minus score of `precision`, at equal design (t-test).

    `trials` counts the complete trials in each. Without enough of them the estimate is NaN.
    """

    trials: Mapping[str, int]
    precision: str
    other: str
    effect: Interval = Interval(float("nan"))  # noqa: RUF009
    p: float = float("nan")


def precision_difference(table: TrialTable) -> PrecisionDifference | None:
    """Compare the precisions of a study's trials; None where there is only one.

    A study settles one now; in older ones each worker chose its own. A regression on the precision
    beside a spline in ln cost and all factors (HC3), over single trials: which worker
    took which trial had nothing to do with the trial, the factors only sharpen the estimate.
    """
    if "precision" not in table.frame:
        return None
    counts = table.complete()["precision"].value_counts()
    if len(counts) < 2:
        return None
    usual, other = counts.index[:2]
    trials_in = {str(name): int(count) for name, count in counts.items()}
    found = PrecisionDifference(trials_in, usual, other)
    trials = table.learned
    trials = trials[trials["precision"].isin([usual, other])]
    if trials["precision"].value_counts().reindex([usual, other]).fillna(0).min() < FEWEST_TRIALS:
        return found
    sign = 1.0 if table.maximize else -1.0
    setup = equal_cost(table, trials.assign(score=sign * trials[table.objective]))
    among = (trials["precision"] == other).to_numpy(float)[:, None]
    x = np.hstack([among, setup.spline, *(one.columns for one in setup.factors.values())])
    if len(x) <= x.shape[1]:
        return found
    fit = least_squares(x, setup.score)
    effect = fit.contrast(np.eye(x.shape[1])[0])
    return PrecisionDifference(found.trials, usual, other, effect, fit.wald(np.array([0])))
