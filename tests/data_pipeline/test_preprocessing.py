import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from data_pipeline import PrepareOptions
from data_pipeline.filters import band_pass, resampled, zero_phase
from data_pipeline.preprocessing import Rejected, Window, prepare_windows
from data_pipeline.signals import Leads
from data_pipeline.windows import flat_leads, quantised_window, window_starts


def windows_of(values: np.ndarray, **options: object) -> list[Window]:
    leads = Leads.of_values(values, 500)
    return prepare_windows(leads, PrepareOptions(**options))  # type: ignore[arg-type]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(5, 1, (12, samples)) + np.cumsum(rng.normal(0, 0.1, (12, samples)), axis=1)


@pytest.mark.parametrize(
    ("rate", "target", "up", "down"),
    [
        (500, 100, 1, 5), (1000, 100, 1, 10), (257, 100, 100, 257), (500, 200, 2, 5),
        (100, 500, 5, 1), (360, 250, 25, 36), (128, 100, 25, 32), (500, 500, 1, 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("samples", [5000, 4999, 2503, 300])
def test_resampling_equals_scipy(rate: int, target: int, up: int, down: int, samples: int) -> None:
    values = noise(samples)
    expected = signal.resample_poly(values, up, down, axis=1, padtype="mean")
    np.testing.assert_allclose(resampled(values, rate, target), expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(50, 1100), st.integers(50, 500), st.integers(30, 1500))
def test_resampling_equals_scipy_at_any_rate(rate: int, target: int, samples: int) -> None:
    values = noise(samples)[:2]
    expected = signal.resample_poly(values, target, rate, axis=1, padtype="mean")
    np.testing.assert_allclose(resampled(values, rate, target), expected, atol=1e-11)


@pytest.mark.parametrize("rate", [257.123, 999.7, 333.333333, 50.0001, 1e5])
def test_odd_rates_equal_scipy_in_bounded_time(rate: float) -> None:
    rng = np.random.default_rng(0)
    values = np.cumsum(rng.normal(size=(12, 2000)), axis=1)
    started = time.process_time()
    ours = resampled(values, rate, 100)
    assert time.process_time() - started < 5
    up, down = 100 * 10**6, round(rate * 10**6)
    common = np.gcd(up, down)
    up, down = up // common, down // common
    assert ours.shape[1] == -(-2000 * up // down)
    if max(up, down) < 300_000:  # beyond it SciPy takes minutes
        expected = signal.resample_poly(values, up, down, axis=1, padtype="mean")
        np.testing.assert_allclose(ours, expected, atol=1e-8)


@pytest.mark.parametrize("samples", [9000, 3200, 1000, 300, 150, 51, 50, 2])
def test_band_pass_equals_scipy_and_shifts_nothing(samples: int) -> None:
    values = noise(samples)
    sections = signal.butter(3, [0.5, 40], "bandpass", fs=100, output="sos")
    expected = signal.sosfiltfilt(sections, values, axis=1, padlen=min(200, samples - 1))
    np.testing.assert_allclose(zero_phase(values, *band_pass(100, 0.5, 40)), expected, atol=1e-11)


def test_the_band_keeps_what_is_inside_and_drops_what_is_outside() -> None:
    time_s = np.arange(3000) / 100
    for hz, gain in ((0.05, 0), (0.5, 0.5), (1.5, 1), (10, 1), (30, 1), (40, 0.5), (49, 0)):
        tone = np.sin(2 * np.pi * hz * time_s + 1)[None]
        middle = slice(1000, 2000)
        size = zero_phase(tone, *band_pass(100, 0.5, 40))[0, middle].std() * np.sqrt(2)
        assert size == pytest.approx(gain, abs=0.03), hz


def test_windows_of_long_records_lie_in_the_middles_of_equal_parts() -> None:
    assert window_starts(1000, 1000, 1) == [0]
    assert window_starts(400, 1000, 1) == [0]
    assert window_starts(3000, 1000, 1) == [1000]
    assert window_starts(3500, 1000, 2) == [375, 2125]
    assert window_starts(3500, 1000, 0) == [83, 1250, 2416]
    for samples in range(900, 9000, 37):
        starts = window_starts(samples, 1000, 0)
        assert len(starts) == max(samples // 1000, 1)
        assert all(b - a >= 1000 for a, b in pairwise(starts))
        assert samples < 1000 or (starts[0] >= 0 and starts[-1] + 1000 <= samples)


def test_standardised_leads_have_mean_0_and_sd_1() -> None:
    window = windows_of(noise(5000))[0]
    values = window.signal * 0.001
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(axis=1), 1, atol=1e-4)
    assert (window.start_seconds, window.valid_samples, window.clipped_samples) == (0, 1000, 0)


def test_per_record_scaling_keeps_the_ratios_of_leads() -> None:
    leads = noise(5000) * np.linspace(0.1, 1, 12)[:, None]
    plain = windows_of(leads, standardise="none")[0].signal
    scaled = windows_of(leads, standardise="record")[0].signal
    assert np.sqrt(np.mean((scaled * 0.001) ** 2)) == pytest.approx(1, abs=1e-3)
    ratio = plain.std(axis=1) / scaled.std(axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)


def test_amplitude_is_in_microvolts_where_nothing_is_standardised() -> None:
    time_s = np.arange(5000) / 500
    leads = np.tile(2 * np.sin(2 * np.pi * 5 * time_s), (12, 1))
    values = windows_of(leads, standardise="none")[0].signal
    assert np.abs(values[:, 200:800]).max() == pytest.approx(2000, rel=0.01)


def test_scale_and_offset_of_the_input_do_not_matter() -> None:
    leads = noise(5000)
    first = windows_of(leads)[0].signal
    other = windows_of(leads * 4.88 + 3)[0].signal
    assert np.abs(first.astype(int) - other).max() <= 1


def test_short_records_are_padded_and_marked() -> None:
    window = windows_of(noise(2500))[0]
    assert window.valid_samples == 500
    assert not window.signal[:, 500:].any()
    assert window.signal[:, 499].any()
    with pytest.raises(Rejected, match="2 s of 3 s") as caught:
        windows_of(noise(1000))
    assert caught.value.reason == "too short"


def test_flat_leads_are_zeroed_and_marked_or_dropped() -> None:
    leads = noise(5000)
    leads[[2, 7]] = [[0.0], [3.5]]
    window = windows_of(leads)[0]
    assert window.flat_leads == ("III", "V2")
    assert not window.signal[[2, 7]].any()
    assert window.signal[[0, 1, 3]].any(axis=1).all()
    with pytest.raises(Rejected, match="III, V2"):
        windows_of(leads, flat="drop")
    with pytest.raises(Rejected, match="all leads"):
        windows_of(np.ones((12, 5000)))


def test_a_lead_that_is_flat_but_for_the_filters_echo_counts_as_flat() -> None:
    leads = noise(50_000)
    leads[4] = 0
    leads[4, :50] = 1.0
    window = windows_of(leads, windows=0)[-1]
    assert window.flat_leads == ("aVL",)


def test_missing_samples_drop_the_record_or_zero_the_lead() -> None:
    leads = noise(5000)
    leads[5, 10] = np.nan
    with pytest.raises(Rejected, match="aVF") as caught:
        windows_of(leads)
    assert caught.value.reason == "NaN"
    window = windows_of(leads, nan="zero")[0]
    assert (window.nan_leads, window.flat_leads) == (("aVF",), ())
    assert not window.signal[5].any()
    assert np.isnan(leads[5, 10])


def test_spikes_are_clipped_and_counted() -> None:
    values = np.zeros((12, 10))
    values[0, :3] = [40, -40, 32.767]
    cut = quantised_window(values, values, "none", 0.001)
    assert cut.clipped_samples == 2
    assert cut.units[0, :3].tolist() == [32767, -32767, 32767]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9))
def test_a_lead_is_flat_when_its_samples_are_equal_or_its_sd_is_next_to_nothing(
    seed: int, samples: int
) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 2, (12, samples)).astype(float)
    spread = rng.choice([0.0, 1e-6, 0.5, 1.0], 12)
    constant = np.array([len(set(lead)) == 1 for lead in raw.tolist()])
    strongest = max(spread[~constant], default=0.0)
    np.testing.assert_array_equal(flat_leads(raw, spread), constant | (spread <= 1e-4 * strongest))
