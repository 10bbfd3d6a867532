"""What travels with a network prepares signals as the store was prepared: the same int16 values."""

import json
from typing import Any

import numpy as np
import pytest

from data_pipeline.options import STEP, PrepareOptions
from data_pipeline.preprocessing import METHOD, Rejected, prepare_windows
from data_pipeline.signals import Leads
from data_pipeline.store import LEADS
from models import ModelError
from models.preprocessing import Preprocessing

CHOICES: tuple[dict[str, Any], ...] = (
    {},
    {"standardise": "record", "windows": 0},
    {"standardise": "none", "band_hz": None, "seconds": 4.0},
    {"sample_rate_hz": 250, "seconds": 3.0, "windows": 2, "band_hz": (1.0, 100.0)},
)


def preprocessing(**choices: Any) -> tuple[PrepareOptions, Preprocessing]:
    options = PrepareOptions(**choices)
    made = Preprocessing.from_options(options.to_dict(), LEADS, STEP, METHOD)
    return options, Preprocessing.from_dict(json.loads(json.dumps(made.to_dict())))


def walk(rng: np.random.Generator, samples: int) -> np.ndarray:
    values = np.cumsum(rng.normal(0, 0.02, (12, samples)), axis=1)
    return np.round(values + rng.normal(0, 0.08, values.shape), 3)


@pytest.mark.parametrize("choices", CHOICES)
@pytest.mark.parametrize(
    ("rate", "seconds"), [(500, 10), (1000, 31.3), (257, 12), (100, 3.5), (499.9998, 11)]
)
def test_the_same_int16_values_as_the_preparation(choices, rate, seconds):
    options, own = preprocessing(**choices)
    rng = np.random.default_rng(int(rate * seconds))
    for flat in ((), (3,), (0, 7, 11)):
        values = walk(rng, int(rate * seconds))
        values[list(flat)] = 0.25
        expected = [w.signal for w in prepare_windows(Leads.of_values(values, rate), options)]
        np.testing.assert_array_equal(own.windows_of(values, rate), np.stack(expected))


def test_gaps_flat_and_short_signals_are_treated_alike():
    values = walk(np.random.default_rng(0), 5000)
    gap = values.copy()
    gap[4, 100:200] = np.nan
    cases: list[tuple[dict[str, Any], np.ndarray]] = [
        ({"nan": "drop"}, gap),
        ({"flat": "drop"}, values * (np.arange(12) != 2)[:, None]),
        ({}, values[:, :1000]),
        ({}, values * 0),
        ({"nan": "zero"}, gap * np.nan),
        ({"standardise": "none"}, values * 1000),
        ({"standardise": "none"}, values / 10_000),
    ]
    for choices, given in cases:
        options, own = preprocessing(**choices)
        with pytest.raises(Rejected):
            prepare_windows(Leads.of_values(given, 500), options)
        with pytest.raises(ModelError, match=r"missing|constant|at least|millivolts"):
            own.windows_of(given, 500)
    options, own = preprocessing(nan="zero")
    (expected,) = prepare_windows(Leads.of_values(gap, 500), options)
    np.testing.assert_array_equal(own.windows_of(gap, 500)[0], expected.signal)


def test_leads_are_taken_by_name():
    _, own = preprocessing()
    values = walk(np.random.default_rng(3), 5000)
    names = [*(name.lower() for name in LEADS[::-1]), "resp"]
    turned = own.windows_of(np.vstack([values[::-1], values[:1]]), 500, names)
    np.testing.assert_array_equal(turned, own.windows_of(values, 500))
    with pytest.raises(ModelError, match="without V1"):
        own.windows_of(values, 500, [name if name != "V1" else "VX" for name in LEADS])
    with pytest.raises(ModelError, match=r"got the shape \(5000, 12\)"):
        own.windows_of(values.T, 500)
    with pytest.raises(ModelError, match="50 Hz or more"):
        own.windows_of(values, 0)
