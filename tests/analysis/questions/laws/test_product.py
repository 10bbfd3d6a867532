"""Costs that are a product of the factors: one coordinate follows from the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.questions.laws.shape import ShapeLaw, shape_law
from analysis.stats.refusal import failed
from analysis.trials.subset import only
from tests.analysis.rates import at_least, at_most, covered
from tests.analysis.simulate import LAW, Truth, simulate
from tests.analysis.told import refused

AT_SEVEN = {
    name: Truth(amplitude=0.1, shape={name: (7.0, 0.0, 0.25)}) for name in ("kernel_size", "depth")
}


def law_of(name: str, seed: int, bootstraps: int = 100) -> ShapeLaw:
    table = simulate(AT_SEVEN[name], architectures=250, replicates=(0, 1), product=True, seed=seed)
    found = shape_law(table, [name], bootstraps=bootstraps, seed=seed)
    assert isinstance(found, ShapeLaw)
    return found


@pytest.mark.parametrize("name", list(AT_SEVEN))
def test_a_constant_optimum_is_found_where_it_is(name: str) -> None:
    found = law_of(name, seed=1)
    assert found.exponents[0].best.estimate == pytest.approx(7.0, rel=0.1)
    assert abs(found.exponents[0].exponent.estimate) < 0.05
    assert "laws.inside" not in {gate.code for gate in failed(found.gates)}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", list(AT_SEVEN))
def test_no_growth_is_claimed_of_a_constant_optimum_and_no_false_reason_given(name: str) -> None:
    laws = [law_of(name, seed) for seed in range(100)]
    growths = [law.exponents[0].exponent for law in laws]
    apart = [not (growth.low <= 0 <= growth.high) for growth in growths]
    at_most([law.stands and a for law, a in zip(laws, apart, strict=True)], 0.05, "claimed")
    best = [law.exponents[0].best for law in laws]
    covered([one.low <= 7.0 <= one.high for one in best], "optimum of 7", high=0.99)
    gates = [{gate.code for gate in failed(law.gates)} for law in laws]
    at_most(["laws.inside" in codes for codes in gates], 0.01, "refused as outside of what is")
    at_least(["laws.curved" not in codes for codes in gates], 0.95, "seen to have a best value")


def test_where_the_sizes_are_all_the_cost_the_last_follows_from_the_others() -> None:
    """With FLOPs as depth · width² the best (depth, width) of a cost lie on that line.

    The curvatures being equal, what the two optima overshoot the cost by is split 1 : 2 (Lagrange):
    exponents 0.25 + 0.15/5 and 0.30 + 2 · 0.15/5.
    """
    table = simulate(
        replace(LAW, noise=0.003), architectures=900, replicates=(0, 1), product=True, seed=1
    )
    found = shape_law(only(table, "kernel_size == 7"), ["depth", "width"], bootstraps=100)
    assert isinstance(found, ShapeLaw)
    depth, width = (one.exponent for one in found.exponents)
    assert depth.estimate + 2 * width.estimate == pytest.approx(1.0, abs=0.02)
    assert depth.low <= 0.28 <= depth.high
    assert width.low <= 0.36 <= width.high
    assert np.isfinite([one.best.estimate for one in found.exponents]).all()


def test_a_size_that_is_all_the_cost_has_no_best_value_at_equal_cost() -> None:
    table = simulate(AT_SEVEN["depth"], architectures=150, replicates=(0, 1), seed=1)
    alone = table.frame.assign(flops=1e6 * table.frame["depth"] ** 1.5)
    found = shape_law(replace(table, frame=alone), ["depth"], bootstraps=10)
    assert "at equal cost, and all else held, it cannot change" in refused(found)
