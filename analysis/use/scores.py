"""Scores of networks on the same records, by class and group, in draws of their patients.

A record counts as often as its patient is drawn, so that all draws are products of matrices and
the same for all networks. A network trained several times has the mean score of its trainings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.questions.confirmation.resampling import Predictions, weighted_f1, weighted_ranking
from analysis.stats.patients import FEWEST_PATIENTS, kind_patients

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

METRICS = ("auroc", "auprc", "f1", "sensitivity", "specificity", "ppv", "ece")
MACRO = "macro"
EVERYONE = ("all", "all")
BINS = 15
# Entries of a matrix (records, draws): half a GB of them, whatever the number of records.
LARGEST = 2e7


Limits = Callable[[float, Floats], Floats]


def percentiles(_: float, draws: Floats) -> Floats:
    """Return the percentiles of those draws in which a score is defined, if they are the most."""
    defined = draws[np.isfinite(draws)]
    few = 2 * len(defined) < len(draws) or not len(defined)
    return np.full(2, np.nan) if few else np.percentile(defined, [2.5, 97.5])


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """Networks on the same records, over the classes that both know.

    labels (records, classes) 0/1; patients (records,) equal where the patient is; groups has a
    column per kind of group, such as sex, with the group of each record as an ordered category.
    """

    labels: NDArray[np.uint8]
    patients: NDArray[np.int64]
    groups: pd.DataFrame
    classes: tuple[str, ...]
    names: tuple[str, ...]
    networks: Mapping[str, Sequence[Predictions]]

    @property
    def enough(self) -> Bools:
        """Whether a class has enough patients with and without it (classes,)."""
        counts = kind_patients(self.labels, self.patients)
        return np.asarray(counts >= FEWEST_PATIENTS)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Two tables: every score with its interval, and differences to the first network.

    scores: network, kind, group, class, metric, estimate, low, high, records, patients, positives,
    classes. Class "macro" is the mean over the `classes` classes with enough patients; others have
    no interval. differences: network, against, metric, difference, low, high.
    """

    scores: pd.DataFrame
    differences: pd.DataFrame


def score_evaluated(
    evaluated: Evaluated,
    rng: np.random.Generator,
    *,
    draws: int = 1000,
    limits: Limits = percentiles,
) -> Scored:
    """Score every network on all records and in every group with records.

    `limits` makes the 95 % limits of a score of its draws.
    """
    count = int(evaluated.patients.max()) + 1
    drawn = np.ones((count, 1 + draws), np.int16)  # the first draw has everybody once
    for draw in range(1, 1 + draws):
        drawn[:, draw] = np.bincount(rng.integers(0, count, count), minlength=count)
    rows: list[dict[str, object]] = []
    macros: dict[str, dict[str, Floats]] = {}
    for kind, group, own in _groups(evaluated.groups):
        labels, patients = evaluated.labels[own].astype(bool), evaluated.patients[own]
        enough = kind_patients(labels, patients) >= FEWEST_PATIENTS
        about = {"kind": kind, "group": group}
        size = {"records": int(own.sum()), "patients": len(np.unique(patients))}
        for name, runs in evaluated.networks.items():
            scores = _mean_scores(runs, labels, own, drawn, patients)
            for metric in METRICS:
                values = scores[metric]
                macro = _mean(values[enough])
                if (kind, group) == EVERYONE:
                    macros.setdefault(name, {})[metric] = macro
                common: dict[str, object] = {**about, "network": name, "metric": metric, **size}
                positives = int(labels[:, enough].any(axis=1).sum())
                rows.append(
                    common
                    | {"class": MACRO, "positives": positives, "classes": int(enough.sum())}
                    | _interval(macro, limits)
                )
                for k, label in enumerate(evaluated.classes):
                    few = {} if enough[k] else {"low": np.nan, "high": np.nan}
                    rows.append(
                        common
                        | {"class": label, "positives": int(labels[:, k].sum()), "classes": 1}
                        | _interval(values[k], limits)
                        | few
                    )
    columns = ["network", "kind", "group", "class", "metric", "estimate", "low", "high"]
    columns += ["records", "patients", "positives", "classes"]
    return Scored(pd.DataFrame(rows, columns=columns), _differences(macros))


def weighted_scores(
    truth: Bools, values: Floats, decided: Bools, weights: Floats
) -> dict[str, Floats]:
    """Return METRICS, each (classes, draws); NaN where a class lacks what a score needs.

    truth, values and what is decided are (records, classes); records count `weights` (records,
    draws) times.
    """
    positive, negative = truth.T @ weights, (~truth).T @ weights
    auroc, auprc = weighted_ranking(truth, values, weights)
    return {
        "auroc": auroc,
        "auprc": auprc,
        "f1": weighted_f1(truth, decided, weights),
        "sensitivity": _ratio((truth & decided).T @ weights, positive),
        "specificity": _ratio((~truth & ~decided).T @ weights, negative),
        "ppv": _ratio((truth & decided).T @ weights, decided.T @ weights),
        "ece": weighted_ece(truth, values, weights),
    }


def weighted_ece(truth: Bools, values: Floats, weights: Floats) -> Floats:
    """Expected calibration error (classes, draws) in bins of equal width."""
    everyone = weights.sum(axis=0)
    place = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    errors = np.empty((truth.shape[1], weights.shape[1]))
    for k in range(truth.shape[1]):
        inside = (place[:, k] == np.arange(BINS)[:, None]).astype(np.float64)
        surplus = inside @ ((values[:, k] - truth[:, k])[:, None] * weights)
        errors[k] = _ratio(np.abs(surplus).sum(axis=0), everyone)
    return errors


def _mean_scores(
    runs: Sequence[Predictions],
    labels: Bools,
    own: Bools,
    drawn: NDArray[np.int16],
    patients: NDArray[np.int64],
) -> dict[str, Floats]:
    """Return the mean over a network's trainings of every score (classes, draws)."""
    at_once = max(1, int(LARGEST / max(len(labels), 1)))
    parts: list[dict[str, Floats]] = []
    for start in range(0, drawn.shape[1], at_once):
        part = drawn[patients, start : start + at_once].astype(np.float64)
        each = [
            weighted_scores(
                labels, np.asarray(run.probabilities[own], np.float64), run.decisions[own], part
            )
            for run in runs
        ]
        parts.append({m: np.mean([one[m] for one in each], axis=0) for m in METRICS})
    return {metric: np.concatenate([part[metric] for part in parts], 1) for metric in METRICS}


def _groups(groups: pd.DataFrame) -> Iterator[tuple[str, str, Bools]]:
    """Yield all records, then every group of a kind that has more than one."""
    yield (*EVERYONE, np.ones(len(groups), dtype=bool))
    for kind in groups:
        present = set(groups[kind])
        names = [str(name) for name in groups[kind].cat.categories if name in present]
        if len(names) > 1:
            for name in names:
                yield str(kind), name, (groups[kind] == name).to_numpy()


def _differences(macros: Mapping[str, Mapping[str, Floats]]) -> pd.DataFrame:
    """Compare macro scores with those of the first network, on the same draws."""
    first = next(iter(macros))
    rows = [
        {"network": name, "against": first, "metric": metric}
        | _interval(values - macros[first][metric])
        for name, own in macros.items()
        if name != first
        for metric, values in own.items()
    ]
    columns = ["network", "against", "metric", "estimate", "low", "high"]
    return pd.DataFrame(rows, columns=columns).rename(columns={"estimate": "difference"})


def _interval(drawn: Floats, limits: Limits = percentiles) -> dict[str, float]:
    """Return the estimate, which comes first, and the 95 % limits of the draws after it."""
    low, high = limits(float(drawn[0]), drawn[1:])
    return {"estimate": float(drawn[0]), "low": float(low), "high": float(high)}


def _mean(values: Floats) -> Floats:
    """Mean over the classes (classes, draws) that are defined in a draw."""
    defined = np.isfinite(values)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return _ratio(total, defined.sum(axis=0).astype(np.float64))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    result = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result
