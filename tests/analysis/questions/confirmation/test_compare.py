"""Whether differences on test records are what was planted, and who stands for a budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from analysis.errors import AnalysisError
from analysis.questions.confirmation.compare import compare
from analysis.questions.confirmation.family import derive_family
from analysis.questions.confirmation.results import LAW, SEARCHED
from analysis.questions.estimates import estimate
from analysis.trials.table import TrialTable
from search.confirm import Confirmation, Entry
from search.reading.records import Confirmed
from tests.analysis.questions.confirmation.confirmations import (
    CLASSES,
    confirmed_of,
    with_networks,
)


def test_planted_difference_is_found_and_an_absent_one_is_not(study: TrialTable) -> None:
    strengths = {
        "good": (2.0, "searched"),
        "weaker": (1.5, "searched"),
        "equal": (2.0, "reference"),
        "poor": (0.8, "reference"),
        "with": (2.0, "law"),
        "opposite": (1.0, "against the law"),
    }
    confirmed = confirmed_of(strengths)
    found = compare(study, confirmed, shrunken=estimate(study), draws=400)
    best = found.chosen(1e8)
    assert best is not None
    assert best.name == "good"
    by_second = {d.second: d for d in found.compared(LAW, "macro_auroc")} | {
        d.second: d for d in found.compared(SEARCHED, "macro_auroc")
    }
    assert set(by_second) == {"equal", "poor", "against the law"}
    assert by_second["poor"].interval.low > 0.05
    assert by_second["poor"].p_adjusted < 0.05
    assert by_second["equal"].interval.low < 0 < by_second["equal"].interval.high
    assert by_second["equal"].p_adjusted > 0.05
    assert by_second["against the law"].interval.low > 0
    want = np.mean(
        [
            roc_auc_score(o.labels, o.probabilities, average="macro")
            for t, o in confirmed.outputs.items()
            if confirmed.trials["architecture_hash"][t] == "good"
        ]
    )
    assert best.test["macro_auroc"].estimate == pytest.approx(want, abs=1e-12)
    assert best.test["macro_auroc"].low < want < best.test["macro_auroc"].high
    assert best.neighbours > 5
    frame = found.to_frame()
    assert len(frame) == 6
    assert found.records == 400
    assert found.patients == 200


def test_the_order_of_the_candidates_decides_who_stands_for_a_budget(study: TrialTable) -> None:
    """Its new scores do not: a network chosen by them would owe some of them to luck."""
    strengths = {
        "first": (1.0, "searched"),
        "lucky": (1.6, "searched"),
        "known": (1.0, "reference"),
    }
    confirmed = confirmed_of(strengths)
    found = compare(study, confirmed, draws=50)
    of = {c.name: c for c in found.contestants}
    assert of["lucky"].validation > of["first"].validation
    assert {d.first for d in found.pairs} == {"first"}
    (member,) = derive_family(study, found, with_networks(confirmed, study), "net")
    assert member.name == "net-m"
    assert member.provenance["validation"] == {"macro_f1": of["first"].validation}


@pytest.mark.parametrize(("strength", "chosen"), [(2.2, "with"), (0.8, "searched")])
def test_the_law_gives_the_family_where_it_won(
    study: TrialTable, strength: float, chosen: str
) -> None:
    strengths = {"searched": (1.5, "searched"), "with": (strength, "law")}
    confirmed = confirmed_of(strengths | {"opposite": (0.9, "against the law")}, spread=0.02)
    found = compare(study, confirmed, draws=200)
    (member,) = derive_family(study, found, with_networks(confirmed, study), "net")
    of = {c.name: c for c in found.contestants}
    assert member.provenance["validation"] == {"macro_f1": of[chosen].validation}


def test_many_plain_differences_survive_holm(study: TrialTable) -> None:
    """A p-value with a floor would, from some number of pairs on, never be below 0.05."""
    poor = {f"poor{i}": (0.3, "reference") for i in range(30)}
    confirmed = confirmed_of({"good": (3.0, "searched"), **poor}, spread=0.02)
    found = compare(study, confirmed, draws=100)
    own = found.compared(SEARCHED, "macro_auroc")
    assert len(own) == 30
    assert all(d.better for d in own)


def test_learning_rate_is_chosen_on_validation_records_among_those_that_are_done(
    study: TrialTable,
) -> None:
    confirmed = confirmed_of({"a": (1.0, "searched"), "b": (1.0, "reference")}, seeds=4)
    trials = confirmed.trials.copy()
    of_b = trials["architecture_hash"] == "b"
    trials.loc[of_b, "learning_rate"] = [1e-3, 5e-3, 1e-3, 5e-3]
    trials.loc[of_b, "macro_f1"] = [0.5, 0.1, 0.7, 0.2]
    changed = Confirmed(confirmed.rounds, trials, confirmed.outputs, confirmed.thresholds, CLASSES)
    of = {c.name: c for c in compare(study, changed, draws=50).contestants}
    assert (of["b"].learning_rate, of["b"].seeds) == (1e-3, 2)
    assert of["b"].validation == pytest.approx(0.6)
    assert of["a"].seeds == 4
    # One lucky seed of a rate whose others are missing is not the better rate.
    trials.loc[of_b, "learning_rate"] = [1e-3, 5e-3, 5e-3, 5e-3]
    trials.loc[of_b, "macro_f1"] = [0.9, 0.1, 0.2, 0.3]
    changed = replace(changed, trials=trials)
    of = {c.name: c for c in compare(study, changed, draws=50).contestants}
    assert (of["b"].learning_rate, of["b"].seeds) == (5e-3, 3)


def test_searched_networks_of_a_later_round_do_not_count(study: TrialTable) -> None:
    confirmed = confirmed_of({"a": (1.0, "searched"), "b": (1.0, "searched")}, seeds=4)
    first, second = confirmed.rounds[0].entries
    trials = confirmed.trials.copy()
    trials["round"] = [0, 0, 1, 1, 1, 1, 1, 1]  # the first network's other seeds came later
    twice = replace(
        confirmed,
        rounds=(Confirmation((first,), 2, (5e-3,)), Confirmation((first, second), 2, (5e-3,))),
        trials=trials,
    )
    found = compare(study, twice, draws=20)
    assert [(c.name, c.seeds) for c in found.contestants] == [("a", 2)]
    assert (found.added, found.left_out, found.seeds) == ((), 2, 2)


@pytest.mark.parametrize(
    ("seeds", "rates", "budget", "counts"),
    [
        (3, (5e-3,), 1e8, True),
        (4, (5e-3,), 1e8, False),
        (3, (5e-3, 1e-2), 1e8, False),
        (3, (5e-3,), 2e8, False),
    ],
)
def test_known_networks_of_a_later_round_count_if_they_were_treated_alike(
    study: TrialTable, seeds: int, rates: tuple[float, ...], budget: float, counts: bool
) -> None:
    strengths = {"a": (1.0, "searched"), "b": (1.0, "reference"), "c": (1.0, "reference")}
    confirmed = confirmed_of(strengths)
    (*first, last) = confirmed.rounds[0].entries
    trials = confirmed.trials.assign(round=(confirmed.trials["architecture_hash"] == "c") * 1)
    later = Confirmation((replace(last, budget=budget),), seeds, rates)
    twice = replace(
        confirmed, rounds=(Confirmation(tuple(first), 3, (5e-3,)), later), trials=trials
    )
    found = compare(study, twice, draws=20)
    at_once = compare(study, confirmed, draws=20)
    assert (found.added, found.left_out) == ((("c",), 0) if counts else ((), 1))
    if counts:
        assert found.pairs == at_once.pairs
        assert found.contestants == at_once.contestants
    else:
        assert {d.second for d in found.pairs} == {"b"}


def test_an_objective_that_test_records_have_not_is_refused(study: TrialTable) -> None:
    confirmed = confirmed_of({"a": (1.0, "searched")})
    with pytest.raises(AnalysisError, match=r"macro_auroc or macro_auprc, not by ece"):
        compare(replace(study, objective="ece"), confirmed, draws=20)


def test_without_a_confirmation_it_says_what_to_do(study: TrialTable) -> None:
    nothing = Confirmed((), pd.DataFrame(), {}, {}, CLASSES)
    with pytest.raises(AnalysisError, match="ecgscale confirm"):
        compare(study, nothing)
    planned = Confirmed(
        (Confirmation((Entry("a", 1e8, "searched", "a"),), 1, (1e-3,)),),
        pd.DataFrame(columns=["architecture_hash", "trial", "round", "learning_rate", "macro_f1"]),
        {}, {}, CLASSES,
    )  # fmt: skip
    with pytest.raises(AnalysisError, match="run the workers"):
        compare(study, planned)
