"""Searched networks against references per budget, on test records that nothing was chosen by.

Every contestant was trained under the same recipe with the same number of fresh seeds and the same
learning rates. Which searched network stands for its budget was decided before any of them was
trained again, by the order of the candidates; which rate, on validation records. Differences are
then measured on the test records, paired by patient.
"""

from __future__ import annotations

import numpy as np

from analysis.questions.confirmation.classes import class_sets, declared_metric
from analysis.questions.confirmation.contestants import describe
from analysis.questions.confirmation.counted import count
from analysis.questions.confirmation.pairs import find_pairs
from analysis.questions.confirmation.resampling import score_networks
from analysis.questions.confirmation.results import Comparison
from analysis.questions.confirmation.uncertainty import seed_variances
from analysis.stats.shrinkage import Shrunken
from analysis.trials.table import TrialTable
from search.reading.records import Confirmed


def compare(
    table: TrialTable,
    confirmed: Confirmed,
    *,
    shrunken: Shrunken | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compare the confirmed networks of each budget.

    Intervals and p-values allow for patients and seeds (`uncertainty`).
    Raises AnalysisError if nothing was confirmed, nothing of it is done, or the primary metric is
    not one that is measured on test records.
    """
    declared = declared_metric(table)
    counted = count(confirmed, table.objective)
    some = next(iter(confirmed.outputs.values()))
    sets = class_sets(table, confirmed.classes, some.labels, some.patients)
    networks = counted.predictions(confirmed)
    rng = np.random.default_rng([seed, 8])
    scores = score_networks(
        some.labels, some.patients, networks, rng, draws=draws, sets=sets.columns
    )
    seeds = {
        metric: seed_variances({name: one.observed for name, one in own.items()})
        for metric, own in scores.items()
    }
    contestants = describe(table, counted, scores, seeds, shrunken, seed)
    planned = sum(len(one.entries) for one in confirmed.rounds[1:])
    return Comparison(
        contestants,
        find_pairs(contestants, scores, seeds),
        table.objective,
        sets.measured(declared),
        sets,
        records=len(some.labels),
        patients=len(np.unique(some.patients)),
        draws=draws,
        added=tuple(dict.fromkeys(entry.name for entry in counted.added)),
        left_out=planned - len(counted.added),
        seeds=confirmed.rounds[0].seeds,
        missing=counted.missing,
    )
