"""Every real record is accounted for and equal to an independent path: wfdb and SciPy."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import wfdb
from scipy import signal

from data_pipeline import PrepareOptions, Store, open_store, prepare_store
from data_pipeline.headers import read_header
from data_pipeline.labels import CLASSES
from data_pipeline.signals import read_leads
from data_pipeline.store import LEADS

pytestmark = pytest.mark.real_ecgs


@pytest.fixture(scope="module")
def store(real: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("real") / "store"
    options = PrepareOptions(keep_unlabelled=True, patients=real / "patients.csv")
    return prepare_store(real / "challenge-2021", out, options)


def by_wfdb(path: Path, folder: Path) -> tuple[np.ndarray, float, list[str], dict[str, str]]:
    """Read with wfdb; headers it refuses for their date get a first line without one."""
    try:
        record = wfdb.rdrecord(str(path.with_suffix("")))
    except Exception:
        lines = path.read_text().splitlines()
        words = lines[0].split()[:4]
        words[0] = path.stem
        (folder / path.name).write_text("\n".join([" ".join(words), *lines[1:]]) + "\n")
        (folder / f"{path.stem}.mat").write_bytes(path.with_suffix(".mat").read_bytes())
        record = wfdb.rdrecord(str(folder / path.stem))
    comments = dict(line.split(":", 1) for line in record.comments)
    names = [name.upper() for name in record.sig_name]
    return record.p_signal, record.fs, names, comments


def prepared_by_scipy(values: np.ndarray, rate: float) -> np.ndarray:
    if rate != 100:
        values = signal.resample_poly(values, 1, int(rate) // 100, axis=1, padtype="mean")
    sections = signal.butter(3, [0.5, 40], "bandpass", fs=100, output="sos")
    values = signal.sosfiltfilt(sections, values, axis=1, padtype="odd", padlen=200)
    if values.shape[1] > 1000:
        start = (values.shape[1] - 1000) // 2
        values = values[:, start : start + 1000]
    centred = values - values.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


def test_every_record_is_in_the_store_or_excluded(store: Store, real: Path) -> None:
    names = sorted(path.stem for path in (real / "challenge-2021").rglob("*.hea"))
    assert len(names) == 731
    assert sorted([*store.records["record"], *store.excluded["record"]]) == names
    assert store.excluded["reason"].ne("").all()
    assert not store.synthetic
    store.verify()


def check_signals(store: Store, raw: Path, scratch: Path) -> None:
    """Hold every row of a store against wfdb and SciPy, within a quantisation step."""
    for row, record in store.records.iterrows():
        path = raw / record["path"]
        values, rate, names, _ = by_wfdb(path, scratch)
        order = [names.index(lead) for lead in map(str.upper, LEADS)]
        ours = read_leads(read_header(path))
        np.testing.assert_allclose(ours.values, values.T[order], rtol=1e-12, atol=0)
        expected = prepared_by_scipy(values.T[order], rate)
        valid = expected.shape[1]
        assert valid == record["valid_samples"]
        stored = store.signals[row, :, :valid] * store.step
        clipped = np.clip(expected, -32.767, 32.767)
        assert np.abs(stored - clipped).max() <= store.step * 0.51, record["record"]
        assert not store.signals[row, :, valid:].any()


def check_labels(store: Store, raw: Path, scratch: Path) -> None:
    """Hold the labels against the codes in the headers."""
    codes = {code: i for i, c in enumerate(CLASSES) for code in c.codes}
    for row, record in store.records.iterrows():
        comments = by_wfdb(raw / record["path"], scratch)[3]
        labels = np.zeros(26)
        for code in comments["Dx"].split(","):
            if code.strip() in codes:
                labels[codes[code.strip()]] = 1
        np.testing.assert_array_equal(store.labels[row], labels)


def test_every_stored_signal_equals_wfdb_and_scipy(
    store: Store, real: Path, tmp_path: Path
) -> None:
    check_signals(store, real / "challenge-2021", tmp_path)
    check_labels(store, real / "challenge-2021", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "layout", "rows"),
    [("challenge-2021-z100", "challenge", 1589), ("ptb-xl", "ptb-xl", 500)],
)
def test_every_signal_of_the_reduced_copies_equals_wfdb_and_scipy(
    real: Path, tmp_path: Path, folder: str, layout: Literal["challenge", "ptb-xl"], rows: int
) -> None:
    options = PrepareOptions(layout=layout, keep_unlabelled=True)
    store = prepare_store(real / folder, tmp_path / "store", options)
    assert len(store) + len(store.excluded) == rows
    check_signals(store, real / folder, tmp_path)
    if layout == "challenge":
        check_labels(store, real / folder, tmp_path)


def test_patients_stay_together_and_labels_are_spread(store: Store) -> None:
    known = store.records[store.records["patient"] != ""]
    assert known.groupby("patient")["split"].nunique().max() == 1
    assert known["patient"].duplicated().sum() > 10
    shares = store.records["split"].value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.6, abs=0.02)
    assert shares["test"] == pytest.approx(0.2, abs=0.02)
    counts = {s: store.labels[store.rows(s)].sum(axis=0) for s in ("train", "validation", "test")}
    total = store.labels.sum(axis=0)
    frequent = total >= 10
    for split, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
        error = np.abs(counts[split] - share * total)[frequent]
        assert (error <= np.maximum(3, 0.08 * total[frequent])).all()


@pytest.mark.slow
def test_the_reduced_copies_prepare_too(real: Path, tmp_path: Path) -> None:
    both = prepare_store(real, tmp_path / "store", PrepareOptions(), jobs=2)
    headers = sum(1 for _ in real.rglob("*.hea"))
    assert len(both) + len(both.excluded) == headers == 3020
    assert open_store(both.path).hash == both.hash
    # Two recordings lie in both folders, at full rate and reduced.
    twice = both.excluded[both.excluded["reason"] == "duplicate"]
    assert sorted(twice["record"]) == ["HR06005", "HR19293"]
