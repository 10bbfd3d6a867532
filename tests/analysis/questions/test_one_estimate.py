"""Report, command line, confirmation and family name one network for a budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.questions.budgets.numbers import recommendations
from analysis.questions.budgets.recommend import Recommendation, recommend
from analysis.questions.confirmation.choose import choose_candidates
from analysis.questions.confirmation.compare import compare
from analysis.questions.confirmation.family import derive_family
from analysis.questions.context import Context
from analysis.questions.estimates import SURROGATES, estimate
from analysis.surrogates.surrogate import Surrogate
from analysis.trials.table import TrialTable
from models import Architecture
from tests.analysis.questions.confirmation.confirmations import SHAPE, confirmed_of
from tests.analysis.questions.confirmation.conftest import study as study

BUDGET = 1e8


def luck_alone(table: TrialTable) -> TrialTable:
    """Let scores tell nothing, so that no surrogate is adequate."""
    scores = np.random.default_rng(0).normal(0.5, 0.02, len(table.frame))
    return replace(table, frame=table.frame.assign(macro_f1=scores))


def without_replicates(table: TrialTable) -> TrialTable:
    return replace(table, frame=table.frame[table.frame["role"] != "replicate"])


@pytest.mark.parametrize("case", ["surrogate", "luck", "no replicates"])
def test_all_name_one_network(study: TrialTable, case: str) -> None:
    changed = {"luck": luck_alone, "no replicates": without_replicates}.get(case)
    table = study if changed is None else changed(study)
    context, expected = Context(table), estimate(table)
    fitted = [context.of(compute) for compute in SURROGATES.values()]
    adequate = any(isinstance(one, Surrogate) and one.adequate for one in fitted)
    assert adequate == (case != "luck")
    assert (expected is None) == (case == "no replicates")

    found = context.known(recommendations)
    assert found is not None
    for budget, reported in found.items():
        assert recommend(table, budget, expected) == reported
    pick = found[BUDGET]
    assert isinstance(pick, Recommendation)

    chosen = choose_candidates(table, [BUDGET], top=3, references=(), shrunken=expected, **SHAPE)
    searched = [c.architecture for c in chosen.candidates if c.group == "searched"]
    assert searched[0].hash == pick.architecture_hash

    strengths = {network.hash: (2.0, "searched") for network in searched}
    confirmed = confirmed_of(strengths)
    known = {network.hash: network.to_json() for network in searched}
    trials = confirmed.trials.assign(
        architecture=[known[name] for name in confirmed.trials["architecture_hash"]]
    )
    confirmed = replace(confirmed, trials=trials)
    (member,) = derive_family(table, compare(table, confirmed, draws=50), confirmed, "family")
    assert member.architecture.hash == pick.architecture_hash
    assert Architecture.from_json(str(pick.architecture)).hash == member.architecture.hash
