"""Inputs on which files were once spoiled in silence, each with the right value."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import DataError, PrepareOptions, Store, prepare_store
from data_pipeline.headers import read_header
from data_pipeline.layouts import Candidate
from data_pipeline.lead_names import parse_lead
from data_pipeline.parts import Part
from data_pipeline.processes import run_parts
from data_pipeline.signals import read_leads
from data_pipeline.units import millivolts
from tests.data_pipeline.files import AF, LEADS, SINUS, ecg_like, write_record
from tests.data_pipeline.killed import prepare_and_be_killed
from tests.data_pipeline.wfdb_files import Signal, checksum, noise, twelve, write

RAW = {"band_hz": None, "standardise": "none", "sample_rate_hz": 500}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def raw_mode(raw: Path, out: Path, **more: object) -> Store:
    return prepare_store(raw, out, PrepareOptions(**{**RAW, **more}))  # type: ignore[arg-type]


def stored_mv(store: Store, record: str) -> np.ndarray:
    row = int(np.flatnonzero(store.records["record"] == record)[0])
    valid = int(store.records["valid_samples"][row])
    return store.signals[row, :, :valid] * store.step


def reason(store: Store, record: str) -> tuple[str, str]:
    row = store.excluded.set_index("record").loc[record]
    return row["reason"], row["detail"]


def test_units_of_every_line_count(tmp_path: Path, rng: np.random.Generator) -> None:
    leads = twelve(rng)
    gains = ["1/uV", "1/µV", "1000/mV", "0.001/nV", "1000000/V", "1.0(0)/UV"] * 2
    write(
        tmp_path / "raw", "mixed", [replace(s, gain=g) for s, g in zip(leads, gains, strict=True)]
    )
    write(tmp_path / "raw", "odd", [*leads[:11], replace(leads[11], gain="1000/mmHg")])
    write(tmp_path / "raw", "nu", [replace(s, gain="1000/NU") for s in twelve(rng)])
    write(tmp_path / "raw", "zero", [replace(s, gain="0/mV") for s in twelve(rng)])
    write(tmp_path / "raw", "typo", [replace(s, gain="1000mV") for s in twelve(rng)])
    store = raw_mode(tmp_path / "raw", tmp_path / "store")
    values = np.stack([s.values for s in leads]) / 1000
    np.testing.assert_allclose(stored_mv(store, "mixed"), values, atol=0.0006)
    assert store.records["record"].tolist() == ["mixed"]
    assert {r: reason(store, r)[0] for r in ("odd", "nu", "zero", "typo")} == {
        "odd": "units",
        "nu": "units",
        "zero": "units",
        "typo": "bad header",
    }
    assert "'mmHg' is no voltage" in reason(store, "odd")[1]
    by_lead = prepare_store(tmp_path / "raw", tmp_path / "by-lead", PrepareOptions())
    # Nothing depends on the scale where every lead is standardised.
    assert sorted(by_lead.records["record"]) == ["mixed", "nu", "zero"]
    assert by_lead.summary["scales"] == {"NU": 1, "uncalibrated": 1}


def test_a_latin_1_header_keeps_its_unit(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write(tmp_path / "raw", "a", [replace(s, gain="1/µV") for s in twelve(rng)])
    path.write_bytes(path.read_text("utf-8").encode("latin-1"))
    assert read_leads(read_header(path)).gain.tolist() == [1000.0] * 12
    assert [millivolts(u) for u in ("\u00b5V", "\u03bcV", "V", "nv")] == [1e-3, 1e-3, 1e3, 1e-6]


def test_millivolts_that_do_not_fit_are_excluded(tmp_path: Path, rng: np.random.Generator) -> None:
    leads = twelve(rng)
    write(tmp_path / "raw", "fine", leads)
    write(tmp_path / "raw", "large", [replace(s, gain="1000/V") for s in twelve(rng)])
    write(tmp_path / "raw", "small", [replace(s, gain="20000000000/V") for s in twelve(rng)])
    store = raw_mode(tmp_path / "raw", tmp_path / "store")
    assert reason(store, "large")[0] == reason(store, "small")[0] == "amplitude"


def test_corrected_gains_are_counted(tmp_path: Path) -> None:
    for name in ("E00001", "E00002", "X00003"):
        write_record(tmp_path / "raw", name, gain="4880/mV")
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert store.summary["gains_corrected"] == {"4880/mV": 2}


def test_samples_of_a_frame_are_read_at_full_rate(tmp_path: Path, rng: np.random.Generator) -> None:
    leads = twelve(rng, 5000, per_frame=8)
    resp = Signal(noise(rng, 625), "Resp", gain="1000(0)/NU")
    write(tmp_path / "raw", "framed", [*leads, resp], rate=62.5)
    several = [replace(leads[0], values=leads[0].values[::2], per_frame=4), *leads[1:]]
    write(tmp_path / "raw", "several", several, rate=62.5)
    store = raw_mode(tmp_path / "raw", tmp_path / "store")
    assert store.records["sample_rate_hz"].tolist() == [500.0]
    values = np.stack([s.values for s in leads]) / 1000
    np.testing.assert_allclose(stored_mv(store, "framed"), values, atol=1e-9)
    assert reason(store, "several") == (
        "unreadable",
        "has leads of several sampling rates: 250 Hz, 500 Hz",
    )


@pytest.mark.parametrize("form", ["8", "16", "61", "160", "24", "32", "80", "212", "310", "311"])
def test_checksums_and_lengths_of_every_format(
    tmp_path: Path, rng: np.random.Generator, form: str
) -> None:
    leads = twelve(rng, 2000, format=form)
    write(tmp_path / "raw", "fine", leads)
    write(tmp_path / "raw", "sum", [*leads[:11], replace(leads[11], checksum=4711)])
    write(tmp_path / "raw", "cut", twelve(rng, 2000, format=form))
    whole = (tmp_path / "raw" / "cut.dat").read_bytes()
    (tmp_path / "raw" / "cut.dat").write_bytes(whole[: len(whole) // 2])
    store = raw_mode(tmp_path / "raw", tmp_path / "store")
    np.testing.assert_allclose(
        stored_mv(store, "fine"), np.stack([s.values for s in leads]) / 1000, atol=1e-9
    )
    assert reason(store, "sum") == ("checksum", "the checksum of V6 does not fit")
    assert reason(store, "cut")[0] == "unreadable"
    assert "truncated: 1000 of 2000 samples" in reason(store, "cut")[1]


def test_missing_samples_of_every_format(tmp_path: Path, rng: np.random.Generator) -> None:
    marks = {"212": -2048, "310": -512, "311": -512, "80": -128, "24": -(2**23), "61": -(2**15)}
    for form, mark in marks.items():
        leads = twelve(rng, 2000, format=form)
        leads[2].values[100:110] = mark
        write(tmp_path / form, "a", leads)
        assert np.isnan(read_leads(read_header(tmp_path / form / "a.hea")).values[2, 100:110]).all()


def test_inverted_leads_are_turned_round(tmp_path: Path, rng: np.random.Generator) -> None:
    leads = twelve(rng)
    turned = [
        replace(s, values=-s.values, name=f"-{s.name}") if s.name == "aVR" else s for s in leads
    ]
    write(tmp_path / "raw", "inverted", turned)
    write(
        tmp_path / "raw", "other", [replace(s, name=s.name.replace("V3", "V3-V4")) for s in leads]
    )
    write(tmp_path / "raw", "twice", [replace(s, name=s.name.replace("V3", "V4")) for s in leads])
    store = raw_mode(tmp_path / "raw", tmp_path / "store")
    values = np.stack([s.values for s in leads]) / 1000
    np.testing.assert_allclose(stored_mv(store, "inverted"), values, atol=1e-9)
    assert store.summary["inverted"] == 1
    assert reason(store, "other") == ("missing leads", "lacks V3 (has also 'V3-V4')")
    assert reason(store, "twice") == ("missing leads", "has two signals for V4")


def test_names_of_leads() -> None:
    for name in ("aVR", "AVR", "avr", "Lead aVR", "ECG_aVR", "MDC_ECG_LEAD_AVR", " aVR "):
        assert parse_lead(name) == ("aVR", 1), name
    for name in ("-aVR", "\u2212aVR", "Lead -aVR", "inv aVR", "minus AVR"):
        assert parse_lead(name) == ("aVR", -1), name
    for name in ("MLII", "V3R", "V1'", "V1-V2", "I+II", "II/2", "aVR*", "RESP", "", "--I", "V7"):
        assert parse_lead(name) is None, name


@pytest.mark.parametrize("layout", ["challenge", "csv"])
def test_segments_are_parts_of_their_record(
    tmp_path: Path, rng: np.random.Generator, layout: str
) -> None:
    raw, values = tmp_path / "raw", {}
    for number in range(4):
        parts = [twelve(rng, 2500), twelve(rng, 2500)]
        for letter, leads in zip("ab", parts, strict=True):
            write(raw, f"R{number}{letter}", leads, comments="")
        head = f"R{number}/2 12 500 5000\nR{number}a 2500\nR{number}b 2500\n#Dx: {SINUS}\n"
        (raw / f"R{number}.hea").write_text(head)
        values[number] = np.concatenate([[s.values for s in leads] for leads in parts], axis=1)
    (raw / "records.csv").write_text("record,labels\n" + "".join(f"R{i},NSR\n" for i in range(4)))
    store = raw_mode(raw, tmp_path / "store", keep_unlabelled=True, layout=layout)
    assert store.records["record"].tolist() == ["R0", "R1", "R2", "R3"]
    assert len(store.excluded) == 0
    assert store.summary["files"] == 4
    for number in range(4):
        np.testing.assert_allclose(stored_mv(store, f"R{number}"), values[number] / 1000, atol=1e-9)
    # A stray file of the recording's name must not bring its segments back.
    (raw / "R1.mat").write_bytes(b"stray")
    stray = raw_mode(raw, tmp_path / "stray", keep_unlabelled=True, layout=layout)
    assert stray.records["record"].tolist() == ["R0", "R1", "R2", "R3"]
    assert len(stray.excluded) == 0
    (raw / "R2b.dat").unlink()
    again = raw_mode(raw, tmp_path / "again", layout=layout)
    assert reason(again, "R2")[0] == "no signal file"


def test_a_rate_that_carries_no_ecg_is_excluded(tmp_path: Path) -> None:
    write_record(tmp_path / "raw", "fine")
    path = write_record(tmp_path / "raw", "slow")
    path.write_text(path.read_text().replace("12 500 5000", "12 0.001 5000"))
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert reason(store, "slow") == ("sampling rate", "0.001 Hz, but an ECG needs 50 Hz")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("boom"), ("unexpected error", "RuntimeError: boom")),
        (MemoryError(), ("no memory", "there was not enough memory for it")),
        (OSError(5, "Input/output error"), ("unexpected error", "OSError: [Errno 5] Input/output")),
    ],
)
def test_whatever_one_record_does_the_others_are_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, expected: tuple[str, str]
) -> None:
    for name in ("A1", "A2", "A3"):
        write_record(tmp_path / "raw", name)

    def reader(header, **options):  # type: ignore[no-untyped-def]
        if header.record == "A2":
            raise error
        return read_leads(header, **options)

    monkeypatch.setattr("data_pipeline.parts.read_recording", reader)
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert store.records["record"].tolist() == ["A1", "A3"]
    assert reason(store, "A2")[0] == expected[0]
    assert reason(store, "A2")[1].startswith(expected[1])


@pytest.mark.parametrize(
    "head",
    [f"A2/{'9' * 5000} 12 500 5000", "A2/3 12 500 5000", "A2 ¹² 500 5000",
     "A2 12 1e400 5000", "A2 12 -5 5000", "A2 12 500 " + "9" * 30, "A2 999999999999 500 5000"],
)  # fmt: skip
@pytest.mark.parametrize("alone", [True, False])
def test_nonsense_in_a_header_costs_that_record(tmp_path: Path, head: str, alone: bool) -> None:
    raw = tmp_path / "raw"
    write_record(raw, "A1")
    path = write_record(raw, "A2")
    path.write_text("\n".join([head, *path.read_text().splitlines()[1:]]))
    if alone:
        path.with_suffix(".mat").unlink()
    store = prepare_store(raw, tmp_path / "store", PrepareOptions())
    assert store.records["record"].tolist() == ["A1"]
    assert reason(store, "A2")[0] in {"bad header", "unreadable", "no signal file", "no memory"}


@pytest.mark.parametrize("gain", ["1e-300/mV", "1e300/mV", "0.0000000001/mV", "1e999/mV", "nan/mV"])
def test_gains_of_no_ecg_are_excluded(tmp_path: Path, gain: str) -> None:
    write_record(tmp_path / "raw", "A1")
    write_record(tmp_path / "raw", "A2", gain=gain)
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert reason(store, "A2")[0] in {"units", "bad header"}


def test_a_record_too_large_for_memory_is_excluded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_pipeline.memory.free_bytes", lambda: 1e9)
    write_record(tmp_path / "raw", "fine")
    path = write_record(tmp_path / "raw", "huge")
    path.write_text(path.read_text().replace("500 5000", "500 500000000"))
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert reason(store, "huge") == ("no memory", "needs 214.6 GiB, 0.9 are free")


@pytest.mark.slow
def test_a_killed_process_costs_at_most_the_record_that_killed_it(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    candidates = [Candidate(f"A{i:03d}", f"A{i:03d}.hea", "s") for i in range(250)]
    parts = [Part(n, tuple(candidates[100 * n : 100 * n + 100])) for n in range(3)]
    told: list[str] = []
    work = partial(prepare_and_be_killed, raw=tmp_path, folder=folder)
    assert sorted(run_parts(parts, work, folder, 2, told.append)) == [50, 100, 100]
    assert "a process was killed" in told[0]
    results = [json.loads(part.rows_file(folder).read_text()) for part in parts]
    killed = [
        r["record"] for result in results for r in result["rejected"] if r["reason"] == "killed"
    ]
    assert killed == ["A150"]
    assert sum(len(result["rejected"]) for result in results) == 250


def test_when_nothing_is_left_the_first_are_named(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "store"
    path = write_record(raw / "00000", "A1")
    path.write_text(path.read_text().replace("A1", "ge_median/00000/A1"))
    with pytest.raises(
        DataError, match=r"the header names a folder, but A1\.mat lies beside"
    ) as told:
        prepare_store(raw, out, PrepareOptions())
    assert f"All are listed in {out / 'excluded.csv'}" in str(told.value)
    assert "A1,00000,no signal file" in (out / "excluded.csv").read_text()
    assert [p.name for p in out.iterdir()] == ["excluded.csv"]
    write_record(raw / "00000", "A2")
    store = prepare_store(raw, out, PrepareOptions())
    assert store.records["record"].tolist() == ["A2"]
    assert store.excluded["record"].tolist() == ["A1"]


def test_unknown_labels_are_named_when_nothing_is_left(tmp_path: Path) -> None:
    for number, dx in enumerate(("NORM", "MI,NORM", "NORM")):
        write_record(tmp_path / "raw", f"A{number}", dx=dx)
    with pytest.raises(
        DataError, match=r"found NORM, MI; expected SNOMED CT codes such as 1648890"
    ):
        prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())


def test_files_of_other_names_and_cases(tmp_path: Path, rng: np.random.Generator) -> None:
    raw = tmp_path / "raw"
    leads = twelve(rng)
    write(raw, "split", [replace(s, file=f"split_{1 + i // 6}.dat") for i, s in enumerate(leads)])
    write(raw, "UPPER", twelve(rng))
    (raw / "UPPER.hea").rename(raw / "UPPER.HEA")
    (raw / "UPPER.dat").rename(raw / "UPPER.DAT")
    (raw / "alone.dat").write_bytes(b"1234")
    store = raw_mode(raw, tmp_path / "store")
    assert sorted(store.records["record"]) == ["UPPER", "split"]
    assert store.excluded[["record", "reason"]].to_numpy().tolist() == [["alone", "no header"]]
    np.testing.assert_allclose(
        stored_mv(store, "split"), np.stack([s.values for s in leads]) / 1000, atol=1e-9
    )
    changed = store.manifest["input"]
    write(
        raw,
        "split",
        [replace(s, file=f"split_{1 + i // 6}.dat") for i, s in enumerate(twelve(rng))],
    )
    assert raw_mode(raw, tmp_path / "again").manifest["input"] != changed


def test_skewed_signals_are_aligned(tmp_path: Path, rng: np.random.Generator) -> None:
    leads = twelve(rng)
    late = [replace(s, skew=7) if s.name == "V2" else s for s in leads]
    write(tmp_path / "raw", "skewed", late)
    store = raw_mode(tmp_path / "raw", tmp_path / "store")
    values = stored_mv(store, "skewed")
    assert values.shape == (12, 1993)
    np.testing.assert_allclose(values[7], leads[7].values[7:] / 1000, atol=1e-9)
    np.testing.assert_allclose(values[0], leads[0].values[:1993] / 1000, atol=1e-9)


def test_flac_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    soundfile = pytest.importorskip("soundfile")
    leads = twelve(rng)
    raw = tmp_path / "raw"
    write(raw, "f", [replace(s, file=f"f{1 + i // 6}.flac") for i, s in enumerate(leads)])
    data = np.stack([s.values for s in leads], axis=1).astype(np.int16)
    for number in (0, 1):  # a FLAC file has up to eight channels
        part = data[:, 6 * number : 6 * number + 6]
        soundfile.write(raw / f"f{1 + number}.flac", part, 8000, subtype="PCM_16", format="FLAC")
    (raw / "f.hea").write_text((raw / "f.hea").read_text().replace(".flac 16", ".flac 516"))
    write_record(raw, "A1", dx=AF)  # so that a store is left when f is not taken
    store = raw_mode(raw, tmp_path / "store")
    np.testing.assert_allclose(stored_mv(store, "f"), data.T / 1000, atol=1e-9)
    assert len(store.excluded) == 0
    header = (raw / "f.hea").read_text()
    wrong = header.replace(f" {checksum(leads[9].values)} ", " 4711 ")
    assert wrong != header
    (raw / "f.hea").write_text(wrong)
    store = raw_mode(raw, tmp_path / "sum")
    assert reason(store, "f") == ("checksum", "the checksum of V4 does not fit")
    (raw / "f.hea").write_text(header)
    (raw / "A1.hea").unlink()
    (raw / "f1.flac").write_bytes((raw / "f1.flac").read_bytes()[:3000])
    with pytest.raises(DataError, match="unreadable"):
        raw_mode(raw, tmp_path / "again")


def test_a_store_made_before_still_opens(tmp_path: Path) -> None:
    for name in ("A1", "A2"):
        write_record(tmp_path / "raw", name, dx=AF if name == "A1" else "1")
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    (store.path / "excluded.csv").rename(store.path / "quarantine.csv")
    manifest = json.loads((store.path / "manifest.json").read_text())
    manifest["files"]["quarantine.csv"] = manifest["files"].pop("excluded.csv")
    del manifest["summary"]
    (store.path / "manifest.json").write_text(json.dumps(manifest))
    old = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions())
    assert old.excluded["record"].tolist() == ["A2"]
    assert old.excluded_file == "quarantine.csv"
    assert old.class_names["AF"] == "atrial fibrillation"


def test_an_identical_store_is_reused_and_said_so(tmp_path: Path) -> None:
    signals = ecg_like(np.random.default_rng(0), 5000)
    write_record(tmp_path / "raw", "A1", signals=signals, leads=LEADS)
    told: list[str] = []
    for _ in range(2):
        prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions(), tell=told.append)
    assert len(told) == 1
    assert "made from the same files with the same options" in told[0]
