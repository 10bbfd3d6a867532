"""Pairs of choices: a planted one is found with its size, none where effects add up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.questions.effects.interactions import interactions
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import FLOPS_ONLY, PLANTED, Truth, simulate
from tests.analysis.told import refused

ADDITIVE = Truth(
    effects={"residual": -0.020, "kernel_size": -0.006, "se_ratio": -0.004, "grouping": 0.008}
)


@pytest.mark.parametrize("studies", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_planted_pair_is_found_and_its_size_covered(studies: int) -> None:
    found, covered = 0, []
    for seed in range(studies):
        table = simulate(PLANTED, architectures=200, replicates=(0, 1), seed=seed)
        pair = interactions(table).pairs[0]
        found += pair.settled and {pair.factor, pair.condition} == {"depth", "residual"}
        assert (pair.factor, pair.condition) == ("depth", "residual")
        off, on = pair.within
        assert (off.level, on.level) == ("off", "on")
        # The error gets -0.008 per product of the codes, half a unit on either side of the switch.
        truth = 0.008 * np.log2(float(pair.level) / float(pair.baseline))
        half = np.hypot(off.effect.half, on.effect.half)
        covered.append(abs(on.effect.estimate - off.effect.estimate - truth) <= half)
    assert found >= 0.9 * studies
    assert np.mean(covered) >= 0.95 - 2.5 * np.sqrt(0.05 * 0.95 / studies)


@pytest.mark.parametrize("truth", [FLOPS_ONLY, ADDITIVE], ids=["flops only", "additive"])
@pytest.mark.parametrize("studies", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_no_pair_is_settled_where_effects_add_up(truth: Truth, studies: int) -> None:
    false = sum(
        bool(interactions(simulate(truth, architectures=150, replicates=(0, 1), seed=s)).settled)
        for s in range(studies)
    )
    assert false <= max(2, 0.10 * studies)


def test_two_switches_are_the_differences_of_means() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"first": np.repeat([True, False], 60), "flops": 1e8})
    frame["second"] = np.tile([True, False], 60)
    frame["architecture_hash"] = [str(i) for i in range(120)]
    both = frame["first"] & frame["second"]
    frame["macro_f1"] = 0.5 + 0.05 * both + rng.normal(0, 0.01, 120)
    result = interactions(from_frame(frame, factors=["first", "second"]))
    (pair,) = result.pairs
    assert pair.settled
    means = frame.groupby([pair.condition, pair.factor])["macro_f1"].mean()
    for one, level in zip(pair.within, (False, True), strict=True):
        assert one.effect.estimate == pytest.approx(means[level][True] - means[level][False])
        assert one.n == 60
    assert len(result.to_frame()) == 2


def test_unordered_factors_are_what_others_depend_on(planted: TrialTable) -> None:
    found = interactions(planted)
    factors = len(planted.factors)
    assert len(found.pairs) == factors * (factors - 1) // 2
    assert all(pair.factor != "grouping" for pair in found.pairs)
    assert all(sum(w.n for w in pair.within) == len(planted.designs()) for pair in found.pairs)


def test_two_unordered_factors_are_held_against_each_other() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {"norm": rng.choice(["a", "b", "c"], 240), "act": rng.choice(["x", "y", "z"], 240)}
    ).assign(flops=1e8, architecture_hash=[str(i) for i in range(240)])
    special = (frame["norm"] == "c") & (frame["act"] == "z")
    frame["macro_f1"] = 0.5 + 0.05 * special + rng.normal(0, 0.01, 240)
    (pair,) = interactions(from_frame(frame, factors=["norm", "act"])).pairs
    assert pair.settled
    means = frame.groupby([pair.condition, pair.factor])["macro_f1"].mean()
    for one in pair.within:
        at = means[one.level]
        assert one.effect.estimate == pytest.approx(at[pair.level] - at[pair.baseline])


def test_too_few_architectures_are_refused() -> None:
    result = interactions(simulate(architectures=40, replicates=(0, 1), seed=1))
    assert "there are 40" in refused(result)


def test_a_combination_that_no_network_has_makes_no_pair_certain() -> None:
    """Where the second switch is off the first one is too: nothing tells what it would do."""
    rng = np.random.default_rng(2)
    second = np.repeat([True, False], [80, 40])
    frame = pd.DataFrame({"second": second, "flops": 1e8})
    frame["first"] = second & (np.arange(120) % 2 == 0)
    frame["third"] = np.arange(120) % 3 == 0
    frame["architecture_hash"] = [str(i) for i in range(120)]
    frame["macro_f1"] = 0.5 + 0.05 * frame["first"] + rng.normal(0, 0.01, 120)
    result = interactions(from_frame(frame, factors=["first", "second", "third"]))
    named = {frozenset((pair.factor, pair.condition)) for pair in result.pairs}
    assert named == {frozenset(("first", "third")), frozenset(("second", "third"))}


def test_one_empty_cell_of_many_leaves_the_others_to_tell() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"kind": rng.choice(["a", "b", "c"], 240), "flops": 1e8})
    frame["on"] = (rng.random(240) < 0.5) & (frame["kind"] != "c")
    frame["architecture_hash"] = [str(i) for i in range(240)]
    both = frame["on"] & (frame["kind"] == "b")
    frame["macro_f1"] = 0.5 + 0.05 * both + rng.normal(0, 0.01, 240)
    (pair,) = interactions(from_frame(frame, factors=["kind", "on"])).pairs
    assert pair.settled
    if pair.condition == "kind":
        assert [one.level for one in pair.within] == ["a", "b"]
