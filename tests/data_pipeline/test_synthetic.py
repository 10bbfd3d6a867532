"""Synthetic ECGs are read by wfdb and show what their labels say."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb
from scipy.signal import find_peaks

from data_pipeline import PrepareOptions, prepare_store
from data_pipeline.headers import read_header
from data_pipeline.heartbeats import LEAD_MATRIX, beat_times, draw_ecg, shape_beat
from data_pipeline.labels import CLASSES
from data_pipeline.quirks import QUIRKS
from data_pipeline.signals import read_leads
from data_pipeline.store import LEADS
from data_pipeline.synthetic import draw_labels, synthesize


def lead(name: str) -> int:
    return LEADS.index(name)


def draws(*labels: str, count: int = 20) -> list[np.ndarray]:
    return [draw_ecg(labels, 500, 10, np.random.default_rng(i)) for i in range(count)]


def beats_per_minute(ecg: np.ndarray) -> np.ndarray:
    energy = np.convolve(np.diff(ecg, axis=1).std(axis=0) ** 2, np.ones(30), "same")
    peaks, _ = find_peaks(energy, distance=150, height=0.4 * energy.max())
    return 60 * 500 / np.diff(peaks)


def test_records_are_valid_for_wfdb_and_stores_say_synthetic(tmp_path: Path) -> None:
    synthesize(tmp_path / "raw", records=20, seed=1)
    paths = sorted((tmp_path / "raw").rglob("*.hea"))
    assert len(paths) == 20
    for path in paths:
        record = wfdb.rdrecord(str(path.with_suffix("")))
        assert record.sig_name == list(LEADS)
        assert record.fs == 500
        header = read_header(path)
        np.testing.assert_allclose(read_leads(header).values, record.p_signal.T)
        assert header.synthetic
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert store.synthetic
    assert len(store) == 20


def test_a_record_depends_on_seed_and_number_alone(tmp_path: Path) -> None:
    synthesize(tmp_path / "a", records=5, seed=1)
    synthesize(tmp_path / "b", records=3, seed=1)
    synthesize(tmp_path / "c", records=3, seed=2)
    name = "training/synthetic/g1/SY000002.mat"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert (tmp_path / "a" / name).read_bytes() != (tmp_path / "c" / name).read_bytes()


def test_labels_cover_every_class_and_never_contradict() -> None:
    drawn = [set(draw_labels(np.random.default_rng(i))) for i in range(3000)]
    assert set().union(*drawn) == {c.abbreviation for c in CLASSES}
    rhythms = {"NSR", "SB", "STach", "AF", "AFL", "SA", "PR", "Brady"}
    for labels in drawn:
        assert len(labels & rhythms) == 1
        assert len(labels & {"CLBBB", "CRBBB", "IRBBB", "BBB"}) <= 1
        assert not (labels & {"AF", "AFL", "PR"} and labels & {"IAVB", "LPR"})


def test_limb_leads_obey_einthoven_and_goldberger() -> None:
    one, two, three, avr, avl, avf = LEAD_MATRIX[:6]
    np.testing.assert_allclose(one + three, two)
    np.testing.assert_allclose(avr + avl + avf, 0, atol=1e-12)
    np.testing.assert_allclose(avl, (one - three) / 2)


@pytest.mark.parametrize(
    ("rhythm", "low", "high"), [("NSR", 58, 100), ("SB", 36, 60), ("STach", 100, 155)]
)
def test_heart_rates_fit_the_rhythm(rhythm: str, low: float, high: float) -> None:
    for ecg in draws(rhythm):
        assert low < np.median(beats_per_minute(ecg)) < high


def test_fibrillation_is_irregular_and_has_no_p_wave() -> None:
    def spread(rhythm: str) -> float:
        rng = np.random.default_rng(0)
        gaps = [np.diff(beat_times((rhythm,), 10, rng)[0]) for _ in range(20)]
        return float(np.mean([gap.std() / gap.mean() for gap in gaps]))

    assert spread("AF") > 0.15 > spread("SA") > 0.05 > spread("NSR")
    assert "P" not in shape_beat(("AF",), np.random.default_rng(0))


def test_axis_follows_the_labels() -> None:
    def axis(*labels: str) -> float:
        sums = []
        for ecg in draws(*labels):
            limb = ecg[:6] - np.median(ecg[:6], axis=1, keepdims=True)
            strong = np.abs(limb).sum(axis=0).argsort()[-100:]
            areas = limb[:, strong].sum(axis=1)
            sums.append(np.degrees(np.arctan2(areas[lead("aVF")], areas[lead("I")])))
        return float(np.median(sums))

    assert -30 < axis("NSR") < 90
    assert -90 < axis("NSR", "LAD") < -30
    assert 90 < axis("NSR", "RAD") < 180


def test_right_bundle_branch_block_ends_upwards_in_v1_and_left_downwards() -> None:
    def late_v1(*labels: str) -> float:
        beat = shape_beat(labels, np.random.default_rng(0))
        return float(LEAD_MATRIX[lead("V1")] @ beat["R'"].vector)

    assert late_v1("NSR", "CRBBB") > 0.3
    assert late_v1("NSR", "CLBBB") < -0.5


def test_sizes_follow_the_labels() -> None:
    def height(*labels: str) -> float:
        return float(np.median([np.ptp(ecg[:6], axis=1).max() for ecg in draws(*labels)]))

    assert height("NSR", "LQRSV") < 0.6 * height("NSR")
    rng = np.random.default_rng
    normal, inverted, flat = (
        shape_beat(labels, rng(0))["T1"].vector
        for labels in (("NSR",), ("NSR", "TInv"), ("NSR", "TAb"))
    )
    assert np.dot(normal, inverted) < 0
    assert np.linalg.norm(flat) < 0.3 * np.linalg.norm(normal)
    assert shape_beat(("IAVB",), rng(0))["P"].at_s < -0.24


def test_every_quirk_ends_where_it_should(tmp_path: Path) -> None:
    synthesize(tmp_path / "raw", records=200, seed=4, quirks=0.8)
    told = pd.read_csv(tmp_path / "raw" / "quirks.csv", keep_default_na=False)
    assert set(told["quirk"]) == set(QUIRKS)
    assert 130 < len(told) < 190
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert len(store) + len(store.excluded) == 200
    expected = told[told["reason"] != ""].set_index("record")["reason"].to_dict()
    assert dict(zip(store.excluded["record"], store.excluded["reason"], strict=True)) == expected

    # What is harmless changes no signal: the same records come without quirks.
    synthesize(tmp_path / "plain", records=200, seed=4)
    plain = prepare_store(tmp_path / "plain", tmp_path / "plainstore", PrepareOptions())
    changing = {"two flat leads", "spikes", "half as long", "longer"}
    quirk = told.set_index("record")["quirk"]
    rows = plain.records.reset_index().set_index("record")["index"]
    for row, record in enumerate(store.records["record"]):
        if quirk.get(record) not in changing:
            np.testing.assert_array_equal(store.signals[row], plain.signals[rows[record]])
            np.testing.assert_array_equal(store.labels[row], plain.labels[rows[record]])
