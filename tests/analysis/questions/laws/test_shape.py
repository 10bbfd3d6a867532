"""Shape laws: planted exponents covered, studies without one refused, the design slope shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.page.words import say
from analysis.questions.laws.shape import ShapeLaw, shape_law, shape_laws
from analysis.stats.refusal import Refusal
from analysis.trials.factors import FactorInfo
from tests.analysis.simulate import FLOPS_ONLY, LAW, NOTHING, Truth, simulate
from tests.analysis.told import refused

SIZES = ("depth", "width")
TRUE = {name: LAW.shape[name][1] for name in SIZES}


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("noise", "architectures", "studies"),
    [
        (0.006, 250, 3),
        *(
            pytest.param(noise, n, 50, marks=pytest.mark.slow)
            for noise in (0.004, 0.010)
            for n in (250, 500, 1000)
        ),
    ],
)
def test_planted_exponents_are_covered(noise: float, architectures: int, studies: int) -> None:
    hits, accepted = [], 0
    for seed in range(studies):
        table = simulate(
            replace(LAW, noise=noise), architectures=architectures, replicates=(0, 1), seed=seed
        )
        law = shape_law(table, SIZES, bootstraps=200 if studies > 20 else 100, seed=seed)
        accepted += law.stands
        for found in law.exponents:
            hits.append(found.exponent.low <= TRUE[found.factor] <= found.exponent.high)
    assert accepted >= 0.8 * studies
    assert np.mean(hits) >= (0.75 if studies < 20 else 0.88)


@pytest.mark.parametrize("studies", [3, pytest.param(50, marks=pytest.mark.slow)])
@pytest.mark.parametrize("truth", [FLOPS_ONLY, NOTHING], ids=["FLOPs only", "nothing"])
def test_no_law_where_shape_does_not_matter(truth: Truth, studies: int) -> None:
    for seed in range(studies):
        table = simulate(truth, architectures=250, replicates=(0, 1), seed=900 + seed)
        assert not shape_law(table, SIZES, bootstraps=100, seed=seed).stands


def test_wider_is_better_without_end_is_no_law() -> None:
    truth = Truth(effects={"width": -0.01, "depth": -0.01})
    law = shape_law(simulate(truth, architectures=300, seed=1), SIZES, bootstraps=100)
    assert "best shape" in say(law.refusal)


def test_a_correlated_design_does_not_make_a_law() -> None:
    # In the design the kernel grows with depth and so with cost; the score knows nothing of it.
    table = simulate(FLOPS_ONLY, architectures=300, correlated=True, seed=2)
    law = shape_law(table, ["kernel_size"], bootstraps=100)
    assert law.exponents[0].design_slope > 0.07
    assert not law.stands


def test_the_law_gives_the_best_shape_at_a_cost() -> None:
    law = shape_law(simulate(LAW, architectures=400, seed=3), SIZES, bootstraps=100)
    for cost in (1e7, 1e8, 5e8):
        best = law.optimum(cost)
        for name, (value, exponent, _) in LAW.shape.items():
            assert best[name] == pytest.approx(value * (cost / 1e8) ** exponent, rel=0.15)
    middle = law.curve.query("factor == 'width'").set_index("cost")["value"]
    assert middle.iloc[20] == pytest.approx(law.optimum(middle.index[20])["width"])
    by_factor = law.to_frame().set_index("factor")
    assert (by_factor["low"] <= by_factor["exponent"]).all()
    assert (by_factor["exponent"] <= by_factor["high"]).all()


def test_units_of_cost_do_not_matter() -> None:
    table = simulate(LAW, architectures=150, replicates=(0, 1), seed=4)
    scaled = replace(table, frame=table.frame.assign(flops=table.frame["flops"] / 1e6))
    one, two = (shape_law(t, SIZES, bootstraps=20) for t in (table, scaled))
    assert one.to_frame()["exponent"].tolist() == pytest.approx(two.to_frame()["exponent"].tolist())


def factors_of(law: ShapeLaw | Refusal) -> tuple[str, ...]:
    return law.factors if isinstance(law, ShapeLaw) else law.values["factors"]


def test_all_spaced_factors_are_looked_at() -> None:
    laws = shape_laws(simulate(LAW, architectures=80, replicates=(0, 1), seed=5), bootstraps=20)
    assert [factors_of(law) for law in laws] == [
        ("depth", "width"),
        ("kernel_size",),
        ("stem_kernel",),
        ("expansion",),
    ]


def test_few_trials_are_refused() -> None:
    law = shape_law(simulate(architectures=40, replicates=(0, 1), seed=6), SIZES)
    assert "40 architectures" in refused(law)


def test_a_number_that_costs_nothing_is_no_size() -> None:
    table = simulate(LAW, architectures=80, replicates=(0, 1), seed=5)
    rate = np.exp(np.random.default_rng(0).uniform(np.log(1e-4), np.log(1e-1), len(table.frame)))
    factors = (*table.factors, FactorInfo("rate", "float", log=True, low=1e-4, high=1e-1))
    wider = replace(table, frame=table.frame.assign(rate=rate), factors=factors)
    groups = [factors_of(law) for law in shape_laws(wider, bootstraps=5)]
    assert groups[0] == ("depth", "width")
    assert ("rate",) in groups
