"""Tables of a confirmation: every network, every metric, and one network in detail."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.blocks import TableBlock
from analysis.page.quantities import percent, quantity, score, short
from analysis.questions.confirmation.classes import split
from analysis.questions.confirmation.results import SEARCHED, Comparison, Contestant
from analysis.questions.confirmation.sentences import margin, with_interval
from analysis.stats.interval import ALPHA, PERCENT, Interval

GROUPS = ("searched", "law", "against the law", "reference")


def contestants_table(found: Comparison, cost: str, hedge: str = "") -> TableBlock:
    """Tabulate every confirmed network; `hedge` says for how long computes are compared."""
    primary = found.primary
    chosen = [found.chosen(budget) for budget in found.budgets]
    ordered = sorted(
        found.contestants, key=lambda c: (c.budget, GROUPS.index(c.group), -c.validation)
    )
    shown = pd.DataFrame(
        {
            "budget": [short(c.budget) for c in ordered],
            "network": [c.name for c in ordered],
            "kind": ["chosen" if c in chosen else c.group for c in ordered],
            "FLOPs": [short(c.costs[cost]) for c in ordered],
            "parameters": [short(c.costs.get("params", np.nan)) for c in ordered],
            "validation": [score(c.validation) for c in ordered],
            f"test {quantity(primary).name}": [_cell(c.test[primary]) for c in ordered],
            "test AUROC": [_cell(c.test["macro_auroc"]) for c in ordered],
            "beaten by": [_beaten(c) for c in ordered],
            "compute needed": [_times(c, cost) for c in ordered],
        }
    )
    return TableBlock(
        "confirmed",
        "All confirmed networks.",
        "Chosen: the searched network that stands for its budget. Beaten by: share of the random "
        "networks within ±15 % of its FLOPs that score higher on validation records. Compute "
        "needed: its FLOPs over those at which the estimated front reaches its validation score, "
        f"with a {PERCENT} interval of the front's band and the seeds' spread (2 × means that a "
        f"searched network does the same with half). {hedge} Test scores are means over seeds with "
        f"{PERCENT} intervals.".replace("  ", " "),
        shown,
        found.to_frame(),
    )


def metrics_table(found: Comparison) -> TableBlock:
    """Tabulate the differences of all pairs by every metric, the primary one first."""
    metrics = (found.primary, *found.secondary)
    by_pair: dict[tuple[float, str], dict[str, str]] = {}
    for metric in metrics:
        for pair in found.compared(SEARCHED, metric):
            row = by_pair.setdefault((pair.budget, pair.second), {})
            size = margin(pair).removesuffix(" points")
            row[_column(found, metric)] = size + (" *" if pair.p_adjusted < ALPHA else "")
    shown = pd.DataFrame(
        {"budget": short(budget), "reference": second, **cells}
        for (budget, second), cells in by_pair.items()
    )
    caption = (
        "Test score of the searched network minus that of each reference architecture in points, "
        f"with unadjusted {PERCENT} CIs; *: Holm-adjusted p below {ALPHA:g} among the pairs of its "
        f"metric. The first metric is the primary one. n ≥ {found.sets.fewest}: over the diagnoses "
        f"with at least {found.sets.fewest} positive test records."
    )
    if found.sets.rare:
        caption += f" Rare: {', '.join(found.sets.rare)}."
    return TableBlock(
        "test_pairs", "All pairs by every metric.", caption, shown, found.pairs_frame()
    )


def _column(found: Comparison, metric: str) -> str:
    prefix, base = split(metric)
    which = {"frequent_": f", n ≥ {found.sets.fewest}", "rare_": ", rare"}.get(prefix, "")
    return f"{quantity(base).name.removeprefix('Macro-')}{which}"


def _cell(found: Interval) -> str:
    """Write a score with its interval as short as a column asks for."""
    return with_interval(found).replace(" to ", "–")


def _beaten(contestant: Contestant) -> str:
    share = contestant.beaten_by
    if share is None:
        return "–"
    low, high = (percent(end).removesuffix(" %") for end in (share.low, share.high))
    return f"{percent(share.estimate)} ({low}–{high})"


def _times(contestant: Contestant, cost: str) -> str:
    one = contestant.multipliers.get(cost)
    if one is None:
        return "–"
    sign = {"at least": "≥ ", "at most": "< "}.get(one.bound, "")
    return f"{sign}{one.times:.2g} × ({one.low:.2g}–{one.high:.2g})"
