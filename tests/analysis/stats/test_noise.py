"""Seed noise: closed form, coverage, trend, ceiling, refusal."""

from __future__ import annotations

import statistics

import numpy as np
import pandas as pd
import pytest

from analysis.stats.noise import noise
from analysis.trials.table import from_frame
from tests.analysis.simulate import PLANTED, Truth, simulate
from tests.analysis.told import refused


def test_pooled_variance_is_the_closed_form() -> None:
    frame = pd.DataFrame(
        {
            "k": [3, 3, 5, 5, 5, 7],
            "flops": [1e6, 1e6, 2e6, 2e6, 2e6, 4e6],
            "macro_f1": [0.50, 0.52, 0.60, 0.63, 0.60, 0.7],
        }
    )
    result = noise(from_frame(frame))
    first = statistics.variance([0.50, 0.52])
    second = statistics.variance([0.60, 0.63, 0.60])
    assert result.degrees_of_freedom == 3
    assert result.sd.estimate**2 == pytest.approx((first + 2 * second) / 3)
    assert result.replicates["seeds"].tolist() == [2, 3]


def test_interval_covers_at_its_rate() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        frame = pd.DataFrame({"k": np.repeat(range(12), 3), "flops": np.repeat(range(1, 13), 3)})
        frame["macro_f1"] = 0.5 + 0.01 * frame["k"] + rng.normal(0, 0.007, 36)
        result = noise(from_frame(frame))
        hits += result.sd.low <= 0.007 <= result.sd.high
    assert 0.88 <= hits / 60 <= 0.99


def test_trend_is_found_and_followed() -> None:
    truth = Truth(noise=0.006, noise_trend=-0.2)
    result = noise(simulate(truth, architectures=200, replicates=(60, 4), seed=5))
    assert result.trend.low < -0.2 * np.log(10) < result.trend.high
    assert result.trend.high < 0
    assert result.sd_at(np.array([1e7])) == pytest.approx(0.006 * 0.1**-0.2, rel=0.2)
    flat = noise(simulate(PLANTED, architectures=200, replicates=(60, 4), seed=6))
    assert flat.sd_at(np.array([1e7, 1e8])) == pytest.approx([flat.sd.estimate] * 2, rel=0.1)


@pytest.mark.parametrize("networks", [4, 20])
def test_false_trends_are_as_rare_as_stated(networks: int) -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(150):
        flops = np.exp(np.repeat(rng.uniform(14, 20, networks), 3))
        frame = pd.DataFrame({"k": np.repeat(range(networks), 3), "flops": flops})
        frame["macro_f1"] = 0.5 + rng.normal(0, 0.01, len(frame))
        trend = noise(from_frame(frame)).trend
        found.append(not trend.low <= 0 <= trend.high)
    assert np.mean(found) <= 0.12


def test_few_replicates_bear_no_trend_and_none_is_followed_beyond_them() -> None:
    truth = Truth(noise=0.006, noise_trend=-0.5)
    few = noise(simulate(truth, architectures=60, replicates=(4, 5), seed=5))
    assert few.sd_at(np.array([1e6, 1e10])) == pytest.approx([few.sd.estimate] * 2)
    many = noise(simulate(truth, architectures=200, replicates=(40, 4), seed=5))
    dearest = many.replicates["cost"].max()
    assert many.sd_at(np.array([10 * dearest])) == pytest.approx(many.sd_at(np.array([dearest])))
    assert many.sd_at(np.array([dearest])) < many.sd.estimate


def test_ceiling_is_the_share_that_is_not_noise() -> None:
    table = simulate(PLANTED, architectures=300, replicates=(100, 3), seed=7)
    designs = table.designs()
    expected = 1 - np.mean(0.006**2 / designs["repeats"]) / designs["score"].var()
    assert noise(table).ceiling == pytest.approx(expected, abs=0.02)


def test_without_replicates_it_says_so() -> None:
    result = noise(simulate(PLANTED, architectures=40, replicates=(0, 1), seed=8))
    assert "replicates" in refused(result)
