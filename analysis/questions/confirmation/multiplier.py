"""How much less compute searched networks need for the score of a confirmed one."""

from __future__ import annotations

import numpy as np

from analysis.questions.confirmation.results import Multiplier
from analysis.questions.fronts.pareto import EstimatedFront


def multiplier(front: EstimatedFront, cost: float, score: float, half: float = 0.0) -> Multiplier:
    """Divide a cost by that at which the estimated front reaches a score.

    `half` is half the interval of the score. The multiplier's interval joins it with the front's
    band, as independent errors are joined; a score without an interval leaves the band alone.
    """
    known = half if np.isfinite(half) else 0.0
    above = front.expected + np.hypot(front.upper - front.expected, known)
    below = front.expected - np.hypot(front.expected - front.lower, known)

    def needed(curve: np.ndarray) -> float:
        reached = np.flatnonzero(curve >= score)
        if not reached.size:
            return float("inf")
        end = int(reached[0])
        if end == 0:
            return float(front.grid_cost[0])
        part = slice(end - 1, end + 1)
        return float(np.exp(np.interp(score, curve[part], np.log(front.grid_cost[part]))))

    at, early, late = (needed(c) for c in (front.expected, above, below))
    if not np.isfinite(at):
        top = float(front.grid_cost[-1])
        return Multiplier(cost / top, 0.0, cost / min(early, top), "at most")
    bound = "at least" if at == front.grid_cost[0] else ""
    return Multiplier(cost / at, cost / late, cost / early, bound)
