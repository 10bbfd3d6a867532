"""Whom to confirm: the best by estimate, and references in the widest form that fits."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.errors import AnalysisError
from analysis.page.quantities import short
from analysis.questions.budgets.recommend import recommend
from analysis.questions.confirmation.choose import RIVALS, choose_candidates
from analysis.questions.confirmation.rounds import TOP
from analysis.questions.estimates import estimate
from analysis.trials.table import TrialTable
from ecgscale.confirm_commands import BudgetOption, ReferenceOption, TopOption
from models import ModelError, reference
from models.references.budget import reference_within
from search.confirm import BUDGETS, budgets_within
from tests.analysis.questions.confirmation.confirmations import SHAPE


def test_candidates_are_the_best_by_estimate_within_the_budget(study: TrialTable) -> None:
    estimated = estimate(study)
    chosen = choose_candidates(
        study, [3e7, 1e8], top=4, references=("resnet18", "resnet101"), shrunken=estimated,
        **SHAPE,
    )  # fmt: skip
    designs = study.designs()
    for budget in (3e7, 1e8):
        own = [c for c in chosen.candidates if c.budget == budget]
        searched = [c for c in own if c.group == "searched"]
        assert len(searched) == 4
        cost = designs["flops"].to_numpy()
        near = (cost <= budget) & (cost >= 0.75 * budget)
        best = np.flatnonzero(near)[np.argsort(-estimated.mean[near])]
        pick = recommend(study, budget, estimated).architecture_hash
        order = [h for h in designs["architecture_hash"].iloc[best] if h != pick]
        assert [c.architecture.hash for c in searched] == [pick, *order][:4]
        for candidate in own:
            assert candidate.architecture.cost(**SHAPE).flops <= budget
    names = {
        budget: [c.name.partition("@")[0] for c in chosen.candidates if c.budget == budget][4:]
        for budget in (3e7, 1e8)
    }
    assert names == {3e7: ["resnet18"], 1e8: ["resnet18", "resnet101"]}
    assert any("resnet101" in note for note in chosen.notes)


def test_budget_outside_the_study_is_refused(study: TrialTable) -> None:
    with pytest.raises(AnalysisError, match="choose a larger budget"):
        choose_candidates(study, [1e5], **SHAPE)
    chosen = choose_candidates(study, [1e5, 3e7], references=(), **SHAPE)
    assert {c.budget for c in chosen.candidates} == {3e7}
    assert chosen.notes[0].startswith("100k: The cheapest network")


def test_the_help_names_the_default_rivals_and_budgets() -> None:
    references, budgets, top = (
        option.__metadata__[0].help for option in (ReferenceOption, BudgetOption, TopOption)
    )
    assert references.split("Default: ")[1].rstrip(".").split(", ") == list(RIVALS)
    assert all(short(budget) in budgets for budget in BUDGETS)
    assert f"Default: {TOP}." in top


@pytest.mark.parametrize(
    ("low", "high", "budgets"), [(3e6, 3e8, [1e7, 3e7, 1e8, 3e8]), (1.6e6, 4e6, [4e6])]
)
def test_budgets_are_the_usual_ones_within_the_range(
    low: float, high: float, budgets: list[float]
) -> None:
    assert budgets_within((low, high)) == budgets


@pytest.mark.parametrize("budget", [3e7, 1e8, 1e9])
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv2", "convnext-atto", "isibrno"])
def test_reference_is_the_widest_within_the_budget(name: str, budget: float) -> None:
    network = reference_within(name, budget, **SHAPE)
    flops = network.cost(**SHAPE).flops
    assert budget / 2 <= flops <= budget
    _, _, multiplier_text = network.name.partition("@")
    wider = reference(f"{name}@{float(multiplier_text or 1) + 0.05:.2f}")
    assert wider.cost(**SHAPE).flops > flops


def test_reference_that_does_not_fit_says_why() -> None:
    with pytest.raises(ModelError, match="its narrowest one has"):
        reference_within("resnet101", 1e7, **SHAPE)


def test_a_reference_whose_widths_step_over_half_a_budget_is_a_rival_all_the_same() -> None:
    network = reference_within("xresnet1d50", 3e7, **SHAPE)
    assert 0.25 < network.cost(**SHAPE).flops / 3e7 < 0.5
