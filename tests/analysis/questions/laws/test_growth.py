"""A law without growth is no law: growing, constant and unknown best shapes are told apart."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.page.words import say
from analysis.questions.laws.error import error_law
from analysis.questions.laws.growth import Exponent, Verdict, growth_gates
from analysis.questions.laws.shape import shape_law
from analysis.stats.interval import Interval
from tests.analysis.simulate import LAW, NOTHING, Truth, simulate

SIZES = ("depth", "width")
GROWS = replace(LAW, shape={"width": (48.0, 0.30, 0.25), "depth": (9.0, 0.0, 0.25)})
STAYS = replace(LAW, shape={name: (best, 0.0, 0.25) for name, (best, _, _) in LAW.shape.items()})


@pytest.mark.parametrize(
    ("estimate", "low", "high", "p", "expected"),
    [
        (0.30, 0.25, 0.36, 0.001, "grows"),
        (-0.30, -0.36, -0.25, 0.001, "shrinks"),
        (0.04, 0.01, 0.08, 0.001, "constant"),  # not zero, and of no account
        (0.0, -0.09, 0.09, 1.0, "constant"),
        (0.07, -0.12, 0.41, 1.0, "open"),
        (-0.03, -0.94, 1.21, 1.0, "open"),
        (0.50, 0.10, 0.90, 0.02, "open"),  # slow or fast
        (0.15, 0.01, 0.29, 0.08, "open"),  # one of several that were asked for
    ],
)
def test_an_exponent_says_what_its_interval_does(
    estimate: float, low: float, high: float, p: float, expected: Verdict
) -> None:
    one = Exponent("depth", Interval(estimate, low, high), 0.1, p, Interval(9.0), 0.1)
    assert one.verdict == expected
    assert [gate.passed for gate in growth_gates([one])] == [
        high - low < 0.301,
        expected in ("grows", "shrinks"),
    ]


def test_growth_is_a_law_of_what_grows() -> None:
    law = shape_law(simulate(GROWS, architectures=250, seed=1), SIZES, bootstraps=100)
    assert law.outcome == "law"
    assert [one.verdict for one in law.exponents] == ["constant", "grows"]


def test_a_best_shape_that_stays_is_a_finding_and_no_law() -> None:
    law = shape_law(simulate(STAYS, architectures=250, seed=1), SIZES, bootstraps=100)
    assert law.outcome == "constant"
    assert not law.stands
    assert "do not grow with compute" in say(law.refusal)
    assert law.exponents[0].best.estimate == pytest.approx(9.0, rel=0.1)


def test_noise_leaves_growth_open() -> None:
    noisy = replace(STAYS, noise=0.025)
    law = shape_law(simulate(noisy, architectures=250, seed=1001), SIZES, bootstraps=100)
    assert law.outcome == "open"
    assert "not enough to tell" in say(law.refusal)


@pytest.mark.timeout(3600)
@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.006, 0.012, 0.025])
def test_laws_are_hardly_ever_claimed_where_nothing_grows(noise: float) -> None:
    claimed = 0
    for seed in range(100):
        table = simulate(
            replace(STAYS, noise=noise), architectures=250, replicates=(0, 1), seed=1000 + seed
        )
        claimed += shape_law(table, SIZES, bootstraps=200, seed=seed).stands
    assert claimed <= 5


def test_scores_that_cost_does_not_change_are_a_finding() -> None:
    table = simulate(NOTHING, architectures=150, replicates=(0, 1), seed=3)
    law = error_law(table, bootstraps=60)
    assert law.constant
    assert not law.grows
    assert not law.stands
    narrow = simulate(NOTHING, architectures=60, replicates=(0, 1), flops_range=(5e7, 3e8), seed=3)
    assert not error_law(narrow, bootstraps=20).constant  # nobody tried ten times the compute


def test_growth_without_a_known_exponent_is_no_law() -> None:
    truth = Truth(floor=0.3, amplitude=0.06, exponent=0.3, noise=0.03)
    law = error_law(simulate(truth, architectures=150, replicates=(0, 1), seed=1), bootstraps=60)
    assert law.grows
    assert not law.stands
    assert law.tenfold.low <= 0.06 * (10**0.15 - 10**-0.15) <= law.tenfold.high
