"""The recommended network on the test records: by diagnosis, by sex, age and source.

Everything is computed from what its confirmation kept. Scores are means over its trainings;
intervals are over patients, and the chance in training is not in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.questions.confirmation.counted import count
from analysis.questions.confirmation.numbers import confirmation
from analysis.questions.confirmation.results import Comparison, Contestant
from analysis.questions.context import Context
from analysis.stats.patients import corrected_limits
from analysis.stats.refusal import Refusal
from analysis.use.calibration import reliability
from analysis.use.curves import ranking_curves
from analysis.use.scores import Evaluated, Scored, score_evaluated

DRAWS = 400


@dataclass(frozen=True, slots=True, eq=False)
class Diagnoses:
    """One network on the test records: `evaluated`, `scored`, and its curves.

    `curves` are those of `ranking_curves`, `calibration` those of `reliability`.
    """

    contestant: Contestant
    evaluated: Evaluated
    scored: Scored
    curves: pd.DataFrame
    calibration: pd.DataFrame


def diagnoses(context: Context) -> Diagnoses | Refusal:
    """Score the network that stands for the largest budget, on the test records."""
    found = context.of(confirmation)
    if isinstance(found, Refusal):
        return found
    confirmed = context.confirmed
    assert confirmed is not None
    chosen = recommended(found)
    some = next(iter(confirmed.outputs.values()))
    runs = count(confirmed, context.table.objective).predictions(confirmed)
    evaluated = Evaluated(
        labels=some.labels,
        patients=some.patients,
        groups=_groups(context, some.sources),
        classes=confirmed.classes,
        names=tuple(context.names.get(name, name) for name in confirmed.classes),
        networks={chosen.name: runs[chosen.architecture_hash]},
    )
    rng = np.random.default_rng([context.seed, 12])
    return Diagnoses(
        chosen,
        evaluated,
        score_evaluated(evaluated, rng, draws=DRAWS, limits=corrected_limits),
        ranking_curves(evaluated),
        reliability(evaluated, rng),
    )


def recommended(found: Comparison) -> Contestant:
    """Return the searched network of the largest budget that has one, else the first of all."""
    chosen = [found.chosen(budget) for budget in found.budgets]
    known = [one for one in chosen if one is not None]
    return known[-1] if known else found.contestants[-1]


def _groups(context: Context, sources: tuple[str, ...]) -> pd.DataFrame:
    """Return source of each test record and, where the study kept its cohort, sex and age."""
    by_source = pd.Categorical(sources, sorted(set(sources)), ordered=True)
    groups = pd.DataFrame({"source": by_source})
    cohort = context.cohort
    if cohort is None or len(cohort.tested) != len(groups):
        return groups
    return pd.concat([cohort.tested.reset_index(drop=True), groups], axis=1)
