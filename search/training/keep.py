"""Keep a trial's trained network: everything from a raw ECG to a decision in one file."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models import Architecture
from models.prediction import decided
from search.errors import StudyError
from search.training import metrics
from search.training.folds import fold_rows

if TYPE_CHECKING:
    from data_pipeline import Store
    from models.card import ModelCard
    from search.study import Study
    from search.training.train import Trained, TrialScores
    from search.trials.queue import Claim

# Of patients, for a standard error (Efron & Tibshirani 1993, chapter 6); each costs 0.1 s where
# 17,000 records are validated.
DRAWS = 50
NORMAL_QUANTILE = 1.96
PACKAGES = ("ecgscale", "torch", "numpy", "scipy")


def keep_network(
    path: Path,
    study: Study,
    store: Store,
    claim: Claim,
    trained: Trained,
    scores: TrialScores,
    git_commit: str,
) -> Path:
    """Write a trained network to `path`, for `models.load` and `ecgscale export`; return it.

    Raises OSError where the disk does not take it.
    """
    from models.export import save_network

    architecture = Architecture.from_json(claim.architecture)
    rows = fold_rows(store, study.definition.data)
    exclusive = study.definition.data.exclusive
    card = replace(
        card_of_store(store, f"{study.name}, trial {claim.number}"),
        thresholds=() if exclusive else tuple(float(value) for value in trained.thresholds),
        exclusive=exclusive,
        scores={f"validation {name}": float(value) for name, value in scores.values.items()},
        intervals=score_intervals(
            store.labels[rows["validation"]],
            trained.probabilities,
            trained.thresholds,
            store.patient_numbers(rows["validation"]),
            empty_classes=study.definition.recipe.empty_classes,
            exclusive=exclusive,
        ),
        records={fold: len(own) for fold, own in rows.items()},
        positives=_positives(store, rows["train"]),
        recipe=replace(study.definition.recipe, **claim.recipe).described(),
        study=study.name,
        seed=claim.seed,
        git_commit=git_commit,
        precision=scores.precision,
        versions=versions(),
    )
    save_network(path, architecture, trained.network, card)
    return path


def card_of_store(store: Store, name: str) -> ModelCard:
    """Return what a store says of the networks that are trained on it."""
    from data_pipeline.store import LEADS
    from models.card import ModelCard
    from models.preprocessing import Preprocessing

    content = store.manifest["content"]
    prepared = Preprocessing.from_options(content["options"], LEADS, store.step, content["method"])
    return ModelCard(
        name=name,
        classes=store.classes,
        diagnoses=tuple(store.class_names[name] for name in store.classes),
        codes=store.codes,
        leads=LEADS,
        samples=store.samples,
        sample_rate_hz=store.sample_rate_hz,
        preparation=prepared.describe(),
        preprocessing=prepared,
        data_hash=store.hash,
        synthetic_data=store.synthetic,
    )


def completed_card(card: ModelCard, store: Store) -> ModelCard:
    """Return the card of a file of before preparation was kept, with what its store says of it."""
    if card.data_hash != store.hash:
        raise StudyError(
            f"Expected the store that {card.name} was trained on, of hash {card.data_hash[:16]}, "
            f"got {store.path} of {store.hash[:16]}."
        )
    known = card_of_store(store, card.name)
    return replace(
        card,
        diagnoses=known.diagnoses,
        codes=known.codes,
        preprocessing=known.preprocessing,
        preparation=known.preparation,
    )


def score_intervals(
    labels: npt.NDArray[np.uint8],
    probabilities: npt.NDArray[np.float64],
    thresholds: npt.NDArray[np.float64],
    patients: npt.NDArray[np.int64],
    *,
    empty_classes: metrics.EmptyClasses,
    exclusive: bool = False,
) -> dict[str, tuple[float, float]]:
    """Return 95 % limits of the validation scores, by the standard error between draws of patients.

    labels and probabilities are (records, classes); patients (records,) are numbers from 0;
    empty_classes as in `metrics.f1_per_class`.
    """
    rng = np.random.default_rng(0)
    count = int(patients.max()) + 1

    def scores(chosen: npt.NDArray[np.int64]) -> list[float]:
        truth, values = labels[chosen], probabilities[chosen]
        return [
            metrics.macro_f1(
                truth, decided(values, thresholds, exclusive), empty_classes=empty_classes
            ),
            metrics.macro_auroc(truth, values),
            metrics.macro_auprc(truth, values),
        ]

    rows = np.arange(len(patients))
    drawn = []
    for _ in range(DRAWS):
        often = np.bincount(rng.integers(0, count, count), minlength=count)
        drawn.append(scores(np.repeat(rows, often[patients])))
    half = NORMAL_QUANTILE * np.std(drawn, axis=0, ddof=1)
    names = ("macro_f1", "macro_auroc", "macro_auprc")
    return {
        f"validation {name}": (float(max(value - reach, 0.0)), float(min(value + reach, 1.0)))
        for name, value, reach in zip(names, scores(rows), half, strict=True)
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a network's numbers come from."""
    found: dict[str, Any] = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # run from a checkout
            continue
    return found


def _positives(store: Store, rows: npt.NDArray[np.int64]) -> dict[str, int]:
    counts = store.labels[rows].sum(axis=0)
    return {name: int(count) for name, count in zip(store.classes, counts, strict=True)}
