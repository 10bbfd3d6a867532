"""Proposals against the planted truth, and what proposed networks must not touch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.questions.budgets.propose import Outlook, Proposal, propose
from analysis.questions.budgets.recommend import Recommendation, ranked, recommend
from analysis.questions.context import Context
from analysis.questions.estimates import estimate
from analysis.stats.noise import noise
from analysis.stats.refusal import Refusal
from analysis.trials.table import TrialTable
from models import ModelError, load_space
from models.pool import Pool, pool_of
from tests.analysis.simulate import NOTHING, PLANTED, simulate, true_error
from tests.analysis.told import refused

BUDGETS = (3e7, 3e8)


def outlook(proposal: Proposal) -> Outlook:
    assert proposal.outlook is not None
    return proposal.outlook


@pytest.fixture(scope="module")
def pool() -> Pool:
    return pool_of(load_space("ecg-cnn"), 4000, flops_range=(3e6, 3e8), seed=5)


@pytest.fixture(scope="module")
def found(planted: TrialTable, pool: Pool) -> tuple[Proposal, ...]:
    proposals = propose(Context(planted), pool, BUDGETS, 20)
    assert not isinstance(proposals, Refusal)
    return proposals


def test_a_pool_holds_points_of_the_space_with_their_exact_flops(pool: Pool) -> None:
    assert len(pool) == 4000
    assert pool.flops.min() >= 3e6
    assert pool.flops.max() <= 3e8
    for place in (0, 1234, 3999):
        network = pool.architecture(place)
        assert network.cost().flops == pool.flops[place]
        assert network.factors == {name: column[place] for name, column in pool.values.items()}
    again = pool_of(load_space("ecg-cnn"), 300, flops_range=(3e6, 3e8), seed=5)
    np.testing.assert_array_equal(again.flops, pool.flops[:300])


def test_a_range_of_flops_that_the_space_lacks_is_refused() -> None:
    with pytest.raises(ModelError, match="choose FLOPs that the space offers"):
        pool_of(load_space("ecg-cnn"), 10, flops_range=(1.0, 10.0))


def test_proposals_are_new_distinct_and_within_their_budgets(
    found: tuple[Proposal, ...], planted: TrialTable
) -> None:
    hashes = [one.architecture.hash for one in found]
    assert len(set(hashes)) == 20
    assert not set(hashes) & set(planted.frame["architecture_hash"])
    assert [one.budget for one in found] == [*BUDGETS] * 10
    assert all(one.flops == one.architecture.cost().flops <= one.budget for one in found)


def test_proposals_are_truly_better_than_what_was_trained(
    found: tuple[Proposal, ...], planted: TrialTable
) -> None:
    designs, known = planted.designs(), estimate(planted)
    assert known is not None
    trained, beaten = 1 - true_error(designs, PLANTED), []
    for budget in BUDGETS:
        own = [one for one in found if one.budget == budget]
        rows = [dict(one.architecture.factors) | {"flops": one.flops} for one in own]
        truth = 1 - true_error(pd.DataFrame(rows), PLANTED)
        within = (designs["flops"] <= budget).to_numpy()
        assert truth.max() > trained[within].max()
        alike = within & (designs["flops"] >= budget / 2).to_numpy()
        assert truth.mean() > trained[alike].mean() + 2 * trained[alike].std()
        assert np.abs(truth - [outlook(one).expected for one in own]).mean() < 0.006
        rival = np.argmax(np.where(within, known.mean, -1.0))
        beaten += (truth > trained[rival]).tolist()
    # The surrogate knows: it says about how often they are better than the best expected one.
    assert np.mean(beaten) == pytest.approx(
        np.mean([outlook(one).probability for one in found]), abs=0.25
    )


def test_nothing_is_proposed_where_the_trials_tell_nothing(pool: Pool) -> None:
    flat = simulate(NOTHING, architectures=100, seed=1)
    assert "urrogate not adequate" in refused(propose(Context(flat), pool, BUDGETS, 4))


def test_proposed_networks_are_candidates_and_enter_nothing_else(
    planted: TrialTable, found: tuple[Proposal, ...]
) -> None:
    like = planted.frame[planted.frame["role"] == "sample"].iloc[0]
    rows = [
        {
            **like,
            **one.architecture.factors,
            "role": "refine",
            "macro_f1": outlook(one).expected + 0.02,
        }
        | {"architecture_hash": one.architecture.hash, "flops": one.flops, "number": 10_000 + i}
        for i, one in enumerate(found)
    ]
    frame = pd.concat([planted.frame, pd.DataFrame(rows)], ignore_index=True)
    refined = replace(planted, frame=frame)
    pd.testing.assert_frame_equal(refined.designs(), planted.designs())
    before, after = noise(planted), noise(refined)
    assert not isinstance(before, Refusal)
    assert not isinstance(after, Refusal)
    assert after.sd == before.sd
    assert planted.candidates is planted
    assert len(refined.candidates.designs()) == len(planted.designs()) + 20
    pick = recommend(refined.candidates, 3e8, estimate(refined))
    assert isinstance(pick, Recommendation)
    proposed = {one.architecture.hash for one in found}
    assert pick.architecture_hash in proposed
    order = ranked(refined.candidates, 3e8, estimate(refined))
    assert not isinstance(order, Refusal)
    names = refined.candidates.designs()["architecture_hash"]
    assert set(names.iloc[order[:5]]) <= proposed
