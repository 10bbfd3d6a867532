"""Two studies of different design spaces, at equal FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.questions.distributions.curves import MatchedComparison, compare_at_equal_flops
from analysis.stats.interval import Interval, percentiles
from analysis.stats.matching import DEFAULT_BINS
from analysis.stats.refusal import Refusal
from analysis.trials.table import SEARCHED, TrialTable

SAME = ("data_hash", "recipe_hash")
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class SpacesComparison:
    """Score curves of two studies at equal FLOPs, and their mean difference there.

    `difference` is first minus second, the mean over bins of log FLOPs that both reach, with an
    interval from drawing networks within bins. `unlike` names what else differs between the
    studies and could be the cause.
    """

    names: tuple[str, str]
    matched: MatchedComparison
    difference: Interval
    unlike: tuple[str, ...]


def compare_spaces(
    first: TrialTable, second: TrialTable, *, seed: int = 0, permutations: int = 999
) -> SpacesComparison | Refusal:
    """Compare the randomly drawn networks of two studies (Radosavovic et al. 2019)."""
    if (first.objective, first.cost) != (second.objective, second.cost):
        return Refusal("distributions.other_objective", {"first": first, "second": second})
    names = (_name(first), _name(second))
    if names[0] == names[1]:
        names = (f"{names[0]} ({first.study.name})", f"{names[1]} ({second.study.name})")
    one, other = first.whole.designs(), second.whole.designs()
    labels = [names[0]] * len(one) + [names[1]] * len(other)
    scores = np.concatenate([one["score"], other["score"]]).astype(float)
    flops = np.concatenate([one[first.cost], other[first.cost]]).astype(float)
    rng = np.random.default_rng([seed, 10])
    bins = int(np.clip(min(len(one), len(other)) // 12, 1, DEFAULT_BINS))
    matched = compare_at_equal_flops(
        "space", labels, scores, flops, order=names, rng=rng, n_bins=bins,
        permutations=permutations,
    )  # fmt: skip
    if matched is None:
        ends = [
            (float(f[c].min()), float(f[c].max()))
            for f, c in ((one, first.cost), (other, first.cost))
        ]
        return Refusal("distributions.no_overlap", {"first": ends[0], "second": ends[1]})
    edges = np.geomspace(flops.min(), flops.max() * (1 + 1e-12), bins + 1)
    drawn = _difference(one, other, first.cost, edges, rng)
    difference = Interval(float(drawn[0]), *percentiles(drawn[1:]).tolist())
    unlike = tuple(
        column for column in SAME if set(_values(first, column)) != set(_values(second, column))
    )
    return SpacesComparison(names, matched, difference, unlike)


def _name(table: TrialTable) -> str:
    return str(table.study.definition.get("space", table.study.name))


def _values(table: TrialTable, column: str) -> list[str]:
    complete = table.complete(SEARCHED)
    return sorted(set(complete[column])) if column in complete else []


def _difference(
    one: pd.DataFrame,
    other: pd.DataFrame,
    cost: str,
    edges: NDArray[np.float64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Mean difference over shared bins: as it is first, then in bootstrap draws within bins."""
    parts = []
    for low, high in pairwise(edges):
        both = []
        for frame in (one, other):
            own = frame[cost].to_numpy(float)
            both.append(frame["score"].to_numpy(float)[(own >= low) & (own < high)])
        if all(part.size for part in both):
            means = [
                np.concatenate([[p.mean()], rng.choice(p, (DRAWS, p.size)).mean(axis=1)])
                for p in both
            ]
            parts.append(means[0] - means[1])
    mean: NDArray[np.float64] = np.asarray(parts).mean(axis=0)
    return mean
