"""Power: the numbers it promises are reached in simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.questions.context import Context
from analysis.questions.effects.main import effects
from analysis.questions.laws.error import error_law
from analysis.questions.laws.shape import shape_laws
from analysis.questions.power.needs import Power, learning, power
from analysis.questions.power.numbers import trials_needed
from analysis.stats.noise import noise
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import surrogate
from analysis.trials.table import TrialTable
from tests.analysis.simulate import LAW, Truth, simulate


@pytest.mark.parametrize("studies", [6, pytest.param(120, marks=pytest.mark.slow)])
def test_the_promised_number_gives_the_promised_power(studies: int) -> None:
    truth = Truth(effects={"residual": -0.006}, noise=0.012)
    pilot = effects(simulate(truth, architectures=200, replicates=(0, 1), seed=1))
    need = next(
        n for n in power({"": pilot}, effect=0.006).needs if n.question.startswith("residual")
    )
    assert need.at_goal is not None
    assert 60 < need.at_goal < 400
    found = 0
    for seed in range(studies):
        table = simulate(truth, architectures=need.at_goal, replicates=(0, 1), seed=50 + seed)
        again = {effect.factor: effect for effect in effects(table).effects}
        found += again["residual"].settled
    # Holm shares the level over fewer factors than Bonferroni: a little above 80 %.
    assert 0.8 - 2.5 * np.sqrt(0.16 / studies) <= found / studies


def test_twice_the_precision_needs_four_times_the_trials(planted: TrialTable) -> None:
    found = effects(planted)
    coarse, fine = (power({"": found}, effect=size).needs[0] for size in (0.004, 0.002))
    assert fine.at_goal == pytest.approx(4 * coarse.at_goal, rel=0.01)


def test_what_is_answered_needs_no_more() -> None:
    table = simulate(Truth(effects={"residual": -0.02}), architectures=150, seed=3)
    needs = power({"": effects(table)}).needs
    settled = [need for need in needs if need.settled]
    assert [need.question.split(":")[0] for need in settled] == ["residual"]
    assert {(need.needed, need.more) for need in settled} == {(150, 0)}
    for need in needs:
        assert need.settled or need.needed == need.at_goal


def test_effects_are_planned_for_where_they_are_told() -> None:
    truth = Truth(effects={"residual": -0.03}, interactions={("residual", "depth"): -0.02})
    table = simulate(truth, architectures=250, replicates=(0, 1), seed=4)
    found = trials_needed(Context(table))
    assert isinstance(found, Power)
    whole, *parts = (need for need in found.needs if need.kind == "effect")
    assert whole.question == "residual: on against off"
    assert whole.n == 250
    assert len(parts) == len(table.factors) - 1
    for need in parts:
        assert need.question.endswith("residual connections on")
        assert need.n == table.designs()["residual"].sum()


def test_all_questions_are_listed() -> None:
    table = simulate(replace(LAW, noise=0.004), architectures=150, seed=2)
    laws, law = shape_laws(table, bootstraps=40), error_law(table, bootstraps=40)
    frame = power({"": effects(table)}, laws, law, noise(table)).to_frame()
    assert set(frame["kind"]) == {"effect", "exponent", "noise"}
    assert (frame["needed"].dropna() > 0).all()
    row = frame[frame["question"] == "growth of depth with cost"].iloc[0]
    assert row["settled"]
    assert row["more"] == 0
    assert frame.iloc[-1]["needed"] == 49  # 24 architectures with 3 seeds have 48


def test_learning_rises_to_the_quality_of_the_surrogate(planted: TrialTable) -> None:
    model = surrogate(planted, "equal cost", models=[QuadraticRidge()], repeats=1)
    curve = learning(planted, model)
    assert curve["r2"].iloc[-1] == pytest.approx(model.quality.r2, abs=0.05)
    assert curve["r2"].iloc[0] < curve["r2"].iloc[-1]
    assert curve["n"].is_monotonic_increasing
