"""How many networks learned nothing, and what they have in common."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from scipy import stats

from analysis.stats.coding import groups
from analysis.trials.collapsed import AUROC
from analysis.trials.table import SEARCHED, TrialTable

MOST = 0.9  # of the collapsed share it
BY_CHANCE = 0.01  # at most, that as many of them would, drawn from all networks


@dataclass(frozen=True, slots=True)
class Shared:
    """A level that (nearly) all collapsed networks have: `count` of them, `all` in all."""

    factor: str
    level: str
    count: int
    all: int


@dataclass(frozen=True, slots=True, eq=False)
class Collapse:
    """Runs that learned nothing: counts of runs and of networks, and the levels they share.

    `why` counts runs by reason. `aside` says whether they are set aside, `majority` whether they
    are too many for that. `trials` names them, with what they scored.
    """

    runs: int
    of_runs: int
    networks: int
    of_networks: int
    why: dict[str, int]
    aside: bool
    majority: bool
    shared: tuple[Shared, ...]
    trials: pd.DataFrame


def learned_nothing(table: TrialTable) -> Collapse:
    """Count and name the collapsed runs."""
    runs, collapsed = table.complete(SEARCHED), table.collapsed
    networks = runs.drop_duplicates("architecture_hash")
    among = networks["architecture_hash"].isin(collapsed["architecture_hash"])
    shown = ["trial", "architecture_hash", *table.factor_names, table.cost, table.objective]
    shown += [AUROC] if AUROC in collapsed and table.objective != AUROC else []
    return Collapse(
        len(collapsed),
        len(runs),
        int(among.sum()),
        len(networks),
        {str(why): int(count) for why, count in collapsed["why"].value_counts().items()},
        len(table.aside) > 0,
        2 * len(collapsed) > len(runs),
        _shared(table, networks, among),
        collapsed[[*shown, "why"]].sort_values(table.objective, ascending=table.maximize),
    )


def _shared(table: TrialTable, networks: pd.DataFrame, among: pd.Series) -> tuple[Shared, ...]:
    """Return the levels that at least nine in ten collapsed networks have, the rarest first."""
    found = []
    for factor in table.factors:
        group, names = groups(factor, networks[factor.name])
        for place, name in enumerate(names):
            own = group == place
            count, every = int((own & among).sum()), int(own.sum())
            drawn = stats.hypergeom(len(own), every, int(among.sum()))
            if count >= MOST * among.sum() and drawn.sf(count - 1) < BY_CHANCE:
                found.append(Shared(factor.name, name, count, every))
    return tuple(sorted(found, key=lambda one: one.all))
