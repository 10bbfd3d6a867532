"""Scores of a whole fold, as plain functions of arrays.

`labels` is (records, classes) of 0 and 1; `outputs` are scores of any scale, `probabilities` lie in
0..1, `decisions` are 0 and 1, all of the same shape. Means of per-batch scores are not scores: pass
the whole fold. A class that a score is not defined for is NaN in the per-class vector and left out
of the macro mean; a macro mean of no class at all is NaN.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from data_pipeline.labels import NORMAL, WEIGHTS
from search.errors import StudyError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
EmptyClasses = Literal["ignore", "challenge"]


# ---- F1 ---- #


def f1_per_class(
    labels: npt.ArrayLike, decisions: npt.ArrayLike, *, empty_classes: EmptyClasses = "challenge"
) -> Floats:
    """Return F1 = 2 TP / (2 TP + FP + FN) of every class.

    A class without positive labels is NaN: always with "ignore"; with "challenge" unless it has a
    false alarm, which makes it 0, as in the Challenge's own code and with scikit-learn's
    `zero_division=nan`.
    """
    truth, chosen = _decided(labels, decisions)
    hits, positives = (truth & chosen).sum(axis=0), truth.sum(axis=0)
    named = positives + chosen.sum(axis=0)
    return _ratio(2 * hits, named if empty_classes == "challenge" else named * (positives > 0))


def macro_f1(
    labels: npt.ArrayLike, decisions: npt.ArrayLike, *, empty_classes: EmptyClasses = "challenge"
) -> float:
    """Return the mean F1 over the classes it is defined for."""
    return macro_mean(f1_per_class(labels, decisions, empty_classes=empty_classes))


def recall_per_class(labels: npt.ArrayLike, decisions: npt.ArrayLike) -> Floats:
    """Return TP / (TP + FN) of every class, NaN without positives."""
    truth, chosen = _decided(labels, decisions)
    return _ratio((truth & chosen).sum(axis=0), truth.sum(axis=0))


# ---- Ranking scores ---- #


def auroc_per_class(labels: npt.ArrayLike, outputs: npt.ArrayLike) -> Floats:
    """Return the area under the ROC curve of every class, ties counting one half.

    NaN where a class has no positive or no negative record.
    """
    ranking = _rank(*_scored(labels, outputs))
    hits_above = (ranking.hits_above + ranking.hits_to_end) / 2
    negatives = len(ranking.is_hit) - ranking.positives
    return _ratio((hits_above * ~ranking.is_hit).sum(axis=0), ranking.positives * negatives)


def macro_auroc(labels: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the mean AUROC over the classes with positive and negative records."""
    return macro_mean(auroc_per_class(labels, outputs))


def auprc_per_class(labels: npt.ArrayLike, outputs: npt.ArrayLike) -> Floats:
    """Return the step-wise average precision of every class; NaN without positives."""
    ranking = _rank(*_scored(labels, outputs))
    precision = ranking.hits_to_end / ranking.end
    return _ratio((precision * ranking.is_hit).sum(axis=0), ranking.positives)


def macro_auprc(labels: npt.ArrayLike, outputs: npt.ArrayLike) -> float:
    """Return the mean average precision over the classes with positive records."""
    return macro_mean(auprc_per_class(labels, outputs))


# ---- Thresholds ---- #


def best_thresholds(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, slack: float = 0.0
) -> Floats:
    """Return, for every class, the threshold with the highest F1: decide `probability > threshold`.

    A threshold lies midway between two neighbouring probabilities. Of equally good ones that with
    the fewest alarms is taken. A class without positives gets 1: it is never decided.

    The best cut of a rare class is mostly luck. With `slack` the threshold is the mean over all
    cuts whose F1 is within slack / √positives of the best; 0.5 / √positives bounds the standard
    error of F1. What this gains on other records is in studies/recipe.
    """
    ranking = _rank(*_scored(labels, probabilities))
    if not len(ranking.is_hit):
        return np.ones(ranking.is_hit.shape[1])
    following = np.vstack([ranking.ranked[1:], np.zeros((1, ranking.ranked.shape[1]))])
    midway = (ranking.ranked + following) / 2
    f1 = 2 * ranking.hits_to_end / (ranking.end + ranking.positives)
    if slack == 0:
        rank = ranking.end[f1.argmax(axis=0), np.arange(f1.shape[1])] - 1
        chosen = midway[rank, np.arange(f1.shape[1])]
    else:
        is_cut = ranking.end == np.arange(1, len(f1) + 1)[:, None]  # not within tied records
        tolerance = slack / np.sqrt(np.maximum(ranking.positives, 1))
        good = is_cut & (f1 >= f1.max(axis=0) - tolerance)
        chosen = (midway * good).sum(axis=0) / good.sum(axis=0)
    return np.where(ranking.positives > 0, chosen, 1.0)


# ---- The Challenge's score ---- #


def challenge_score(
    labels: npt.ArrayLike,
    decisions: npt.ArrayLike,
    *,
    weights: npt.ArrayLike = WEIGHTS,
    normal: int = NORMAL,
) -> float:
    """Return the official score of the PhysioNet/CinC Challenge 2021 (1 perfect, 0 inactive).

    A record with n classes labelled or decided adds 1/n to every pair (labelled j, decided k);
    the sum weighted by `weights` is scaled so that the labels themselves score 1 and deciding only
    sinus rhythm (class `normal`) everywhere scores 0. Columns follow the order of the official
    weights, equivalent diagnoses already merged, as in `data_pipeline.labels`.
    Source: evaluate_model.py of physionetchallenges/evaluation-2021; Reyna et al. 2021.
    """
    truth, chosen = _decided(labels, decisions)
    credit = np.asarray(weights, dtype=np.float64)
    if credit.shape != (truth.shape[1],) * 2:
        raise StudyError(
            f"The Challenge score needs {len(credit)} classes in the order of the official weights,"
            f" got {truth.shape[1]}; prepare the store with the 26 scored classes."
        )
    inactive = np.zeros_like(truth)
    inactive[:, normal] = True
    observed, correct, lowest = (_credit(truth, c, credit) for c in (chosen, truth, inactive))
    return (observed - lowest) / (correct - lowest) if correct != lowest else 0.0


def _credit(truth: Bools, chosen: Bools, weights: Floats) -> float:
    named = np.maximum((truth | chosen).sum(axis=1, keepdims=True), 1)
    confusion = (truth / named).T @ chosen.astype(np.float64)
    return float((weights * confusion).sum())


# ---- Calibration ---- #


def calibration_error_per_class(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, bins: int = 15
) -> Floats:
    """Return the expected calibration error of every class as a binary problem of its own.

    All records of the fold fall into `bins` bins of equal width by their probability;
    ECE = Σ_bins (records in bin / records) |mean probability − share of positives|
    (Naeini et al. 2015, for "class present"). Defined for classes without positives too.
    """
    truth, values = _scored(labels, probabilities)
    if np.any((values < 0) | (values > 1)):
        raise StudyError(
            f"Expected probabilities between 0 and 1, got {values.min():.3g} to {values.max():.3g};"
            " apply the sigmoid first."
        )
    records, classes = truth.shape
    place = np.minimum((values * bins).astype(np.int64), bins - 1) + bins * np.arange(classes)
    surplus = np.bincount(place.ravel(), (values - truth).ravel(), minlength=bins * classes)
    gap = np.abs(surplus).reshape(classes, bins).sum(axis=1)
    return _ratio(gap, np.full(classes, records))


def expected_calibration_error(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, bins: int = 15
) -> float:
    """Return the mean over classes of `calibration_error_per_class`."""
    return macro_mean(calibration_error_per_class(labels, probabilities, bins=bins))


# ---- Shared steps ---- #


class _Ranking(NamedTuple):
    """Every class sorted by falling output; tied records share the counts of their group."""

    ranked: Floats  # (records, classes): the outputs in this order
    is_hit: Bools  # (records, classes): the label of the record at this rank
    end: npt.NDArray[np.int64]  # (records, classes): records down to the end of the tie group
    hits_to_end: npt.NDArray[np.int64]  # positives among them
    hits_above: npt.NDArray[np.int64]  # positives above the tie group
    positives: npt.NDArray[np.int64]  # (classes,)


def _rank(truth: Bools, values: Floats) -> _Ranking:
    order = np.argsort(-values, axis=0)
    is_hit = np.take_along_axis(truth, order, axis=0)
    ranked = np.take_along_axis(values, order, axis=0)
    records = len(values)
    row = np.arange(records)[:, None]
    changes = ranked[1:] != ranked[:-1]
    edge = np.ones((1, values.shape[1]), dtype=bool) if records else changes[:0]
    first = np.maximum.accumulate(np.where(np.vstack([edge, changes]), row, 0), axis=0)
    after = np.where(np.vstack([changes, edge]), row + 1, records)
    end = np.minimum.accumulate(after[::-1], axis=0)[::-1]
    hits = np.vstack([np.zeros((1, values.shape[1]), dtype=np.int64), is_hit.cumsum(axis=0)])
    take = np.take_along_axis
    return _Ranking(
        ranked, is_hit, end, take(hits, end, 0), take(hits, first, 0), truth.sum(axis=0)
    )


def _decided(labels: npt.ArrayLike, decisions: npt.ArrayLike) -> tuple[Bools, Bools]:
    truth, chosen = _same_shape(labels, decisions)
    return _binary(truth, "labels"), _binary(chosen, "decisions")


def _scored(labels: npt.ArrayLike, outputs: npt.ArrayLike) -> tuple[Bools, Floats]:
    truth, values = _same_shape(labels, outputs)
    values = values.astype(np.float64)
    if np.isnan(values).any():
        raise StudyError("Expected outputs without NaN; a network that diverged has no score.")
    return _binary(truth, "labels"), values


def _same_shape(
    labels: npt.ArrayLike, values: npt.ArrayLike
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    truth, other = np.asarray(labels), np.asarray(values)
    if truth.ndim != 2 or truth.shape != other.shape:
        raise StudyError(
            "Expected labels and outputs of one shape (records, classes),"
            f" got {truth.shape} and {other.shape}; pass the whole fold at once."
        )
    return truth, other


def _binary(values: npt.NDArray[Any], name: str) -> Bools:
    as_bool = values.astype(bool)
    if not np.array_equal(as_bool, values):
        raise StudyError(f"Expected {name} of 0 and 1 only; apply the thresholds first.")
    return as_bool


def _ratio(numerator: npt.NDArray[Any], denominator: npt.NDArray[Any]) -> Floats:
    result = np.full(denominator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator > 0)
    return result


def macro_mean(per_class: npt.ArrayLike) -> float:
    """Return the mean over classes that have a score; NaN when none has."""
    scores = np.asarray(per_class, dtype=np.float64)
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
