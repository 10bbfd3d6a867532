"""Effects at equal cost: planted ones covered, nulls left alone, invariances."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.questions.effects.main import effects
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import FLOPS_ONLY, Truth, simulate
from tests.analysis.told import refused

FREE = Truth(effects={"residual": -0.010, "se_ratio": -0.004, "stem_kernel": 0.003}, noise=0.01)
# Change of the score from baseline to level: effect of the error per step, turned round.
EXPECTED = {"residual": 0.010, "se_ratio": 0.008, "stem_kernel": -0.003 * np.log2(5)}


@pytest.mark.parametrize("studies", [8, pytest.param(150, marks=pytest.mark.slow)])
def test_intervals_cover_planted_effects_at_their_rate(studies: int) -> None:
    hits: list[bool] = []
    for seed in range(studies):
        table = simulate(FREE, architectures=150, replicates=(0, 1), seed=seed)
        for effect in effects(table).effects:
            if effect.factor in EXPECTED:
                hits.append(effect.effect.low <= EXPECTED[effect.factor] <= effect.effect.high)
    assert 0.95 - 2.5 * np.sqrt(0.05 * 0.95 / len(hits)) <= np.mean(hits)


@pytest.mark.parametrize("studies", [8, pytest.param(150, marks=pytest.mark.slow)])
def test_nothing_is_settled_where_only_flops_matter(studies: int) -> None:
    false = 0
    for seed in range(studies):
        table = simulate(FLOPS_ONLY, architectures=150, replicates=(0, 1), seed=500 + seed)
        false += any(effect.settled for effect in effects(table).effects)
    assert false <= max(2, 0.09 * studies)


def test_planted_factors_are_settled_with_the_right_sign(planted: TrialTable) -> None:
    found = {effect.factor: effect for effect in effects(planted).effects}
    assert found["residual"].settled
    assert (found["residual"].baseline, found["residual"].level) == ("off", "on")
    assert found["residual"].effect.estimate == pytest.approx(0.020, abs=0.005)
    assert (found["grouping"].baseline, found["grouping"].level) == ("depthwise", "dense")
    assert found["grouping"].effect.estimate == pytest.approx(0.016, abs=0.004)
    assert found["kernel_size"].effect.estimate == pytest.approx(0.006 * np.log2(23 / 3), abs=0.005)
    assert not found["stem_kernel"].settled
    frame = effects(planted).to_frame()
    assert (frame["p_adjusted"] >= frame["p"]).all()


def test_levels_average_to_zero(planted: TrialTable) -> None:
    for effect in effects(planted).effects:
        counts = [level.n for level in effect.levels]
        assert sum(counts) == len(planted.designs())
        estimates = [level.effect.estimate for level in effect.levels]
        assert np.average(estimates, weights=counts) == pytest.approx(0, abs=1e-12)


def test_a_two_level_factor_alone_is_the_difference_of_means() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"switch": np.tile([True, False], 40), "flops": 1e8})
    frame["architecture_hash"] = [str(i) for i in range(80)]
    frame["macro_f1"] = 0.5 + 0.05 * frame["switch"] + rng.normal(0, 0.02, 80)
    result = effects(from_frame(frame, factors=["switch"]))
    on, off = (frame.loc[frame["switch"] == s, "macro_f1"] for s in (True, False))
    assert result.effects[0].effect.estimate == pytest.approx(on.mean() - off.mean())


def test_units_of_cost_do_not_matter(small: TrialTable) -> None:
    scaled = small.frame.assign(flops=small.frame["flops"] / 1e6)
    again = effects(from_frame(scaled, factors=small.factors)).to_frame()
    numbers = ["estimate", "low", "high", "p"]
    pd.testing.assert_frame_equal(effects(small).to_frame()[numbers], again[numbers])


def test_too_few_architectures_are_refused() -> None:
    result = effects(simulate(architectures=12, replicates=(0, 1), seed=1))
    assert "12" in refused(result)


def test_a_factor_that_is_best_in_between_is_told_from_one_with_a_slope() -> None:
    truth = Truth(amplitude=0.1, shape={"depth": (6.9, 0.0, 0.25)}, effects={"width": -0.01})
    table = simulate(truth, architectures=300, replicates=(0, 1), seed=1)
    found = {effect.factor: effect for effect in effects(table).effects}
    assert found["depth"].settled
    assert found["depth"].bent
    low, high = (float(end) for end in found["depth"].best.level.split(" to "))
    assert low - 1 <= 6.9 <= high + 1
    assert found["width"].settled
    assert not found["width"].bent
