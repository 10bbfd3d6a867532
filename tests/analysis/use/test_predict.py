"""Raw files, of any form, get what their prepared signals get."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import models
from analysis.use.predict import draw_prediction, findings_table, predict_files, prediction_table
from data_pipeline import DataError, PrepareOptions, Store, prepare_store
from data_pipeline.ecg_files import list_ecgs, read_ecg
from data_pipeline.filters import resampled
from data_pipeline.store import LEADS
from models.export import load_predictor, save_onnx
from tests.data_pipeline.files import ecg_like, write_record
from tests.data_pipeline.traces import traces

SVG = "{http://www.w3.org/2000/svg}"


def test_files_get_the_bits_that_their_prepared_signals_get(network, store, raw):
    predictor = load_predictor(network)
    expected = predictor.of_prepared(np.asarray(store.signals), store.step)
    files = list_ecgs([raw])
    table = prediction_table(predict_files(predictor, files, windows=1))
    wide = table[table["problem"] == ""].pivot(
        index="record", columns="class", values="probability"
    )
    assert set(wide.index) == set(store.records["record"])
    again = wide.loc[store.records["record"], list(store.classes)].to_numpy()
    assert again.tolist() == expected.tolist()
    left_out = {path.stem for path in files} - set(store.records["record"])
    assert set(table.loc[table["problem"] != "", "record"]) == left_out


def test_a_record_can_be_named_in_several_ways(tmp_path: Path):
    header = write_record(tmp_path / "a", "R1")
    write_record(tmp_path / "a" / "b", "R2")
    for name in ("R1", "R1.hea", "R1.mat"):
        assert list_ecgs([tmp_path / "a" / name]) == [header]
    assert [p.stem for p in list_ecgs([tmp_path / "a", header, tmp_path / "x.csv"])] == [
        *("R1", "R2", "x")
    ]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="WFDB records"):
        list_ecgs([tmp_path / "empty"])


def csv_of(path: Path, signals: np.ndarray, **columns: np.ndarray) -> Path:
    frame = pd.DataFrame(signals / 1000, columns=[name.lower() for name in LEADS])
    frame.assign(**columns).sample(frac=1, axis=1, random_state=0).to_csv(path, index=False)
    return path


def test_a_csv_of_a_signal_is_the_same_ecg(network, tmp_path: Path):
    signals = ecg_like(np.random.default_rng(4), 5000)
    header = write_record(tmp_path, "R1", signals=signals)
    times = np.round(np.arange(5000) / 500, 4)
    files = [
        header,
        csv_of(tmp_path / "s.csv", signals, time_s=times),
        csv_of(tmp_path / "ms.csv", signals, Time_ms=times * 1000, resp=times),
    ]
    said = [one.prediction for one in predict_files(load_predictor(network), files)]
    for one in said:
        np.testing.assert_allclose(one.probabilities, said[0].probabilities, atol=1e-6)
    plain = csv_of(tmp_path / "plain.csv", signals)
    assert read_ecg(plain, csv_rate_hz=500).rate_hz == 500
    for name, wrong, reason in (
        ("none", {}, "give --rate"),
        ("uneven", {"t": times**2}, "even steps"),
        ("words", {"v1": np.array(["?"] * 5000)}, "no numbers in v1"),
    ):
        with pytest.raises(DataError, match=reason):
            read_ecg(csv_of(tmp_path / f"{name}.csv", signals, **wrong))
    with pytest.raises(DataError, match="cannot be read"):
        read_ecg(tmp_path / "missing.csv")


def test_unreadable_files_are_told_and_the_others_predicted(network, tmp_path: Path):
    write_record(tmp_path, "good")
    write_record(tmp_path, "short", signals=ecg_like(np.random.default_rng(0), 700))
    write_record(tmp_path, "odd", leads=[*LEADS[:11], "VX"])
    (tmp_path / "garbage.hea").write_bytes(bytes(range(200)))
    said = list(predict_files(load_predictor(network), list_ecgs([tmp_path, tmp_path / "gone"])))
    problems = {one.record: one.problem for one in said}
    assert not problems.pop("good")
    assert {k: v.split()[0] for k, v in problems.items()} == {
        "garbage": "is", "gone": "cannot", "odd": "lacks", "short": "expected"
    }  # fmt: skip
    table = prediction_table(said)
    assert (table["record"] == "good").sum() == 26
    assert table["decision"].isna().sum() == 4
    shown = findings_table(said).set_index("record")["findings"]
    assert shown["odd"].startswith("not read: lacks V6")


def test_the_drawing_has_the_findings_and_the_middle_window(network, tmp_path: Path):
    predictor = load_predictor(network)
    signals = ecg_like(np.random.default_rng(1), 16_000)
    signals[:, 8] = 7
    header = write_record(tmp_path, "R<1", signals=signals)
    drawn = []
    (one,) = predict_files(predictor, [header], seen=lambda *seen: drawn.append(seen))
    assert one.prediction.windows == 3
    svg = draw_prediction(predictor, *drawn[0], "by me")
    tree = ElementTree.fromstring(svg)
    words = " ".join(text.text for text in tree.iter(f"{SVG}text"))
    for name, probability in one.prediction.findings().items():
        assert f"{name} {probability:.2f}" in words
    assert "R<1" in words
    assert "by me · the middle of 3 windows" in words
    assert words.count("blank: flat") == 1
    ends = [x[-1] - x[0] for x, _ in traces(svg)]
    assert ends == pytest.approx([999 * 25 / 100] * 12, abs=0.05)


@pytest.mark.real_ecgs
def test_all_exports_agree_on_real_ecgs_of_all_sources(network, real: Path, tmp_path: Path):
    """Package, torch alone (the same code, tested by its bits), ONNX, and ONNX of millivolts."""
    runtime = pytest.importorskip("onnxruntime")
    folders = sorted((real / "challenge-2021" / "training").iterdir())
    assert len(folders) == 7
    files = [path for folder in folders for path in sorted(folder.rglob("*.hea"))[:8]]
    loaded = models.load(network)
    save_onnx(tmp_path / "net.onnx", loaded.architecture, loaded, loaded.card)
    save_onnx(tmp_path / "raw.onnx", loaded.architecture, loaded, loaded.card, raw=True)
    session = runtime.InferenceSession(tmp_path / "raw.onnx", providers=["CPUExecutionProvider"])
    seen: list = []
    said = predict_files(loaded.predictor(), files, windows=1, seen=lambda *one: seen.append(one))
    assert sum(one.prediction is not None for one in said) >= 50
    onnx = predict_files(load_predictor(tmp_path / "net.onnx"), [s[0] for s in seen], windows=1)
    how = loaded.card.preprocessing
    for (_, ecg, one), other in zip(seen, onnx, strict=True):
        np.testing.assert_allclose(other.prediction.probabilities, one.probabilities, atol=1e-5)
        at_rate = resampled(ecg.signal_mv, ecg.rate_hz, how.sample_rate_hz)
        _, found = session.run(None, {"signals_mv": at_rate[None]})
        np.testing.assert_allclose(found[0], one.probabilities, atol=1e-5)


@pytest.mark.real_ecgs
def test_real_files_get_the_bits_of_their_store(network, real: Path, tmp_path: Path):
    raw = real / "challenge-2021" / "training" / "ptb"
    store: Store = prepare_store(raw, tmp_path / "store", PrepareOptions(keep_unlabelled=True))
    predictor = load_predictor(network)
    expected = predictor.of_prepared(np.asarray(store.signals), store.step)
    said = predict_files(predictor, list_ecgs([raw]), windows=1)
    found = {one.record: one.prediction for one in said if one.prediction is not None}
    for record, probabilities in zip(store.records["record"], expected, strict=True):
        assert found[record].probabilities.tolist() == probabilities.tolist()
