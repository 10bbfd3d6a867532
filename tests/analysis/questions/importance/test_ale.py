"""Accumulated local effects: exact on additive truths, equal to a plain loop, banded."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.questions.importance.ale import _Steps, accumulated, ale_frame
from analysis.surrogates.candidates import QuadraticRidge
from analysis.surrogates.surrogate import surrogate
from analysis.trials.factors import FactorInfo
from analysis.trials.table import TrialTable
from tests.analysis.simulate import PLANTED, centred_codes


class Formula:
    """A model that is known: f = x0² + x0·x1."""

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x[:, 0] ** 2 + x[:, 0] * x[:, 1])


def test_steps_are_those_of_a_plain_loop_and_shun_what_the_design_does_not_hold() -> None:
    rng = np.random.default_rng(0)
    x0 = rng.uniform(-1, 1, 500)
    x = np.column_stack([x0, x0 + rng.normal(0, 0.01, 500)])  # tied: partial dependence errs here
    steps = _Steps.of(x[:, 0], FactorInfo("a", "float", low=-1, high=1))
    found = steps.accumulate(steps.differences(Formula(), x, 0))  # type: ignore[arg-type]
    total, plain = 0.0, [0.0]
    for low, high in zip(steps.nodes[:-1], steps.nodes[1:], strict=True):
        rows = [r for r in x if low < r[0] <= high or (r[0] == low == steps.nodes[0])]
        total += np.mean([(high**2 + high * r[1]) - (low**2 + low * r[1]) for r in rows])
        plain.append(total)
    assert np.diff(found) == pytest.approx(np.diff(plain))
    # d/dx0 (x0² + x0·x1) = 2·x0 + x1 = 3·x0 along the design: the effect is 1.5·x0².
    exact = 1.5 * steps.nodes**2
    assert found - found[5] == pytest.approx(exact - exact[5], abs=0.02)


def test_planted_effects_are_recovered_with_a_band(planted: TrialTable) -> None:
    model = surrogate(planted, "equal cost", candidates=[QuadraticRidge()], repeats=1)
    names = ["residual", "kernel_size", "stem_kernel", "grouping"]
    found = {a.factor: a for a in accumulated(planted, model, names, bootstraps=30)}
    for name in names:
        curve = found[name].curve
        assert (curve["low"] <= curve["effect"]).all()
        assert (curve["effect"] <= curve["high"]).all()
    gain = found["residual"].curve["effect"].to_numpy()
    depth = centred_codes(planted.designs())[:, 0].mean()
    expected = -PLANTED.effects["residual"] - PLANTED.interactions["residual", "depth"] * depth
    assert gain[1] - gain[0] == pytest.approx(expected, abs=0.004)
    kernel = found["kernel_size"].curve
    assert list(kernel["value"]) == ["3", "5", "7", "11", "15", "23"]
    slope = np.polyfit(kernel["code"], kernel["effect"], 1)[0]
    assert slope == pytest.approx(-PLANTED.effects["kernel_size"], abs=0.001)
    assert found["stem_kernel"].span < 0.003
    assert set(ale_frame(tuple(found.values()))["factor"]) == set(names)


def test_effects_are_centred_over_the_architectures(planted: TrialTable) -> None:
    model = surrogate(planted, "score", candidates=[QuadraticRidge()], repeats=1)
    (switch,) = accumulated(planted, model, ["residual"], bootstraps=5)
    shares = planted.designs()["residual"].map({False: 0, True: 1})
    assert switch.curve["effect"].to_numpy()[shares].mean() == pytest.approx(0, abs=1e-12)
