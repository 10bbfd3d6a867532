"""Which candidates and trainings of a confirmation count, whatever was planned after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from analysis.errors import AnalysisError
from analysis.questions.confirmation.resampling import Predictions
from models.prediction import decided
from search.confirm import Entry
from search.reading.records import Confirmed


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """The entries that count, those of them that a later round `added`, and their trainings.

    `runs` has the trials of each network, by its hash, at the learning rate that was chosen.
    """

    entries: tuple[Entry, ...]
    added: tuple[Entry, ...]
    runs: Mapping[str, pd.DataFrame]

    @property
    def done(self) -> tuple[Entry, ...]:
        """Entries with at least one finished training."""
        return tuple(entry for entry in self.entries if entry.architecture_hash in self.runs)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of those without one."""
        names = {e.name for e in self.entries if e.architecture_hash not in self.runs}
        return tuple(sorted(names))

    def predictions(self, confirmed: Confirmed) -> dict[str, list[Predictions]]:
        """Return what each network put out on the test records, by its hash."""
        return {
            hash_: [_predictions(confirmed, int(trial)) for trial in own["trial"]]
            for hash_, own in self.runs.items()
        }


def _predictions(confirmed: Confirmed, trial: int) -> Predictions:
    values = confirmed.outputs[trial].probabilities
    chosen = decided(values, (), exclusive=True) if confirmed.exclusive else None
    return Predictions(values, confirmed.thresholds[trial], chosen)


def count(confirmed: Confirmed, objective: str) -> Counted:
    """Sort out what counts; AnalysisError if nothing was confirmed, or none of it is trained."""
    if not confirmed.rounds:
        raise AnalysisError(
            "Nothing was confirmed on test records: plan it with 'ecgscale confirm' when the "
            "search is done."
        )
    added = _added(confirmed)
    entries = (*confirmed.rounds[0].entries, *added)
    counted = Counted(entries, tuple(added), _chosen_runs(confirmed, objective, added))
    if not counted.done:
        raise AnalysisError("No confirmed network has finished training: run the workers first.")
    return counted


def _added(confirmed: Confirmed) -> dict[Entry, int]:
    """Return the reference architectures of later rounds that count, with their round.

    Whoever planned a later round may have seen the test scores of the first. That would flatter a
    searched network, but not a known one, whose width follows from the budget: it counts if it had
    the same seeds and rates as the first round's and enters one of its budgets.
    """
    first = confirmed.rounds[0]
    inside = {(entry.budget, entry.architecture_hash) for entry in first.entries}
    added: dict[Entry, int] = {}
    for number, one in enumerate(confirmed.rounds[1:], start=1):
        alike = (one.seeds, one.learning_rates) == (first.seeds, first.learning_rates)
        for entry in one.entries:
            place = (entry.budget, entry.architecture_hash)
            known = entry.group == "reference" and entry.budget in first.budgets
            if alike and known and place not in inside:
                added[entry] = number
                inside.add(place)
    return added


def _chosen_runs(
    confirmed: Confirmed, objective: str, added: Mapping[Entry, int]
) -> dict[str, pd.DataFrame]:
    """Return each network's runs at the learning rate with its best mean validation score.

    Of the first round, and of a later one those of the networks that it `added`. Rates with fewer
    finished seeds than another stand back: the best of fewer draws is not the better rate.
    """
    trials = confirmed.trials[confirmed.trials["trial"].isin(list(confirmed.outputs))]
    hashes = {entry.architecture_hash: number for entry, number in added.items()}
    earlier = {entry.architecture_hash for entry in confirmed.rounds[0].entries}
    counted = {**hashes, **dict.fromkeys(earlier, 0)}
    usable = trials[trials["round"] == trials["architecture_hash"].map(counted)]
    chosen = {}
    for hash_, own in usable.groupby("architecture_hash"):
        by_rate = own.groupby("learning_rate")[objective].agg(["mean", "count"])
        full = by_rate[by_rate["count"] == by_rate["count"].max()]
        chosen[str(hash_)] = own[own["learning_rate"] == full["mean"].idxmax()]
    return chosen
