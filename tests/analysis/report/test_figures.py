"""Figures: each draws its table and nothing else, and every axis says what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from analysis.page.quantities import difference, p_value, percent, quantity, score, short
from analysis.page.style import Drawn
from analysis.questions.distributions.curves import compare_factors
from analysis.questions.distributions.figures import (
    best_of_n_curve,
    factor_distribution,
    score_distribution,
)
from analysis.questions.effects.figures import effect_of_levels, forest
from analysis.questions.effects.main import effects
from analysis.questions.fronts.figures import hypervolume_curve, pareto_front
from analysis.questions.fronts.pareto import estimate_front, front
from analysis.questions.importance.agreement import agreement
from analysis.questions.importance.figures import rankings, ties
from analysis.questions.importance.shap import importance
from analysis.questions.laws.error import error_law
from analysis.questions.laws.figures import (
    error_law_curve,
    exponent_profile,
    mean_over_cost,
    shape_law_curve,
)
from analysis.questions.laws.monotone import monotone
from analysis.questions.laws.shape import shape_law
from analysis.questions.power.figures import learning_curve
from analysis.questions.power.needs import learning, power
from analysis.questions.training.figures import learning_curves
from analysis.questions.trust.figures import leak_check
from analysis.stats.interval import Interval
from analysis.stats.noise import noise
from analysis.stats.ties import design
from analysis.surrogates.quadratic import QuadraticRidge
from analysis.surrogates.surrogate import surrogate
from analysis.trials.table import TrialTable
from tests.analysis.simulate import LAW, PLANTED, by_cost, simulate


def all_drawn(table: TrialTable) -> Iterator[tuple[str, Drawn]]:
    designs, shrunken = table.designs(), by_cost(table)
    estimated = estimate_front(
        designs["flops"], designs["score"], shrunken, np.random.default_rng(0), draws=50
    )
    yield "front", pareto_front(table, "macro_f1", "flops", estimated)
    yield "front of params", pareto_front(table, "macro_auroc", "params", small=True)
    yield "distribution", score_distribution(table, "macro_f1")
    for comparison in compare_factors(table, permutations=19)[:2]:
        yield comparison.factor, factor_distribution(comparison, "macro_f1")
    yield "best of n", best_of_n_curve(table, "macro_f1")
    sizes = np.arange(1, 5)
    yield "hypervolume", hypervolume_curve(sizes, sizes / 9, sizes / 10, sizes / 8)
    trials = table.complete()["trial"].to_numpy()
    curves = pd.DataFrame({"trial": np.repeat(trials, 3), "epoch": np.tile([1, 2, 3], trials.size)})
    yield "curves", learning_curves(table, curves.assign(value=curves["trial"] / 1000))
    yield "leak", leak_check(table, "macro_auroc", 0.5)
    yield from drawn_of_methods(table)


def drawn_of_methods(table: TrialTable) -> Iterator[tuple[str, Drawn]]:
    found = effects(table)
    yield "forest", forest(found, difference("macro_f1"))
    yield "levels", effect_of_levels(found.effects[0], difference("macro_f1"))
    model = surrogate(table, "equal cost", models=[QuadraticRidge()], repeats=1)
    law = error_law(table, bootstraps=10)
    yield "error law", error_law_curve(law, table)
    yield "profile", exponent_profile(law)
    yield "rise", mean_over_cost(monotone(table), table)
    shape = shape_law(simulate(LAW, architectures=80, seed=1), ["depth", "width"], bootstraps=10)
    yield "shape law", shape_law_curve(shape, "width", simulate(LAW, architectures=80, seed=1))
    needs = power({"": found}, (shape,), law, noise(table), learning(table, model, draws=2))
    yield "learning", learning_curve(needs)
    large = simulate(PLANTED, architectures=80, replicates=(0, 1), seed=1)
    explaining = surrogate(large, "equal cost", models=[QuadraticRidge()], repeats=1)
    explained = importance(large, explaining, bootstraps=40)
    yield "rankings", rankings(agreement(large, explained["all"]))
    yield "ties", ties(design(table))


@pytest.fixture(scope="module")
def drawn(small: TrialTable) -> dict[str, Drawn]:
    return dict(all_drawn(small))


def numbers(values: Iterable[object] | None) -> np.ndarray:
    """Return the finite numbers of a trace's coordinate; none for names."""
    return (
        pd.to_numeric(pd.Series([] if values is None else list(values)), errors="coerce")
        .dropna()
        .to_numpy()
    )


def test_every_point_is_in_the_table(drawn: dict[str, Drawn]) -> None:
    for name, (figure, data) in drawn.items():
        known = np.concatenate([numbers(data[column]) for column in data.select_dtypes("number")])
        for trace in figure.data:
            for axis in ("x", "y"):
                if name == "leak" and axis == "y":
                    continue  # spread by rank so that points do not hide each other
                values = numbers(getattr(trace, axis))
                distance = np.abs(values[:, None] - known[None, :]).min(axis=1, initial=np.inf)
                assert (distance <= 1e-9 * np.maximum(1, np.abs(values))).all(), (name, trace.name)


def test_every_axis_has_a_title_with_a_unit(drawn: dict[str, Drawn]) -> None:
    for name, (figure, _) in drawn.items():
        assert "(" in figure.layout.xaxis.title.text, name
        if not figure.layout.yaxis.ticktext:
            assert "(" in figure.layout.yaxis.title.text, name


def test_figures_are_the_same_every_time(small: TrialTable, drawn: dict[str, Drawn]) -> None:
    for name, again in all_drawn(small):
        assert again.figure.to_json() == drawn[name].figure.to_json()
        pd.testing.assert_frame_equal(again.data, drawn[name].data)


def test_front_marks_its_members_and_hover_names_the_network(
    small: TrialTable, drawn: dict[str, Drawn]
) -> None:
    figure, data = drawn["front"]
    designs = small.designs()
    members = set(designs["architecture_hash"].iloc[front(designs["flops"], designs["macro_f1"])])
    marked = data[data["on_observed_front"].fillna(False).astype(bool)]
    assert set(marked["architecture_hash"]) == members
    trace: go.Scatter = next(t for t in figure.data if t.name == "random networks")
    assert designs["architecture_hash"].iloc[0][:12] in trace.text[0]
    assert "depth" in trace.text[0]


def test_noise_of_another_metric_is_its_own(small: TrialTable) -> None:
    assert noise(small, "macro_auroc").sd != noise(small).sd


def test_numbers_are_written_as_people_read_them() -> None:
    assert [short(v) for v in (950, 1e3, 12_345, 999_900, 1e6, 2.5e9, 0.25)] == [
        "950", "1k", "12.3k", "1M", "1M", "2.5G", "0.25",
    ]  # fmt: skip
    assert score(0.12345) == "0.123"
    assert score(-0.5) == "−0.500"
    assert score(float("nan")) == "–"
    assert percent(0.031) == "3.1 %"
    assert percent(0.5) == "50 %"
    assert p_value(0.0004) == "p < 0.001"
    assert quantity("latency_ms").axis == "Latency (ms per ECG)"
    assert quantity("my_cost").axis == "my cost"
    points = difference("macro_f1")
    assert points.written(Interval(0.0062, 0.0031, 0.0093)) == "+0.6 ± 0.3 points"
    assert points.written(Interval(-0.0002, -0.0005, 0.0001)) == "−0.02 ± 0.03 points"
    assert points.written(Interval(0.12, 0.05, 0.19)) == "+12.0 ± 7.0 points"
    assert difference("loss").written(Interval(-3.2, -4.0, -2.4)) == "−3.20 ± 0.80"
    assert difference("loss", maximize=False).written(Interval(-3.2, -4.0, -2.4)) == "+3.20 ± 0.80"
