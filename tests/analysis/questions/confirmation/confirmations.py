"""Simulated confirmations: networks that see labels so well, some better than others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.questions.confirmation.resampling import Predictions
from analysis.trials.table import TrialTable
from search.confirm import Confirmation, Entry
from search.reading.records import Confirmed
from search.training.outputs import Outputs

CLASSES = ("AF", "NSR", "PVC", "LBBB")
SHAPE = {"samples": 1000, "leads": 12, "outputs": 26}


def make_outputs(
    strengths: dict[str, float],
    rng: np.random.Generator,
    *,
    records: int = 400,
    seeds: int = 3,
    spread: float = 0.1,
) -> tuple[np.ndarray, np.ndarray, dict[str, list[np.ndarray]]]:
    """Labels, patients and, per network and seed, probabilities that see labels this well."""
    patients = np.repeat(np.arange(records // 2), 2)
    prevalence = np.array([0.3, 0.5, 0.1, 0.05])
    labels = rng.random((records, len(CLASSES))) < prevalence
    shared = rng.standard_normal(labels.shape)
    outputs = {}
    for name, strength in strengths.items():
        outputs[name] = []
        for _ in range(seeds):
            own = strength + spread * rng.standard_normal()
            noise = 0.7 * shared + 0.7 * rng.standard_normal(labels.shape)
            outputs[name].append(1 / (1 + np.exp(-(own * labels + noise - 1))))
    return labels, patients, outputs


def runs_of(outputs: dict[str, list[np.ndarray]]) -> dict[str, list[Predictions]]:
    cuts = np.full(len(CLASSES), 0.5)
    return {name: [Predictions(one, cuts) for one in own] for name, own in outputs.items()}


def confirmed_of(
    strengths: dict[str, tuple[float, str]], *, seed: int = 0, spread: float = 0.1, seeds: int = 3
) -> Confirmed:
    """A confirmation at one budget of networks that see labels so well."""
    rng = np.random.default_rng(seed)
    labels, patients, outputs = make_outputs(
        {n: s for n, (s, _) in strengths.items()}, rng, spread=spread, seeds=seeds
    )
    rows, kept, cuts = [], {}, {}
    for name, own in outputs.items():
        for place, values in enumerate(own):
            trial = len(rows)
            rows.append(
                {
                    "trial": trial, "role": "confirm", "state": "complete", "seed": place,
                    "round": 0, "architecture_hash": name, "learning_rate": 5e-3,
                    "flops": 9e7, "params": 1e5, "activations": 1e5,
                    "macro_f1": 0.5 + strengths[name][0] / 10 + place / 1000,
                }
            )  # fmt: skip
            kept[trial] = Outputs(
                values.astype(np.float32), labels.astype(np.uint8), patients, ("x",) * len(labels)
            )
            cuts[trial] = np.full(len(CLASSES), 0.5)
    entries = tuple(Entry(n, 1e8, group, n) for n, (_, group) in strengths.items())
    rounds = (Confirmation(entries, seeds, (5e-3,)),)
    return Confirmed(rounds, pd.DataFrame(rows), kept, cuts, CLASSES)


def with_networks(confirmed: Confirmed, study: TrialTable) -> Confirmed:
    """Give each confirmed name a network of the study, as trials have."""
    trials = confirmed.trials.copy()
    stored = study.designs()["architecture"]
    place = pd.factorize(trials["architecture_hash"])[0]
    trials["architecture"] = stored.to_numpy()[place]
    return replace(confirmed, trials=trials)


def with_a_tiny_class(strengths: dict[str, tuple[float, str]]) -> tuple[Confirmed, np.ndarray]:
    """A confirmation whose last class has three positive test records, and its labels."""
    confirmed = confirmed_of(strengths)
    some = next(iter(confirmed.outputs.values()))
    labels = some.labels.copy()
    labels[np.flatnonzero(labels[:, 3])[3:], 3] = 0
    outputs = {
        trial: Outputs(one.probabilities, labels, one.patients, one.sources)
        for trial, one in confirmed.outputs.items()
    }
    return replace(confirmed, outputs=outputs), labels
