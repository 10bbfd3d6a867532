"""Picks per budget against the planted truth, and refusals where too little is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.page.words import say
from analysis.questions.budgets.recommend import (
    Recommendation,
    ranked,
    recommend,
    recommend_all,
    round_budgets,
    to_frame,
)
from analysis.stats.refusal import Refusal
from analysis.stats.shrinkage import Shrunken
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import FLOPS_ONLY, PLANTED, by_cost, simulate, true_error
from tests.analysis.told import refused


def pick(table: TrialTable, budget: float, seed: int = 0) -> Recommendation:
    found = recommend(table, budget, by_cost(table), seed=seed)
    assert isinstance(found, Recommendation)
    return found


@pytest.mark.parametrize(
    ("budget", "reason"),
    [(1e5, "above this budget"), (5e9, "less than 75 %"), (3.3e6, "networks fit into")],
)
def test_refuses_with_a_reason(planted: TrialTable, budget: float, reason: str) -> None:
    assert reason in refused(recommend(planted, budget, None))


def test_refuses_before_anything_has_finished(small: TrialTable) -> None:
    waiting = replace(small, frame=small.frame.assign(state="waiting", macro_f1=np.nan))
    assert "nothing to analyse yet" in refused(recommend(waiting, 1e8, None))
    assert recommend_all(waiting, None) == {}


def test_pick_fits_and_is_one_of_the_indistinguishable(planted: TrialTable) -> None:
    result = pick(planted, 1e8)
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
    assert result.interval.low < result.expected < result.interval.high


def test_same_seed_same_answer_whatever_the_order_of_trials(planted: TrialTable) -> None:
    shuffled = replace(planted, frame=planted.frame.sample(frac=1, random_state=3))
    result, again = pick(planted, 1e8, seed=5), pick(shuffled, 1e8, seed=5)
    assert result == pick(planted, 1e8, seed=5)
    assert result.architecture_hash == again.architecture_hash
    assert result.expected == pytest.approx(again.expected)
    assert result.regret == pytest.approx(again.regret)


def test_interval_and_regret_hold_against_the_truth() -> None:
    held, promised, real, naive = [], [], [], []
    for seed in range(12):
        table = simulate(PLANTED, architectures=120, replicates=(12, 3), seed=seed)
        designs = table.designs()
        truth = 1 - true_error(designs, PLANTED)
        for budget in (3e7, 3e8):
            result = pick(table, budget, seed)
            assert result.interval is not None
            assert result.regret is not None
            row = int(np.flatnonzero(designs["architecture_hash"] == result.architecture_hash)[0])
            in_reach = designs["flops"].to_numpy() <= result.budget
            held.append(result.interval.low <= truth[row] <= result.interval.high)
            promised.append(result.regret)
            real.append(truth[in_reach].max() - truth[row])
            naive.append(designs["score"][in_reach].max() - truth[in_reach].max())
    assert np.mean(held) >= 0.88
    assert np.mean(real) == pytest.approx(np.mean(promised), abs=0.002)
    assert np.mean(naive) > 0  # the winner of single runs is over-stated


def test_no_replicates_no_interval() -> None:
    table = simulate(PLANTED, architectures=60, replicates=(0, 1), seed=4)
    result = recommend(table, 1e9, None)
    assert isinstance(result, Recommendation)
    assert result.interval is None
    assert result.regret is None
    assert result.expected == result.observed
    assert any("over-stated" in say(note) for note in result.notes)


def test_among_equals_the_smallest_is_picked() -> None:
    table = simulate(replace(FLOPS_ONLY, amplitude=0.0), architectures=120, seed=6)
    result = pick(table, 1e8)
    designs = table.designs().set_index("architecture_hash")
    rivals = designs.loc[[c.architecture_hash for c in result.indistinguishable]]
    assert result.costs["params"] <= np.median(rivals["params"])
    assert any("not resolved" in say(note) for note in result.notes)


def test_no_cheaper_and_smaller_network_is_expected_to_score_more() -> None:
    """The best is large; of its equals near the budget, the smallest is beaten by a cheap one."""
    cost = np.array([20.0, *range(80, 92)]) * 1e6
    params = np.array([100, *[200] * 11, 900]) * 1e3
    mean = np.array([0.33, *[0.325] * 11, 0.335])
    frame = pd.DataFrame({"width": range(13), "flops": cost, "params": params, "macro_f1": mean})
    table = from_frame(frame, factors=["width"])
    variance = np.full(13, 0.02**2)
    shrunken = Shrunken(mean, variance, mean, variance, 1e-4, spread_resolved=True)
    result = recommend(table, 1e8, shrunken)
    assert isinstance(result, Recommendation)
    assert result.costs["flops"] == 20e6
    assert result.expected == 0.33
    assert result.architecture_hash in {c.architecture_hash for c in result.indistinguishable}
    certain = recommend(table, 1e8, replace(shrunken, variance=1e-12 + 0 * mean))
    assert isinstance(certain, Recommendation)
    assert certain.expected == 0.335


def test_a_larger_budget_never_gets_a_network_expected_to_score_less(planted: TrialTable) -> None:
    shrunken = by_cost(planted)
    budgets = np.geomspace(6e6, 1e9, 60)
    found = [recommend(planted, float(budget), shrunken) for budget in budgets]
    expected = [one.expected for one in found if isinstance(one, Recommendation)]
    assert len(expected) == len(budgets)
    assert (np.diff(expected) >= 0).all()


def test_the_smaller_equal_of_a_larger_budget_does_not_replace_a_better_pick() -> None:
    """Near 20 the smallest within the noise is expected to score less than the pick at 10."""
    cost = np.array([*range(1, 11), *range(15, 26)]) * 1e6
    mean = np.array([*np.linspace(0.30, 0.336, 10), *np.linspace(0.320, 0.338, 11)])
    params = np.array([*np.linspace(100, 200, 10), 50, *[300] * 10]) * 1e3
    frame = pd.DataFrame({"width": range(21), "flops": cost, "params": params, "macro_f1": mean})
    table = from_frame(frame, factors=["width"])
    variance = np.full(21, 0.02**2)
    variance[:10] = 1e-8
    shrunken = Shrunken(mean, variance, mean, variance, 1e-4, spread_resolved=True)
    small, large = (recommend(table, budget, shrunken) for budget in (1e7, 2e7))
    assert isinstance(small, Recommendation)
    assert isinstance(large, Recommendation)
    assert small.expected == 0.336
    assert large.expected >= small.expected


def test_the_order_to_confirm_begins_with_the_pick(planted: TrialTable) -> None:
    shrunken, designs = by_cost(planted), planted.designs()
    order = ranked(planted, 1e8, shrunken)
    assert not isinstance(order, Refusal)
    assert designs["architecture_hash"].iloc[order[0]] == pick(planted, 1e8).architecture_hash
    cost = designs["flops"].to_numpy()
    assert sorted(order) == list(np.flatnonzero(cost <= 1e8))
    near = [row for row in order[1:] if cost[row] >= 0.75e8]
    assert list(order[1 : 1 + len(near)]) == near
    assert (np.diff(shrunken.mean[near]) <= 0).all()


def test_a_small_study_widens_its_window_and_says_so(small: TrialTable) -> None:
    result = pick(small, 1e8)
    assert result.candidates >= 10
    assert any("cheaper ones" in say(note) for note in result.notes)


def test_losses_are_reported_in_their_own_unit(planted: TrialTable) -> None:
    frame = planted.frame.assign(loss=1 - planted.frame["macro_f1"])
    table = from_frame(frame, factors=planted.factors, objective="loss", maximize=False)
    loss, gain = pick(table, 1e8), pick(planted, 1e8)
    assert loss.architecture_hash == gain.architecture_hash
    assert loss.expected == pytest.approx(1 - gain.expected)
    assert loss.interval is not None
    assert loss.interval.low < loss.expected < loss.interval.high
    assert loss.regret == pytest.approx(gain.regret)


def test_round_budgets_and_table(planted: TrialTable) -> None:
    budgets = round_budgets(planted)
    assert budgets == (1e7, 3e7, 1e8, 3e8, 1e9)
    found = recommend_all(planted, by_cost(planted))
    assert list(recommend_all(planted, by_cost(planted), budgets=(2e7, 4e7))) == [2e7, 4e7]
    frame = to_frame({1e5: Refusal("budgets.small"), **found})
    assert list(frame["budget"]) == [1e5, *budgets]
    assert frame["refusal"].iloc[0] != ""
    assert (frame["flops"].iloc[1:] <= frame["budget"].iloc[1:]).all()
    assert (np.diff(frame["expected"].iloc[1:].to_numpy()) >= 0).all()
