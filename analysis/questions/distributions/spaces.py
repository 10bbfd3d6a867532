"""Two studies of different design spaces, at equal FLOPs."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.errors import AnalysisError
from analysis.questions.distributions.curves import (
    DEFAULT_BINS,
    MatchedComparison,
    compare_at_equal_flops,
)
from analysis.trials.table import TrialTable

SAME = ("data_hash", "recipe_hash")
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class SpacesComparison:
    """Score curves of two studies at equal FLOPs, and their mean difference there.

    `difference` is first minus second, the mean over bins of log FLOPs that both reach, with a
    95 % interval from drawing networks within bins. `unlike` names what else differs between the
    studies and could be the cause.
    """

    names: tuple[str, str]
    matched: MatchedComparison
    difference: float
    low: float
    high: float
    unlike: tuple[str, ...]


def compare_spaces(
    first: TrialTable, second: TrialTable, *, seed: int = 0, permutations: int = 999
) -> SpacesComparison:
    """Compare the randomly drawn networks of two studies (Radosavovic et al. 2019).

    Raises AnalysisError if the studies have different objectives or share no FLOPs.
    """
    if (first.objective, first.cost) != (second.objective, second.cost):
        raise AnalysisError(
            f"Expected two studies of one objective, got {first.objective} over {first.cost} and "
            f"{second.objective} over {second.cost}."
        )
    names = (_name(first), _name(second))
    if names[0] == names[1]:
        names = (f"{names[0]} ({first.study.name})", f"{names[1]} ({second.study.name})")
    one, other = first.designs(), second.designs()
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
        raise AnalysisError(
            f"Expected networks of like FLOPs in both studies, got {one[first.cost].min():.3g} to "
            f"{one[first.cost].max():.3g} and {other[first.cost].min():.3g} to "
            f"{other[first.cost].max():.3g}: sample both in one range."
        )
    edges = np.geomspace(flops.min(), flops.max() * (1 + 1e-12), bins + 1)
    drawn = _difference(one, other, first.cost, edges, rng)
    low, high = np.quantile(drawn[1:], [0.025, 0.975])
    unlike = tuple(
        column for column in SAME if set(_values(first, column)) != set(_values(second, column))
    )
    return SpacesComparison(names, matched, float(drawn[0]), float(low), float(high), unlike)


def _name(table: TrialTable) -> str:
    return str(table.study.definition.get("space", table.study.name))


def _values(table: TrialTable, column: str) -> list[str]:
    complete = table.complete(["sample", "replicate"])
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
