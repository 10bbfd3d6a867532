"""Splines, robust regression, Holm and folds against independent calculations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from analysis.stats.regression import fit_spline, folds, holm, least_squares, natural_spline


def test_natural_spline_spans_what_scipy_interpolates() -> None:
    rng = np.random.default_rng(0)
    knots, values = np.array([0.0, 1.0, 2.5, 4.0, 7.0]), rng.normal(size=5)
    x = np.linspace(0, 7, 50)
    reference = CubicSpline(knots, values, bc_type="natural")
    weights = np.linalg.solve(natural_spline(knots, knots), values)
    assert natural_spline(x, knots) @ weights == pytest.approx(reference(x))
    beyond = natural_spline(np.array([8.0, 9.0, 10.0]), knots) @ weights
    assert np.diff(beyond, 2) == pytest.approx([0], abs=1e-8)
    assert beyond[0] == pytest.approx(reference(7.0) + reference(7.0, 1), rel=1e-8)


def test_spline_of_a_constant_is_its_mean() -> None:
    assert fit_spline(np.ones(20), np.arange(20.0))(np.ones(2)) == pytest.approx([9.5, 9.5])


def test_weights_count_rows() -> None:
    rng = np.random.default_rng(1)
    x, y, times = rng.normal(size=60), rng.normal(size=60), rng.integers(1, 4, 60)
    repeated = np.repeat(np.arange(60), times)
    weighted = fit_spline(x, y, weights=times.astype(float))
    knots = weighted.knots
    direct = np.linalg.lstsq(natural_spline(x[repeated], knots), y[repeated], rcond=None)[0]
    assert weighted.weights == pytest.approx(direct)


def test_hc3_intervals_cover_under_unequal_variances() -> None:
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(400):
        z = rng.random(80) < 0.3
        y = 0.5 * z + rng.normal(0, np.where(z, 2.0, 0.5))
        fit = least_squares(np.column_stack([np.ones(80), z]).astype(float), y)
        found = fit.contrast(np.array([0.0, 1.0]))
        hits += found.low <= 0.5 <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_hc3_matches_the_leave_one_out_form() -> None:
    rng = np.random.default_rng(3)
    x = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    y = rng.normal(size=30)
    fit = least_squares(x, y)
    inverse = np.linalg.inv(x.T @ x)
    left_out = []
    for i in range(30):
        keep = np.arange(30) != i
        weights = np.linalg.lstsq(x[keep], y[keep], rcond=None)[0]
        left_out.append(y[i] - x[i] @ weights)
    middle = (x * (np.array(left_out) ** 2)[:, None]).T @ x
    assert fit.covariance == pytest.approx(inverse @ middle @ inverse)


def test_holm_is_the_textbook_example() -> None:
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, np.nan, 0.02]))[[0, 2]] == pytest.approx([0.5, 0.04])


def test_folds_span_the_whole_range_of_cost() -> None:
    cost = np.random.default_rng(4).normal(size=103)
    fold = folds(cost, 5, np.random.default_rng(0))
    assert np.ptp(np.bincount(fold)) <= 1
    thirds = np.digitize(cost, np.quantile(cost, [1 / 3, 2 / 3]))
    for k in range(5):
        assert np.ptp(np.bincount(thirds[fold == k], minlength=3)) <= 3
