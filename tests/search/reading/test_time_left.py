"""The forecast of a study's end, against schedules that can be worked out by hand."""

import numpy as np
import pytest

from search.reading.time_left import Busy, Work, forecast

RATE = 1e-3  # seconds per record and activation, the same for all in these tests


def work(activations, seconds=None, device="a"):
    acts = np.asarray(activations, dtype=float)
    took = RATE * acts if seconds is None else np.asarray(seconds, dtype=float)
    return Work([device] * len(acts), acts, np.zeros(len(acts)), np.ones(len(acts)), took)


def both(one: Work, other: Work) -> Work:
    columns = ("activations", "flops", "passes", "seconds")
    joined = (np.concatenate([getattr(one, c), getattr(other, c)]) for c in columns)
    return Work([*one.device, *other.device], *joined)


DONE = work(np.geomspace(1e3, 1e6, 30))
NOTHING = work([])


def test_one_worker_does_the_rest_one_after_another():
    left = forecast(DONE, work([2000, 3000]), work([4000]), [Busy("a", 0, 1.0, 0.0, 1.0)])
    assert left.seconds == pytest.approx(3 + 2 + 3)
    assert left.worker_seconds == pytest.approx(8)
    assert (left.workers, left.fitted_trials) == (1, 30)
    assert left.typical_error == pytest.approx(0, abs=1e-6)


def test_the_next_trial_goes_to_whoever_is_free_first():
    busy = [Busy("a", 0, 0.0, 0.0, 1.0), Busy("a", 1, 0.0, 0.0, 1.0)]
    short_first = forecast(DONE, work([1000, 1000, 6000]), work([1000, 2000]), busy)
    # free at 1 and 2: first takes 1–2; then either at 2 takes 2–3; the long one runs from 2 to 8
    assert short_first.seconds == pytest.approx(8)
    long_first = forecast(DONE, work([6000, 1000, 1000]), work([1000, 2000]), busy)
    assert long_first.seconds == pytest.approx(7)
    assert long_first.worker_seconds == pytest.approx(short_first.worker_seconds) == 11


def test_every_device_has_its_own_rate():
    slow = work(DONE.activations, 10 * DONE.seconds, device="b")
    finished = both(DONE, slow)
    busy = [Busy("a", 0, 0.0, 1.0, 1.0)]
    assert forecast(finished, work([1000]), work([500]), busy).seconds == pytest.approx(1)
    busy = [Busy("b", 0, 0.0, 1.0, 1.0)]
    left = forecast(finished, work([1000]), work([500]), busy)
    assert left.seconds == pytest.approx(10)
    assert left.fitted_trials == 30


def test_device_without_finished_trials_gets_the_rate_of_all():
    left = forecast(DONE, work([1000]), work([500]), [Busy("new", 0, 0.0, 1.0, 1.0)])
    assert left.seconds == pytest.approx(1)
    assert left.fitted_trials == 30


@pytest.mark.parametrize(
    ("seconds", "done", "at_most", "expected"),
    [
        (1.0, 0.0, 0.5, 3.0),  # the clock decides
        (9.0, 0.0, 0.5, 2.0),  # slower than thought: not beyond the epoch it is in
        (0.1, 0.75, 1.0, 1.0),  # resumed: epochs of an earlier worker count
        (99.0, 0.75, 1.0, 0.0),
    ],
)
def test_running_trial_by_its_epochs_and_its_clock(seconds, done, at_most, expected):
    left = forecast(DONE, NOTHING, work([4000]), [Busy("a", 0, seconds, done, at_most)])
    assert left.seconds == pytest.approx(expected)


def test_trial_of_a_vanished_worker_comes_last():
    left = forecast(DONE, work([1000]), work([2000, 5000]), [Busy("a", 0, 0.0, 0.0, 1.0)])
    assert left.seconds == pytest.approx(2 + 1 + 5)
    assert left.workers == 1


def test_without_workers_only_the_work_is_known():
    left = forecast(DONE, work([1000, 2000]), NOTHING, [])
    assert left.seconds is None
    assert left.worker_seconds == pytest.approx(3)
    assert forecast(NOTHING, work([1000]), NOTHING, []) is None


def test_error_is_that_of_trials_it_was_not_fitted_to():
    rng = np.random.default_rng(0)
    noise = rng.lognormal(sigma=0.3, size=150)
    activations = rng.uniform(1e3, 1e6, 150)
    noisy = work(activations, RATE * activations * noise)
    left = forecast(noisy, work([1000]), NOTHING, [])
    assert 0.1 < left.typical_error < 0.3  # the median of |noise − 1| is 0.2
    few = forecast(work(activations[:4]), work([1000]), NOTHING, [])
    assert few.typical_error is None


def test_beats_mean_trials_per_hour_on_a_study_whose_long_trials_are_left():
    """Half done, the cheap half: trials per hour would be a hundred times off."""
    done, left = work(np.geomspace(1e3, 1e4, 50)), work(np.geomspace(1e6, 1e7, 50))
    exact = RATE * left.activations.sum()
    by_rate = 50 * done.seconds.mean()
    told = forecast(done, left, NOTHING, []).worker_seconds
    assert told == pytest.approx(exact)
    assert by_rate < exact / 100
