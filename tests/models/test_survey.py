"""A design space in numbers: counts against enumeration, advice against what it leads to."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from models import ModelError, load_space, sample_architectures
from models.shape import DEFAULT
from models.space_file import space_from_table
from models.survey import chao1, survey
from models.widen import advice

FIXED = {"stages": 3, "width_growth": 1.0, "grouping": "dense", "stem_kernel": 7, "expansion": 1.0}
SMALL = {
    **FIXED,
    "depth": {"low": 3, "high": 5, "log": False},
    "width": {"low": 16, "high": 32, "step": 4, "log": False},
    "kernel_size": {"choices": [3, 7]},
    "se_ratio": 0.0,
}


def test_a_small_space_is_counted_network_by_network() -> None:
    """Widths are rounded to 8, so 16 to 32 in steps of 4 makes fewer networks than points."""
    space = space_from_table({"factors": SMALL}, "small")
    found = survey(space, draws=200)
    networks = {
        space.resolve({"depth": d, "width": w, "kernel_size": k, "residual": r}).hash
        for d in (3, 4, 5)
        for w in (16, 20, 24, 28, 32)
        for k in (3, 7)
        for r in (True, False)
    }
    assert found.exact
    assert found.points == 60
    assert found.networks == len(networks) < 60
    assert len(found.costs) == found.draws == 200


def test_constraints_are_counted() -> None:
    table = {"factors": SMALL, "constraints": ["depth >= 5"]}
    found = survey(space_from_table(table, "small"), draws=600)
    free = survey(space_from_table({"factors": SMALL}, "small"), draws=20)
    assert found.networks < free.networks
    assert found.allowed == pytest.approx(1 / 3, abs=0.06)
    impossible = {"factors": SMALL, "constraints": ["depth >= 6"]}
    with pytest.raises(ModelError, match="that meet depth >= 6, got none in 20 draws"):
        survey(space_from_table(impossible, "small"), draws=20)


def test_the_estimate_is_that_of_a_known_number_of_kinds() -> None:
    rng = np.random.default_rng(0)
    seen = Counter(map(str, rng.integers(0, 3000, 2000).tolist()))
    assert chao1(seen) == pytest.approx(3000, rel=0.1)
    assert chao1(Counter("abcd")) == 4 + 4 * 3 / 2
    assert chao1(Counter("aabb")) == 2


def test_a_space_of_one_point_and_a_large_one() -> None:
    fixed = {**SMALL, "depth": 3, "width": 16, "kernel_size": 3, "residual": True}
    one = survey(space_from_table({"factors": fixed}, "one"))
    assert (one.networks, one.exact, len(one.examples)) == (1, True, 1)
    large = survey(load_space("ecg-cnn"), draws=300)
    assert not large.exact
    assert large.points == float("inf")
    assert large.networks > 300
    assert large.quantile(0.05) < large.quantile(0.5) < large.quantile(0.95)
    sizes = [cost.flops for _, cost in large.examples]
    assert sizes == sorted(sizes)
    for network, cost in large.examples:
        assert network.cost(**DEFAULT) == cost


@pytest.mark.parametrize("times", [3.0, 0.6])
def test_the_named_factor_reaches_the_budget_and_a_smaller_step_does_not(times: float) -> None:
    space = space_from_table({"factors": {**SMALL, "width": {"low": 32, "high": 48}}}, "small")
    extreme = {"depth": 4, "width": 40, "kernel_size": 7, "residual": False}

    def flops(**moved: float) -> float:
        return space.named(extreme, space.layers({**extreme, **moved})).cost(**DEFAULT).flops

    target = times * flops()
    found = re.findall(r"(\w+) to ([\d.e+]+) \(now", advice(space, extreme, target, DEFAULT))
    assert len(found) == 2
    for name, value in found:
        number = int(value) if value.isdecimal() else float(value)
        step = (1 if value.isdecimal() else 0.03) * (1 if times > 1 else -1)
        reached, before = flops(**{name: number}), flops(**{name: number - step})
        assert (reached >= target > before) if times > 1 else (reached <= target < before)


def test_a_study_out_of_reach_is_told_what_to_widen() -> None:
    space = space_from_table({"factors": {**SMALL, "width": {"low": 32, "high": 48}}}, "small")
    with pytest.raises(
        ModelError, match=r"or widen \w+ to [\d.]+ \(now .*\), and width to \d+ \(now"
    ):
        sample_architectures(space, 8, flops_range=(1e6, 3e9), bins=4)


def test_advice_says_when_no_factor_does_it_alone() -> None:
    space = load_space("ecg-cnn")
    values = {**survey(space, draws=50).examples[0][0].factors}
    words = advice(space, values, 10.0, DEFAULT)
    assert "though alone to" in words
