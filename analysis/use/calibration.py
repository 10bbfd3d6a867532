"""How often what a network calls probable is so: reliability curves, expected and observed."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.use.scores import Evaluated

# Narrow where most probabilities are: a diagnosis is rare in most records.
EDGES = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
FEWEST = 5
ALL = "all"


def reliability(
    evaluated: Evaluated, rng: np.random.Generator, *, draws: int = 400
) -> pd.DataFrame:
    """Return the mean probability and the observed share, by network, class and bin.

    Columns: network, class, predicted, observed, low, high, cases. Class "all" is of all cases
    (record and class) of the classes with enough patients, trainings of a network together. The
    limits are those of patients drawn again; bins with fewer than FEWEST cases are left out.
    """
    _, owner = np.unique(evaluated.patients, return_inverse=True)
    count = int(owner.max()) + 1
    often = np.stack(
        [np.bincount(rng.integers(0, count, count), minlength=count) for _ in range(draws)]
    )
    rows: list[dict[str, object]] = []
    for name, runs in evaluated.networks.items():
        for label, columns in _columns(evaluated):
            truth = np.concatenate([evaluated.labels[:, columns].ravel() for _ in runs]).astype(
                bool
            )
            values = np.concatenate(
                [np.asarray(run.probabilities[:, columns], np.float64).ravel() for run in runs]
            )
            case = np.tile(np.repeat(owner, len(columns)), len(runs))
            for row in _bins(truth, values, case, often):
                rows.append({"network": name, "class": label, **row})
    columns_out = ["network", "class", "predicted", "observed", "low", "high", "cases"]
    return pd.DataFrame(rows, columns=columns_out)


def expected_counts(evaluated: Evaluated) -> pd.DataFrame:
    """Return the positives that each network expects of each class, and those that there are.

    Columns: network, class, observed, expected, ratio. A network's trainings are averaged.
    """
    observed = evaluated.labels.sum(axis=0).astype(int)
    rows = []
    for name, runs in evaluated.networks.items():
        sums = np.mean([np.asarray(run.probabilities).sum(axis=0) for run in runs], axis=0)
        for k, label in enumerate(evaluated.classes):
            ratio = float(sums[k] / observed[k]) if observed[k] else float("nan")
            rows.append(
                {
                    "network": name,
                    "class": label,
                    "observed": int(observed[k]),
                    "expected": float(sums[k]),
                    "ratio": ratio,
                }
            )
    return pd.DataFrame(rows)


def _columns(evaluated: Evaluated) -> list[tuple[str, NDArray[np.int64]]]:
    """Return all classes with enough patients together, then one by one."""
    enough = np.flatnonzero(evaluated.enough)
    if not len(enough):
        return []
    return [(ALL, enough), *((evaluated.classes[k], np.array([k])) for k in enough)]


def _bins(
    truth: NDArray[np.bool_],
    values: NDArray[np.float64],
    case: NDArray[np.int64],
    often: NDArray[np.int64],
) -> list[dict[str, object]]:
    """Return a row for each bin with cases enough; `case` is each case's patient."""
    place = np.clip(np.searchsorted(EDGES, values, side="right") - 1, 0, len(EDGES) - 2)
    rows: list[dict[str, object]] = []
    patients = often.shape[1]
    for number in range(len(EDGES) - 1):
        inside = place == number
        if inside.sum() < FEWEST:
            continue
        cases = np.bincount(case[inside], minlength=patients)
        hits = np.bincount(case[inside & truth], minlength=patients)
        drawn_cases, drawn_hits = often @ cases, often @ hits
        shares = drawn_hits[drawn_cases > 0] / drawn_cases[drawn_cases > 0]
        low, high = np.percentile(shares, [2.5, 97.5])
        rows.append(
            {
                "predicted": float(values[inside].mean()),
                "observed": float(truth[inside].mean()),
                "low": float(low),
                "high": float(high),
                "cases": int(inside.sum()),
            }
        )
    return rows
