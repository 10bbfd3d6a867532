"""PTB-XL's own layout, and folders with a CSV of labels."""

import csv
from pathlib import Path

import numpy as np
import pytest
import wfdb

from data_pipeline import DataError, PrepareOptions, prepare_store
from data_pipeline.headers import read_header
from data_pipeline.labels import ABBREVIATIONS, encode
from data_pipeline.layouts import scan_challenge
from data_pipeline.ptb_xl import challenge_codes, scan_ptb_xl
from data_pipeline.tables import load_classes
from tests.data_pipeline.files import AF, LEADS, SINUS, ecg_like, write_record


@pytest.fixture
def ptb_xl(tmp_path: Path) -> Path:
    raw = tmp_path / "ptb-xl"
    rows = [
        (1, "15709.0", "56.0", "1", "{'NORM': 100.0, 'LVOLT': 0.0}", "LAD", "3"),
        (2, "15709.0", "300.0", "0", "{'AFIB': 0.0}", "", "10"),
        (3, "7.0", "", "0", "{'IMI': 50.0}", "", "9"),
        (4, "8.0", "40", "0", "{'NORM': 50.0}", "", "9"),
    ]
    names = [*LEADS[:3], *(lead.upper() for lead in LEADS[3:])]
    for number, *_ in rows[:3]:
        for rate, suffix in ((100, "lr"), (500, "hr")):
            folder = raw / f"records{rate}" / "00000"
            folder.mkdir(parents=True, exist_ok=True)
            stored = ecg_like(np.random.default_rng(number), 10 * rate)
            wfdb.wrsamp(
                f"{number:05d}_{suffix}", fs=rate, units=["mV"] * 12, sig_name=names,
                d_signal=stored, fmt=["16"] * 12, adc_gain=[1000.0] * 12, baseline=[0] * 12,
                write_dir=str(folder),
            )  # fmt: skip
    with (raw / "ptbxl_database.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["ecg_id", "patient_id", "age", "sex", "scp_codes", "heart_axis", "strat_fold",
             "filename_lr", "filename_hr"]
        )  # fmt: skip
        for number, *rest in rows:
            name = f"00000/{number:05d}"
            writer.writerow([number, *rest, f"records100/{name}_lr", f"records500/{name}_hr"])
    return raw


def test_folders_behind_links_are_read_once_and_circles_end(tmp_path: Path) -> None:
    elsewhere, raw = tmp_path / "elsewhere" / "georgia" / "g1", tmp_path / "raw"
    write_record(elsewhere, "E00001")
    write_record(raw / "ptb" / "g1", "S0001")
    (raw / "here").symlink_to(elsewhere.parent)
    (raw / "again").symlink_to(elsewhere.parent)
    (raw / "ptb" / "circle").symlink_to(raw)

    found = scan_challenge(raw)

    assert [(c.record, c.source) for c in found] == [("E00001", "georgia"), ("S0001", "ptb")]


def test_ptb_xl_comes_with_its_labels_folds_and_patients(ptb_xl: Path, tmp_path: Path) -> None:
    options = PrepareOptions(layout="ptb-xl", split="official", keep_unlabelled=True)
    store = prepare_store(ptb_xl, tmp_path / "store", options)
    assert store.records["record"].tolist() == ["00001_hr", "00002_hr", "00003_hr"]
    assert store.records["split"].tolist() == ["train", "test", "validation"]
    assert store.records["patient"].tolist() == ["15709", "15709", "7"]
    assert store.records["sex"].tolist() == ["female", "male", "male"]
    assert store.records["age"].fillna(-1).tolist() == [56, -1, -1]
    assert store.records["sample_rate_hz"].unique().tolist() == [500]
    positive = [set(np.array(store.classes)[row > 0]) for row in store.labels]
    assert positive == [{"NSR", "LQRSV", "LAD"}, {"AF"}, set()]
    assert store.excluded["record"].tolist() == ["00004_hr"]
    assert store.excluded["reason"].tolist() == ["missing"]


def test_ptb_xl_takes_the_rate_that_is_there(ptb_xl: Path) -> None:
    for path in (ptb_xl / "records500").rglob("*.hea"):
        path.unlink()
    assert next(c.record for c in scan_ptb_xl(ptb_xl)) == "00001_lr"


def test_ptb_xl_with_its_superclasses(ptb_xl: Path, tmp_path: Path) -> None:
    options = PrepareOptions(layout="ptb-xl", labels="ptb-xl-superclasses")
    store = prepare_store(ptb_xl, tmp_path / "store", options)
    assert store.classes == ("NORM", "MI", "STTC", "CD", "HYP")
    assert store.labels.tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0]]


def test_ptb_xl_without_its_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ptbxl_database\.csv"):
        prepare_store(tmp_path, tmp_path / "store", PrepareOptions(layout="ptb-xl"))
    (tmp_path / "ptbxl_database.csv").write_text("ecg_id,age\n1,2\n")
    with pytest.raises(DataError, match="not as published"):
        prepare_store(tmp_path, tmp_path / "store", PrepareOptions(layout="ptb-xl"))


@pytest.mark.real_ecgs
def test_statements_are_translated_as_the_challenge_did(real: Path) -> None:
    with (real / "ptb-xl" / "ptbxl_database.csv").open(newline="") as stream:
        rows = {row["ecg_id"]: row for row in csv.DictReader(stream)}
    compared = 0
    for candidate in scan_ptb_xl(real / "ptb-xl"):
        number = int(candidate.record[:5])
        path = real / f"challenge-2021/training/ptb-xl/g1/HR{number:05d}.hea"
        if path.exists():
            assert candidate.codes is not None
            header = read_header(path)
            np.testing.assert_array_equal(encode(candidate.codes), encode(header.dx), path.name)
            assert rows[str(number)]["sex"] == {"male": "0", "female": "1"}[header.sex]
            compared += 1
    assert compared == 483


def test_statements_without_a_scored_code_give_none() -> None:
    assert challenge_codes(["PVC", "IMI", "nonsense"], "AXL") == ()
    names = np.array(ABBREVIATIONS)[encode(challenge_codes(["CLBBB", "SVARR"], "ALAD")) > 0]
    assert names.tolist() == ["CLBBB", "LAD", "PAC"]


def write_csv(path: Path, text: str) -> None:
    path.write_text(text.replace(" ", ""))


def test_a_folder_with_a_csv(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for name in ("ward1/p1/ecg1", "ward1/p2/ecg1", "ward2/b", "ward2/c", "ward2/d"):
        signals = ecg_like(np.random.default_rng(list(name.encode())), 5000)
        write_record(raw / Path(name).parent, Path(name).name, comments="", signals=signals)
    write_csv(
        raw / "records.csv",
        f"""Record,labels,patient,fold,source,age,sex
        ward1/p1/ecg1,{AF}|LAD,1,train,,61,F
        ward1/p2/ecg1.hea,NSR,2,val,north,,
        ./b.dat,{SINUS},3,test,,300,m
        c,,3,test,,,
        ward2/none,AF,9,train,,,
        ecg1,AF,9,train,,,
        b,AFL,3,test,,,
        d,AF,3,test,,,
        d,AF,4,test,,,
        """.replace("\n        ", "\n"),
    )
    options = PrepareOptions(layout="csv", split="official")
    store = prepare_store(raw, tmp_path / "store", options)
    assert store.records["record"].tolist() == ["ward1/p1/ecg1", "ward1/p2/ecg1", "b"]
    assert store.records["split"].tolist() == ["train", "validation", "test"]
    assert store.records["source"].tolist() == ["p1", "north", "ward2"]
    assert store.records["sex"].tolist() == ["female", "", "male"]
    positive = [set(np.array(store.classes)[row > 0]) for row in store.labels]
    assert positive == [{"AF", "LAD"}, {"NSR"}, {"NSR", "AFL"}]
    aside = sorted(zip(store.excluded["record"], store.excluded["reason"], strict=True))
    assert aside == [
        ("c", "no scored label"),
        ("d", "conflicting rows"),
        ("ecg1", "missing"),
        ("ward2/none", "missing"),
    ]


def test_a_label_table_of_ones_own(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for i in range(4):
        write_record(raw, f"A{i}", comments="")
    write_csv(raw / "list.csv", "record,labels\nA0,fib\nA1,X7\nA2,X8,\nA3,sinus\n")
    table = tmp_path / "classes.csv"
    write_csv(table, "abbreviation,name,codes\nfib,fibrillation,X1\nother,else,X7|X8\n")
    options = PrepareOptions(layout="csv", table=raw / "list.csv", labels=table)
    store = prepare_store(raw, tmp_path / "store", options)
    assert store.classes == ("fib", "other")
    assert store.labels.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert store.excluded["record"].tolist() == ["A3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abbreviation,codes\na,1\n", "columns abbreviation, name, codes"),
        ("abbreviation,name,codes\n", "at least one code"),
        ("abbreviation,name,codes\na,b,\n", "at least one code"),
        ("abbreviation,name,codes\na,b,1\na,c,2\n", "distinct abbreviation"),
        ("abbreviation,name,codes\na,b,1\nb,c,1|2\n", "1 is in several"),
    ],
)
def test_label_tables_that_make_no_sense_are_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message.replace("|", r"\|")):
        load_classes(tmp_path / "t.csv")


def test_a_missing_csv_is_told(tmp_path: Path) -> None:
    write_record(tmp_path / "raw", "A0")
    with pytest.raises(DataError, match=r"CSV of records at .*records\.csv"):
        prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions(layout="csv"))
    with pytest.raises(DataError, match="a fold for every record"):
        prepare_store(tmp_path / "raw", tmp_path / "store", PrepareOptions(split="official"))
