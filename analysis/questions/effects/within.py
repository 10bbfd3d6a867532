"""Effects of all factors within the levels of the one that others depend on.

Where what a choice is worth depends on another, an average over the other is no effect, and what
the dependence adds to the spread of the scores hides effects that are there. So the study is taken
apart by the factor that decides, and everything is measured anew in each part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from analysis.questions.effects.interactions import Interactions
from analysis.questions.effects.main import Effects, effects
from analysis.stats.coding import groups
from analysis.stats.refusal import Refusal
from analysis.stats.regression import holm
from analysis.trials.table import TrialTable

FEWEST_DESIGNS = 60  # in each level
MOST_LEVELS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Within:
    """Effects of the other factors in each level of `condition`, the level with the best first.

    `p_adjusted` of an effect is Holm's over all tests: those here and those over all networks.
    """

    condition: str
    levels: Mapping[str, Effects]

    def to_frame(self) -> pd.DataFrame:
        """Return one row per level and factor, for the CSV."""
        return pd.concat(
            [
                found.to_frame().assign(condition=self.condition, at=level)
                for level, found in self.levels.items()
            ],
            ignore_index=True,
        )


def effects_by_level(table: TrialTable, overall: Effects, pairs: Interactions) -> Within | Refusal:
    """Measure the effects within the levels of the factor that the strongest pair depends on.

    The strongest statistically significant pair whose condition has few levels, each with networks
    enough. A Refusal where there is none: then effects over all networks are what there is.
    """
    for pair in pairs.settled:
        parts = _parts(table, pair.condition)
        if parts:
            measured = {level: effects(part) for level, part in parts.items()}
            found = {k: v for k, v in measured.items() if not isinstance(v, Refusal)}
            if len(found) == len(parts):
                return Within(pair.condition, _adjusted(found, overall))
    return Refusal("effects.no_condition")


def _parts(table: TrialTable, condition: str) -> dict[str, TrialTable]:
    """Cut the randomly drawn networks by the levels of a factor; {} where a part is too small."""
    frame = table.learned
    group, names = groups(table.factor(condition), frame[condition])
    if len(names) > MOST_LEVELS:
        return {}
    cut = {
        name: replace(table, frame=frame[group == g], sets_aside=False)
        for g, name in enumerate(names)
    }
    enough = all(len(part.designs()) >= FEWEST_DESIGNS for part in cut.values())
    best = sorted(cut, key=lambda name: -cut[name].designs()["score"].mean())
    return {name: cut[name] for name in best} if enough else {}


def _adjusted(found: Mapping[str, Effects], overall: Effects) -> dict[str, Effects]:
    tests = [effect.p for one in (overall, *found.values()) for effect in one.effects]
    adjusted = iter(holm(np.array(tests))[len(overall.effects) :])
    return {
        level: replace(
            one,
            effects=tuple(replace(each, p_adjusted=float(next(adjusted))) for each in one.effects),
        )
        for level, one in found.items()
    }
