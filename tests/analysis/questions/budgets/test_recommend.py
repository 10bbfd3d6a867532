"""Picks per budget against the planted truth, and refusals where too little is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.questions.budgets.recommend import (
    posterior,
    recommend,
    recommend_all,
    round_budgets,
    to_frame,
)
from analysis.questions.fronts.pareto import Shrunken
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import FLOPS_ONLY, PLANTED, simulate, true_error


@pytest.mark.parametrize(
    ("budget", "reason"),
    [(1e5, "above this budget"), (5e9, "less than 75%"), (3.3e6, "networks fit into")],
)
def test_refuses_with_a_reason(planted: TrialTable, budget: float, reason: str) -> None:
    result = recommend(planted, budget)
    assert result.refusal is not None
    assert reason in result.refusal
    assert result.architecture_hash == ""


def test_refuses_before_anything_has_finished(small: TrialTable) -> None:
    waiting = replace(small, frame=small.frame.assign(state="waiting", macro_f1=np.nan))
    refusal = recommend(waiting, 1e8).refusal
    assert refusal is not None
    assert "run the study first" in refusal
    assert recommend_all(waiting) == ()


def test_pick_fits_and_is_one_of_the_indistinguishable(planted: TrialTable) -> None:
    result = recommend(planted, 1e8)
    assert result.refusal is None
    designs = planted.designs().set_index("architecture_hash")
    row = designs.loc[result.architecture_hash]
    assert row["flops"] <= 1e8
    assert row["flops"] == result.costs["flops"]
    assert {name: row[name] for name in planted.factor_names} == result.factors
    assert result.architecture == row["architecture"]
    among = {c.architecture_hash: c for c in result.indistinguishable}
    assert result.architecture_hash in among
    assert result.expected >= max(c.expected for c in among.values()) - 0.006
    assert sum(c.probability for c in among.values()) <= 1
    assert result.candidates >= 10
    assert result.interval is not None
    assert result.interval[0] < result.expected < result.interval[1]


def test_same_seed_same_answer_whatever_the_order_of_trials(planted: TrialTable) -> None:
    shuffled = replace(planted, frame=planted.frame.sample(frac=1, random_state=3))
    result, again = recommend(planted, 1e8, seed=5), recommend(shuffled, 1e8, seed=5)
    assert result == recommend(planted, 1e8, seed=5)
    assert result.architecture_hash == again.architecture_hash
    assert result.expected == pytest.approx(again.expected)
    assert result.regret == pytest.approx(again.regret)


def test_interval_and_regret_hold_against_the_truth() -> None:
    held, promised, real, naive = [], [], [], []
    for seed in range(12):
        table = simulate(PLANTED, architectures=120, replicates=(12, 3), seed=seed)
        designs = table.designs()
        truth = 1 - true_error(designs, PLANTED)
        for result in recommend_all(table, (3e7, 3e8), seed=seed):
            assert result.interval is not None
            assert result.regret is not None
            pick = int(np.flatnonzero(designs["architecture_hash"] == result.architecture_hash)[0])
            in_reach = designs["flops"].to_numpy() <= result.budget
            held.append(result.interval[0] <= truth[pick] <= result.interval[1])
            promised.append(result.regret)
            real.append(truth[in_reach].max() - truth[pick])
            naive.append(designs["score"][in_reach].max() - truth[in_reach].max())
    assert np.mean(held) >= 0.88
    assert np.mean(real) == pytest.approx(np.mean(promised), abs=0.002)
    assert np.mean(naive) > 0  # the winner of single runs is over-stated


def test_no_replicates_no_interval() -> None:
    table = simulate(PLANTED, architectures=60, replicates=(0, 1), seed=4)
    assert posterior(table) is None
    result = recommend(table, 1e9)
    assert result.refusal is None
    assert result.interval is None
    assert result.regret is None
    assert result.expected == result.observed
    assert any("over-stated" in note for note in result.notes)


def test_among_equals_the_smallest_is_picked() -> None:
    table = simulate(replace(FLOPS_ONLY, amplitude=0.0), architectures=120, seed=6)
    result = recommend(table, 1e8)
    designs = table.designs().set_index("architecture_hash")
    rivals = designs.loc[[c.architecture_hash for c in result.indistinguishable]]
    assert result.costs["params"] <= np.median(rivals["params"])
    assert any("not resolved" in note for note in result.notes)


def test_no_cheaper_and_smaller_network_is_expected_to_score_more() -> None:
    """The best is large; of its equals near the budget, the smallest is beaten by a cheap one."""
    cost = np.array([20.0, *range(80, 92)]) * 1e6
    params = np.array([100, *[200] * 11, 900]) * 1e3
    mean = np.array([0.33, *[0.325] * 11, 0.335])
    frame = pd.DataFrame({"width": range(13), "flops": cost, "params": params, "macro_f1": mean})
    table = from_frame(frame, factors=["width"])
    variance = np.full(13, 0.02**2)
    shrunken = Shrunken(mean, variance, mean, variance, 1e-4, spread_resolved=True)
    result = recommend(table, 1e8, shrunken=shrunken)
    assert result.costs["flops"] == 20e6
    assert result.expected == 0.33
    assert result.architecture_hash in {c.architecture_hash for c in result.indistinguishable}
    assert (
        recommend(table, 1e8, shrunken=replace(shrunken, variance=1e-12 + 0 * mean)).expected
        == 0.335
    )


def test_a_small_study_widens_its_window_and_says_so(small: TrialTable) -> None:
    result = recommend(small, 1e8)
    assert result.refusal is None
    assert result.candidates >= 10
    assert any("cheaper ones" in note for note in result.notes)


def test_losses_are_reported_in_their_own_unit(planted: TrialTable) -> None:
    frame = planted.frame.assign(loss=1 - planted.frame["macro_f1"])
    table = from_frame(frame, factors=planted.factors, objective="loss", maximize=False)
    loss, gain = recommend(table, 1e8), recommend(planted, 1e8)
    assert loss.architecture_hash == gain.architecture_hash
    assert loss.expected == pytest.approx(1 - gain.expected)
    assert loss.interval is not None
    assert loss.interval[0] < loss.expected < loss.interval[1]
    assert loss.regret == pytest.approx(gain.regret)


def test_round_budgets_and_table(planted: TrialTable) -> None:
    budgets = round_budgets(planted)
    assert budgets == (5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9)
    frame = to_frame(recommend_all(planted, (1e5, *budgets)))
    assert list(frame["budget"]) == [1e5, *budgets]
    assert frame["refusal"].iloc[0] != ""
    assert (frame["flops"].iloc[1:] <= frame["budget"].iloc[1:]).all()
    expected = frame["expected"].iloc[1:].to_numpy()
    assert (np.diff(expected) > -0.006).all()
