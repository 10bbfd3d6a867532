"""Runs that learned nothing: named by AUROC or by a gap, set aside as long as they are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.questions.distributions.curves import compare_factors
from analysis.questions.effects.main import effects
from analysis.stats.noise import Noise, noise
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import Surrogate, surrogate
from analysis.trials.collapsed import BELOW_ALL, BELOW_SEEDS, GUESSES, why_collapsed
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import LAW, PLANTED, simulate

COLLAPSING = replace(PLANTED, collapse=0.05)


@pytest.fixture(scope="module")
def some() -> TrialTable:
    return simulate(COLLAPSING, architectures=150, seed=3)


def planted(table: TrialTable) -> set[int]:
    """Return the runs that were made to learn nothing."""
    runs = table.complete(["sample", "replicate"])
    return set(runs["trial"][runs["macro_f1"] <= 0.1])


@pytest.mark.parametrize("column", ["macro_auroc", "none"])
def test_every_collapsed_run_is_named_and_no_other(some: TrialTable, column: str) -> None:
    table = some if column == "macro_auroc" else without(some, "macro_auroc")
    assert 5 <= len(planted(table)) <= 20
    assert set(table.collapsed["trial"]) == planted(table)
    reasons = {GUESSES} if column == "macro_auroc" else {BELOW_ALL, BELOW_SEEDS}
    assert set(table.collapsed["why"]) <= reasons
    assert len(table.learned) + len(table.aside) == len(table.complete(["sample", "replicate"]))


def without(table: TrialTable, column: str) -> TrialTable:
    return replace(table, frame=table.frame.drop(columns=column))


def test_estimates_are_those_of_the_study_without_them(some: TrialTable) -> None:
    frame = some.frame[~some.frame["trial"].isin(planted(some))]
    clean = replace(some, frame=frame.reset_index(drop=True))
    pd.testing.assert_frame_equal(effects(some).to_frame(), effects(clean).to_frame())
    here, there = noise(some), noise(clean)
    assert isinstance(here, Noise)
    assert isinstance(there, Noise)
    assert here.sd == there.sd
    with_all = noise(some.whole)
    assert isinstance(with_all, Noise)
    assert with_all.sd.estimate > 5 * here.sd.estimate, "what this is about"
    pd.testing.assert_frame_equal(some.designs(), clean.designs())
    model = surrogate(some, "equal cost", models=[QuadraticRidge()], repeats=1)
    assert isinstance(model, Surrogate)
    assert model.adequate


def test_distributions_count_every_network(some: TrialTable) -> None:
    (first, *_) = compare_factors(some, permutations=19)
    assert sum(curve.n for curve in first.curves) == len(some.whole.designs())
    assert len(some.whole.designs()) > len(some.designs())


def test_a_majority_is_no_exception() -> None:
    table = simulate(replace(PLANTED, collapse=0.7), architectures=60, seed=4)
    assert len(table.collapsed) > len(table.complete()) / 2
    assert table.aside.empty
    assert len(table.designs()) == 60
    assert table.whole is table


def test_of_few_runs_those_near_guessing_are_named_and_kept() -> None:
    """A few epochs on a few records: half the networks guess, and none can be spared."""
    table = simulate(architectures=10, replicates=(2, 2), seed=5)
    guessing = table.frame.index < 5
    frame = table.frame.assign(macro_auroc=np.where(guessing, 0.52, 0.62))
    table = replace(table, frame=frame)
    assert set(table.collapsed["trial"]) == {0, 1, 2, 3, 4}
    assert table.aside.empty
    assert len(table.designs()) == 10


def test_a_wide_but_connected_range_of_scores_holds_no_outlier() -> None:
    for seed in range(5):
        table = without(simulate(LAW, architectures=100, seed=seed), "macro_auroc")
        assert table.collapsed.empty


def test_a_seed_that_fell_out_is_told_from_networks_that_are_bad() -> None:
    rng = np.random.default_rng(0)
    score = np.repeat(np.linspace(0.3, 0.7, 12), 3) + rng.normal(0, 0.01, 36)
    runs = pd.DataFrame({"architecture_hash": np.repeat(np.arange(12), 3).astype(str)})
    assert not (why_collapsed(runs, score) != "").any()
    score[31] -= 0.2
    why = why_collapsed(runs, score)
    assert why[why != ""].to_dict() == {31: BELOW_SEEDS}


def test_a_loss_that_exploded_is_found_though_less_is_better() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"k": np.arange(80), "flops": 1e6, "loss": rng.normal(0.5, 0.05, 80)})
    frame.loc[[3, 40], "loss"] = [55.0, 9e4]
    table = from_frame(frame, factors=["k"], objective="loss", maximize=False)
    assert set(table.aside["trial"]) == {3, 40}
    assert table.designs()["loss"].max() < 1
