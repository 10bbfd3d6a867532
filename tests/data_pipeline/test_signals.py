from pathlib import Path

import numpy as np
import pytest
import wfdb

from data_pipeline import DataError
from data_pipeline.headers import read_header
from data_pipeline.signal_files import MissingFile
from data_pipeline.signals import Checksum, is_plain_int16, read_leads
from tests.data_pipeline.files import LEADS, ecg_like, write_record


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


@pytest.mark.parametrize("gain", ["1000/mV", "200.5(-300)/mV", "4880(17)/uV"])
def test_values_equal_wfdb(tmp_path: Path, gain: str) -> None:
    header = read_header(write_record(tmp_path, "A0001", gain=gain))
    assert is_plain_int16(header)
    expected = wfdb.rdrecord(str(tmp_path / "A0001")).p_signal
    millivolts = expected.T * (0.001 if gain.endswith("uV") else 1)
    np.testing.assert_allclose(read_leads(header).values, millivolts, rtol=1e-12)


def test_missing_samples_are_nan(tmp_path: Path, rng: np.random.Generator) -> None:
    signals = ecg_like(rng, 5000)
    signals[100:200, 4] = -32768
    leads = read_leads(read_header(write_record(tmp_path, "A0001", signals=signals)))
    assert np.isnan(leads.values).sum() == 100
    assert np.isnan(leads.values[4, 100:200]).all()


def test_leads_come_in_standard_order(tmp_path: Path, rng: np.random.Generator) -> None:
    order = rng.permutation(12)
    signals = ecg_like(rng, 5000)
    path = write_record(
        tmp_path, "A0001", signals=signals[:, order], leads=[LEADS[i] for i in order]
    )
    np.testing.assert_allclose(read_leads(read_header(path)).values, signals.T / 1000)


@pytest.mark.parametrize(
    ("name", "rate", "wrong"),
    [("E00001", 500, 4880), ("S0001", 1000, 2_000_000), ("I0001", 257, 200), ("HR00001", 500, 200)],
)
def test_gains_known_to_be_wrong_are_put_right(
    tmp_path: Path, name: str, rate: int, wrong: int
) -> None:
    path = write_record(tmp_path, name, gain=f"{wrong}/mV", rate=rate)
    header = read_header(path)
    right = read_leads(header, fix_gains=True)
    assert right.wrong_gain == wrong
    np.testing.assert_allclose(right.values, read_leads(header).values * wrong / 1000)
    text = path.read_text()
    for almost in (
        text.replace(f"{wrong}/mV", f"{wrong + 1}/mV"),
        text.replace(f"{wrong}/mV", f"{wrong}/mV", 1).replace(f"{wrong}/mV", "500/mV", 1),
        text.replace(f" {rate} ", " 250 ", 1),
        text.replace(f"{wrong}/mV", f"{wrong}(1)/mV"),
    ):
        path.write_text(almost)
        header = read_header(path)
        kept = read_leads(header, fix_gains=True)
        assert kept.wrong_gain is None
        np.testing.assert_array_equal(kept.values, read_leads(header).values)


@pytest.mark.parametrize(("name", "gain"), [("A0001", 4880), ("E00001", 200), ("P0001", 200)])
def test_a_true_gain_is_never_replaced(tmp_path: Path, name: str, gain: int) -> None:
    header = read_header(write_record(tmp_path, name, gain=f"{gain}/mV"))
    leads = read_leads(header, fix_gains=True)
    assert leads.wrong_gain is None
    expected = wfdb.rdrecord(str(tmp_path / name)).p_signal.T
    np.testing.assert_allclose(leads.values, expected, rtol=1e-12)


@pytest.mark.parametrize("form", ["16", "32", "24", "80", "212"])
def test_other_formats_are_read_by_wfdb(
    tmp_path: Path, rng: np.random.Generator, form: str
) -> None:
    top = {"80": 100, "212": 2000}.get(form, 5000)
    stored = rng.integers(-top, top, (1000, 12))
    wfdb.wrsamp(
        "r1", fs=500, units=["mV"] * 12, sig_name=LEADS, d_signal=stored,
        fmt=[form] * 12, adc_gain=[200.0] * 12, baseline=[0] * 12, write_dir=str(tmp_path),
        comments=["Dx: 426783006"],
    )  # fmt: skip
    path = tmp_path / "r1.hea"
    # A date that wfdb refuses must not matter to either reader.
    path.write_text(path.read_text().replace("500 1000", "500 1000 05-May-2020 14:50:55"))
    header = read_header(path)
    assert is_plain_int16(header) == (form == "16")
    np.testing.assert_allclose(read_leads(header).values, stored.T / 200, atol=1e-12)


def test_records_in_several_files_are_read(tmp_path: Path, rng: np.random.Generator) -> None:
    stored = rng.integers(-5000, 5000, (1000, 12))
    names = ["a.dat"] * 6 + ["b.dat"] * 6
    wfdb.wrsamp(
        "r1", fs=500, units=["mV"] * 12, sig_name=LEADS, d_signal=stored, fmt=["16"] * 12,
        adc_gain=[200.0] * 12, baseline=[0] * 12, write_dir=str(tmp_path),
    )  # fmt: skip
    (tmp_path / "a.dat").write_bytes(stored[:, :6].astype("<i2").tobytes())
    (tmp_path / "b.dat").write_bytes(stored[:, 6:].astype("<i2").tobytes())
    lines = (tmp_path / "r1.hea").read_text().splitlines()
    lines[1:] = [line.replace("r1.dat", n) for line, n in zip(lines[1:], names, strict=True)]
    (tmp_path / "r1.hea").write_text("\n".join(lines) + "\n")
    np.testing.assert_allclose(read_leads(read_header(tmp_path / "r1.hea")).values, stored.T / 200)


def test_files_that_do_not_fit_their_header(tmp_path: Path) -> None:
    header = read_header(write_record(tmp_path, "A0001"))
    data = (tmp_path / "A0001.mat").read_bytes()
    (tmp_path / "A0001.mat").write_bytes(data[:-1000])
    with pytest.raises(DataError, match="truncated: 4958 of 5000 samples"):
        read_leads(header)
    (tmp_path / "A0001.mat").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(Checksum, match="V6"):
        read_leads(header)
    (tmp_path / "A0001.mat").unlink()
    with pytest.raises(MissingFile, match=r"A0001\.mat"):
        read_leads(header)
