"""Effects within the levels of what they depend on: planted ones are found, others are not."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.page.words import Text
from analysis.questions.effects.interactions import interactions
from analysis.questions.effects.main import effects
from analysis.questions.effects.within import Within, effects_by_level
from analysis.stats.regression import holm
from analysis.trials.subset import only
from analysis.trials.table import TrialTable
from tests.analysis.simulate import Truth, simulate
from tests.analysis.told import refused

# Depth decides without residual connections, so strongly that it hides what else there is.
HIDDEN = Truth(
    effects={"residual": -0.05, "depth": 0.03, "se_ratio": -0.003},
    interactions={("residual", "depth"): -0.06},
)
NO_OTHER = Truth(
    effects={"residual": -0.05, "depth": 0.03}, interactions={("residual", "depth"): -0.06}
)


def measured(table: TrialTable) -> Within:
    found = effects_by_level(table, effects(table), interactions(table))
    assert isinstance(found, Within)
    return found


def test_what_an_interaction_hides_is_found_within_its_levels() -> None:
    table = simulate(HIDDEN, architectures=300, replicates=(0, 1), seed=1)
    overall = {effect.factor: effect for effect in effects(table).effects}
    found = measured(table)
    assert found.condition == "residual"
    assert list(found.levels) == ["on", "off"], "the better level comes first"
    assert sum(one.n for one in found.levels.values()) == 300
    inside = {effect.factor: effect for effect in found.levels["on"].effects}
    assert "residual" not in inside
    squeeze = inside["se_ratio"]
    assert squeeze.settled
    assert not overall["se_ratio"].settled
    assert squeeze.se < overall["se_ratio"].se / 2
    assert squeeze.effect.low < 0.006 < squeeze.effect.high  # two steps of the code


def test_each_part_is_the_study_of_its_networks_adjusted_for_all_tests() -> None:
    table = simulate(HIDDEN, architectures=200, replicates=(8, 2), seed=2)
    overall, found = effects(table), measured(table)
    alone = {"on": effects(only(table, "residual")), "off": effects(only(table, "not residual"))}
    every = [effect.p for one in (overall, *found.levels.values()) for effect in one.effects]
    adjusted = dict(zip(every, holm(np.array(every)), strict=True))
    for level, one in found.levels.items():
        for here, there in zip(one.effects, alone[level].effects, strict=True):
            assert here.factor == there.factor
            assert here.effect == there.effect
            assert here.p_adjusted == pytest.approx(adjusted[here.p])
            assert here.p_adjusted >= there.p_adjusted
    frame = found.to_frame()
    assert set(frame["at"]) == {"on", "off"}
    assert set(frame["condition"]) == {"residual"}


@pytest.mark.parametrize("studies", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_is_found_where_nothing_is(studies: int) -> None:
    """Kernel size, groups, squeeze-and-excitation and stem do nothing in either part."""
    idle = {"kernel_size", "grouping", "se_ratio", "stem_kernel"}
    false, apart = 0, 0
    for seed in range(studies):
        table = simulate(NO_OTHER, architectures=150, replicates=(0, 1), seed=seed)
        found = effects_by_level(table, effects(table), interactions(table))
        if not isinstance(found, Within):
            continue
        apart += 1
        told = {effect.factor for one in found.levels.values() for effect in one.settled}
        false += bool(told & idle)
    assert apart >= 0.95 * studies, "the planted pair is found"
    assert false / studies <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / studies)


def test_without_a_pair_there_is_nothing_to_take_apart() -> None:
    table = simulate(Truth(effects={"residual": -0.02}), architectures=150, seed=3)
    found = effects_by_level(table, effects(table), interactions(table))
    assert "No factor of few levels" in refused(found)


def test_the_second_opinion_is_said_whatever_it_is() -> None:
    said = Text("effects")
    told = {"adds": [], "misses": ["depth", "width"]}
    assert "singles out none of these." in said("other_choices", **told, no_one=True)
    assert "all of these but depth" in said("other_choices", **told, no_one=False)
    adds = {"adds": ["stages"], "misses": []}
    assert "these, and also stages." in said("other_choices", **adds, no_one=False)
