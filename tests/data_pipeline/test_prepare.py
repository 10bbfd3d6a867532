"""From folders of records to a store: nothing lost, nothing half-made."""

import json
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import DataError, PrepareOptions, open_store, prepare_store
from tests.data_pipeline.files import AF, LEADS, SINUS, UNSCORED, ecg_like, write_record


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    raw = tmp_path / "raw"
    for i in range(6):
        write_record(raw / "training" / "georgia" / "g1", f"E{i:05d}", dx=AF if i % 2 else SINUS)
    return raw


def reasons(raw: Path, tmp_path: Path, **options: object) -> dict[str, tuple[str, str]]:
    store = prepare_store(raw, tmp_path / "store", PrepareOptions(**options))  # type: ignore[arg-type]
    assert len(store) + len(store.excluded) >= len(list(raw.rglob("*.hea")))
    rows = store.excluded[["record", "reason", "detail"]].itertuples(index=False)
    return {record: (reason, detail) for record, reason, detail in rows}


def test_a_folder_becomes_a_store(raw: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    store = prepare_store(
        raw, tmp_path / "store", PrepareOptions(), progress=lambda *done: seen.append(done)
    )
    assert seen[-1] == (6, 6)
    assert store.signals.shape == (6, 12, 1000)
    assert store.signals.dtype == np.int16
    assert store.records["record"].tolist() == [f"E{i:05d}" for i in range(6)]
    assert store.records["source"].unique().tolist() == ["georgia"]
    assert store.records["path"][0] == "training/georgia/g1/E00000.hea"
    assert store.records["age"].tolist() == [50.0] * 6
    assert store.label_counts()["AF"] == store.label_counts()["NSR"] == 3
    assert len(store.excluded) == 0
    assert not store.synthetic
    store.verify()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "store"]


def test_any_nesting_gives_the_same_signals(raw: Path, tmp_path: Path) -> None:
    nested = prepare_store(raw, tmp_path / "nested", PrepareOptions())
    flat = prepare_store(raw / "training/georgia/g1", tmp_path / "flat", PrepareOptions())
    assert nested.hash == flat.hash


def test_every_broken_record_is_excluded_with_its_reason(raw: Path, tmp_path: Path) -> None:
    folder = raw / "training" / "odd"
    rng = np.random.default_rng(5)
    write_record(folder, "unscored", dx=UNSCORED)
    write_record(folder, "unlabelled", dx="")
    write_record(folder, "short", signals=ecg_like(rng, 1000))
    write_record(folder, "flat", signals=np.full((5000, 12), 7, np.int16))
    write_record(folder, "leads", leads=[*LEADS[:11], "VX"])
    write_record(folder, "sum")
    (folder / "sum.mat").write_bytes((folder / "sum.mat").read_bytes()[:-2] + b"\x01\x02")
    holes = ecg_like(rng, 5000)
    holes[40, 3] = -32768
    write_record(folder, "holes", signals=holes)
    write_record(folder, "cut")
    (folder / "cut.mat").write_bytes((folder / "cut.mat").read_bytes()[:5000])
    write_record(folder, "empty")
    (folder / "empty.mat").write_bytes(b"")
    write_record(folder, "alone")
    (folder / "alone.mat").unlink()
    (folder / "garbage.hea").write_bytes(bytes(range(256)))
    (folder / "noheader.mat").write_bytes(b"")
    (folder / "RECORDS").write_text("sum\nabsent\nsub/folder/\n")
    twin = ecg_like(rng, 5000)
    write_record(folder, "twin1", signals=twin)
    write_record(folder, "twin2", signals=twin, dx=AF)
    write_record(folder / "z", "twin1")
    write_record(folder, "fine")

    found = reasons(raw, tmp_path)
    assert {record: reason for record, (reason, _) in found.items()} == {
        "unscored": "no scored label",
        "unlabelled": "no scored label",
        "short": "too short",
        "flat": "flat",
        "leads": "missing leads",
        "sum": "checksum",
        "holes": "NaN",
        "cut": "unreadable",
        "empty": "unreadable",
        "alone": "no signal file",
        "garbage": "bad header",
        "noheader": "no header",
        "absent": "missing",
        "twin1": "duplicate",
        "twin2": "duplicate",
    }
    assert found["unscored"][1] == f"only codes of no class: {UNSCORED}"
    assert found["leads"][1] == "lacks V6 (has also 'VX')"
    assert found["twin2"][1] == "same signals as twin1, not same labels"
    assert found["twin1"][1] == "same name as training/odd/twin1.hea"
    records = open_store(tmp_path / "store").records["record"].tolist()
    assert sorted(records) == [*(f"E{i:05d}" for i in range(6)), "fine", "twin1"]


def test_policies_keep_what_would_be_dropped(raw: Path, tmp_path: Path) -> None:
    folder = raw / "odd"
    rng = np.random.default_rng(6)
    holes, flat = ecg_like(rng, 5000), ecg_like(rng, 5000)
    holes[40, 3] = -32768
    flat[:, 8] = 0
    write_record(folder, "holes", signals=holes)
    write_record(folder, "flat", signals=flat)
    write_record(folder, "unlabelled", dx="")
    assert reasons(raw, tmp_path, nan="zero", keep_unlabelled=True) == {}
    records = open_store(tmp_path / "store").records.set_index("record")
    assert records.loc["holes", "nan_leads"] == "aVR"
    assert records.loc["flat", "flat_leads"] == "V3"
    labels = open_store(tmp_path / "store").labels
    assert not labels[records.index.get_loc("unlabelled")].any()
    assert set(reasons(raw, tmp_path / "b", flat="drop")) == {"holes", "flat", "unlabelled"}


def test_windows_of_a_record_stay_in_one_split(tmp_path: Path) -> None:
    for i in range(12):
        signals = ecg_like(np.random.default_rng(i), 5000 * (1 + i % 4))
        write_record(tmp_path / "raw", f"A{i}", signals=signals)
    store = prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions(windows=0))
    assert len(store) == 30
    assert store.records.groupby("record")["split"].nunique().max() == 1
    last = store.records.groupby("record")["window"].max()
    assert all(last[f"A{i}"] == i % 4 for i in range(12))


def test_patients_from_a_csv_stay_together(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    lines = ["record,patient"]
    for i in range(60):
        write_record(raw, f"A{i:03d}", dx=AF if i % 3 else SINUS)
        lines.append(f"A{i:03d},{i // 4}" if i < 40 else f"A{i:03d},")
    patients = tmp_path / "patients.csv"
    patients.write_text("\n".join(lines) + "\n")
    store = prepare_store(raw, tmp_path / "store", PrepareOptions(patients=patients))
    known = store.records[store.records["patient"] != ""]
    assert len(known) == 40
    assert known.groupby("patient")["split"].nunique().max() == 1
    assert prepare_store(raw, tmp_path / "other", PrepareOptions()).hash != store.hash


def test_the_hash_covers_signals_labels_split_and_options(raw: Path, tmp_path: Path) -> None:
    def hash_of(name: str, **options: object) -> str:
        return prepare_store(raw, tmp_path / name, PrepareOptions(**options)).hash  # type: ignore[arg-type]

    first = hash_of("first")
    assert hash_of("again") == first
    different = {
        hash_of("rate", sample_rate_hz=200),
        hash_of("band", band_hz=(1, 40)),
        hash_of("seconds", seconds=5),
        hash_of("scale", standardise="record"),
        hash_of("seed", split_seed=1),
    }
    write_record(raw / "training/georgia/g1", "E00000", dx=AF)
    different.add(hash_of("label"))
    write_record(raw / "training/georgia/g1", "E00000", seed=3)
    different.add(hash_of("signal"))
    assert len(different | {first}) == 8


def test_what_is_there_already_is_kept(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    store = prepare_store(raw, out, PrepareOptions())
    made = (out / "signals.npy").stat().st_mtime_ns
    assert prepare_store(raw, out, PrepareOptions()).hash == store.hash
    assert (out / "signals.npy").stat().st_mtime_ns == made
    with pytest.raises(DataError, match="other records or other options"):
        prepare_store(raw, out, PrepareOptions(seconds=5))
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter1.tex").write_text("...")
    with pytest.raises(DataError, match="something else"):
        prepare_store(raw, other, PrepareOptions())
    assert (other / "chapter1.tex").exists()


def test_places_without_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is nothing"):
        prepare_store(tmp_path / "wrong", tmp_path / "store", PrepareOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"\.hea files"):
        prepare_store(tmp_path / "empty", tmp_path / "store", PrepareOptions())
    write_record(tmp_path / "useless", "A1", dx=UNSCORED)
    with pytest.raises(DataError, match=r"all 1 are excluded: no scored label \(1\)"):
        prepare_store(tmp_path / "useless", tmp_path / "store", PrepareOptions())
    options = PrepareOptions(patients=tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        prepare_store(tmp_path / "useless", tmp_path / "store", options)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["excluded.csv"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: (path / "manifest.json").unlink(), "found no manifest"),
        (lambda path: (path / "manifest.json").write_text("{"), "damaged"),
        (lambda path: (path / "manifest.json").write_text('{"name": "x"}'), "another program"),
        (lambda path: (path / "labels.npy").write_bytes(b""), r"labels\.npy was changed"),
        (lambda path: (path / "records.csv").unlink(), "damaged"),
        (lambda path: (path / "signals.npy").write_bytes(b"\x93NUMPY"), "damaged"),
        (lambda path: shorten(path / "signals.npy"), "damaged"),
        (lambda path: edit_manifest(path), "does not fit its hash"),
    ],
)
def test_a_damaged_store_is_refused(raw: Path, tmp_path: Path, damage, message: str) -> None:  # type: ignore[no-untyped-def]
    prepare_store(raw, tmp_path / "store", PrepareOptions())
    damage(tmp_path / "store")
    with pytest.raises(DataError, match=message):
        open_store(tmp_path / "store")


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def edit_manifest(path: Path) -> None:
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["content"]["step"] = 1
    (path / "manifest.json").write_text(json.dumps(manifest))


def test_changed_signals_are_found_by_verifying(raw: Path, tmp_path: Path) -> None:
    store = prepare_store(raw, tmp_path / "store", PrepareOptions())
    path = tmp_path / "store" / "signals.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="not those that were prepared"):
        open_store(store.path).verify()


def test_stores_are_missing_or_empty_with_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is nothing"):
        open_store(tmp_path / "wrong")
    with pytest.raises(DataError, match=r"no manifest\.json"):
        open_store(tmp_path)
