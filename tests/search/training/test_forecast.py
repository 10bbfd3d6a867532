"""The forecast of a trial's time, against a device with a known rate."""

import numpy as np
import pytest

from search.errors import StudyError
from search.training.forecast import DeviceRate, fit_rate

TRUE = DeviceRate(2e-4, 1.2e-8, 3e-12, 0)


def trials(count, seed):
    rng = np.random.default_rng(seed)
    activations = 10 ** rng.uniform(4, 6, count)
    flops = activations * 10 ** rng.uniform(1.5, 3, count)
    return activations, flops, rng.integers(1000, 100_000, count)


def test_a_known_rate_is_recovered_exactly():
    known = trials(20, 0)
    rate = fit_rate(*known, TRUE.seconds(*known))
    assert rate.trials == 20
    new = trials(50, 1)
    np.testing.assert_allclose(rate.seconds(*new), TRUE.seconds(*new), rtol=1e-6)


def test_noisy_trials_predict_others_within_the_noise():
    known, new = trials(30, 0), trials(200, 1)
    noise = np.random.default_rng(2).lognormal(sigma=0.15, size=30)
    rate = fit_rate(*known, TRUE.seconds(*known) * noise)
    error = np.abs(rate.seconds(*new) / TRUE.seconds(*new) - 1)
    assert np.median(error) < 0.1


def test_one_trial_is_enough_for_trials_like_it():
    known = trials(1, 0)
    rate = fit_rate(*known, TRUE.seconds(*known))
    assert rate.seconds(*known)[0] == pytest.approx(TRUE.seconds(*known)[0])
    assert rate.seconds(2 * known[0], 2 * known[1], known[2]) >= rate.seconds(*known)


def test_rates_are_never_negative_and_unfinished_trials_are_left_out():
    activations, flops, passes = trials(12, 3)
    seconds = np.random.default_rng(0).uniform(1, 2, 12)  # no law at all
    seconds[4] = np.nan
    rate = fit_rate(activations, flops, passes, seconds)
    assert rate.trials == 11
    assert min(rate.seconds_per_record, rate.seconds_per_activation, rate.seconds_per_flop) >= 0


def test_nothing_to_fit_is_an_error():
    with pytest.raises(StudyError, match="at least one finished trial"):
        fit_rate([], [], [], [])
