"""What a confirmation found: contestants per budget, and the differences between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.questions.confirmation.classes import ClassSets
from analysis.stats.interval import ALPHA, Interval

# Kinds of pairs.
SEARCHED = "searched against reference"
LAW = "law against its opposite"


@dataclass(frozen=True, slots=True)
class Multiplier:
    """How often a contestant's cost is what searched networks need for its validation score.

    `bound` is "at least" where even the cheapest searched networks reach the score, "at most" where
    none does, else "".
    """

    times: float
    low: float
    high: float
    bound: str


@dataclass(frozen=True, slots=True)
class Contestant:
    """A confirmed network within a budget.

    `test` has the mean over seeds per metric; `beaten_by` the share of the `neighbours` randomly
    drawn networks of equal FLOPs that score higher on validation records (one seed each).
    """

    budget: float
    group: str
    name: str
    architecture_hash: str
    costs: Mapping[str, float]
    learning_rate: float
    seeds: int
    validation: float
    validation_sd: float
    test: Mapping[str, Interval]
    beaten_by: Interval | None
    neighbours: int
    multipliers: Mapping[str, Multiplier]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two networks, or groups of them, and the test score of `first` minus that of `second`.

    `p_adjusted` is Holm's over the pairs of the same kind and metric.
    """

    budget: float
    first: str
    second: str
    kind: str
    metric: str
    interval: Interval
    p: float
    p_adjusted: float

    @property
    def better(self) -> bool:
        """Whether `first` is significantly better, all pairs of the kind considered."""
        return self.p_adjusted < ALPHA and self.interval.estimate > 0

    @property
    def worse(self) -> bool:
        """Whether `first` is significantly worse, all pairs of the kind considered."""
        return self.p_adjusted < ALPHA and self.interval.estimate < 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """All contestants of a study's confirmation, and the pairs that were compared.

    `primary` is the metric that decides, declared before any test score was read; the others are
    told beside it. `objective` is that of the validation records. `sets` has the classes that each
    metric is over. `added` names references that a later round brought in, `left_out` counts
    candidates of later rounds that have no place here.
    Contestants are in the order of the candidates, the best by estimate first; `seeds` is how many
    each network was given.
    """

    contestants: tuple[Contestant, ...]
    pairs: tuple[Pair, ...]
    objective: str
    primary: str
    sets: ClassSets
    records: int
    patients: int
    draws: int
    added: tuple[str, ...]
    left_out: int
    seeds: int
    missing: tuple[str, ...]

    def chosen(self, budget: float, groups: Sequence[str] = ("searched",)) -> Contestant | None:
        """Return the network that stands for a budget, None without any.

        It is the first one by the order of the candidates, which was fixed before they were
        trained again: one chosen by its new scores would owe some of them to luck.
        """
        own = [c for c in self.contestants if c.budget == budget and c.group in groups]
        return next(iter(own), None)

    @property
    def budgets(self) -> tuple[float, ...]:
        """Budgets in ascending order."""
        return tuple(sorted({c.budget for c in self.contestants}))

    def compared(self, kind: str, metric: str | None = None) -> tuple[Pair, ...]:
        """Return the pairs of a kind by a metric, by default the primary one."""
        wanted = (kind, metric or self.primary)
        return tuple(pair for pair in self.pairs if (pair.kind, pair.metric) == wanted)

    @property
    def secondary(self) -> tuple[str, ...]:
        """Metrics beside the primary one that pairs were compared by."""
        metrics = dict.fromkeys(pair.metric for pair in self.pairs)
        return tuple(metric for metric in metrics if metric != self.primary)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per contestant."""
        rows = []
        for c in self.contestants:
            row: dict[str, object] = {"budget": c.budget, "group": c.group, "name": c.name}
            row |= {"architecture_hash": c.architecture_hash, **c.costs}
            row |= {"learning_rate": c.learning_rate, "seeds": c.seeds}
            row |= {"validation": c.validation, "validation_sd": c.validation_sd}
            for metric, score in c.test.items():
                row |= {f"test_{metric}": score.estimate}
                row |= {f"test_{metric}_low": score.low, f"test_{metric}_high": score.high}
            share = c.beaten_by or Interval(np.nan)
            row |= {"beaten_by": share.estimate, "beaten_by_low": share.low}
            row |= {"beaten_by_high": share.high, "neighbours": c.neighbours}
            for cost, one in c.multipliers.items():
                row |= {f"{cost}_times": one.times, f"{cost}_times_low": one.low}
                row |= {f"{cost}_times_high": one.high, f"{cost}_times_bound": one.bound}
            rows.append(row)
        return pd.DataFrame(rows)

    def pairs_frame(self) -> pd.DataFrame:
        """Return one row per pair and metric."""
        return pd.DataFrame(
            {
                "budget": pair.budget, "first": pair.first, "second": pair.second,
                "kind": pair.kind, "metric": pair.metric, "estimate": pair.interval.estimate,
                "low": pair.interval.low, "high": pair.interval.high, "p": pair.p,
                "p_adjusted": pair.p_adjusted,
            }
            for pair in self.pairs
        )  # fmt: skip
