"""Tables of patients, labels and folds: every name that can be matched is, and the rest is told."""

from pathlib import Path

import numpy as np
import pytest

from data_pipeline import DataError, PrepareOptions, Store, prepare_store
from data_pipeline.csv_files import read_table
from data_pipeline.joins import Names, parse_patient
from data_pipeline.summary import sentences
from tests.data_pipeline.files import AF, SINUS, write_record

CLASSES = "abbreviation,name,codes\nAF,atrial fibrillation,AFIB\nSB,sinus bradycardia,SBRAD\n"


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("joins") / "raw"
    for i in range(12):
        write_record(raw / "ward" / "g1", f"{i:05d}", dx=AF if i % 2 else SINUS)
    return raw


def prepared(raw: Path, out: Path, **options: object) -> Store:
    return prepare_store(raw, out, PrepareOptions(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name",
    ["{i:05d}", "{i:05d}.hea", "{i:05d}.MAT", "./{i:05d}", "ward/g1/{i:05d}.dat", "g1/{i:05d}",
     "raw/ward/g1/{i:05d}", "ward\\g1\\{i:05d}", "{i}", "{i}.0", '"{i:05d}"'],
)  # fmt: skip
def test_patients_match_however_records_are_written(raw: Path, tmp_path: Path, name: str) -> None:
    lines = ["Record;Patient", *(f"{name.format(i=i)};p{i // 4}" for i in range(12))]
    (tmp_path / "p.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    store = prepared(raw, tmp_path / "s", patients=tmp_path / "p.csv")
    assert store.records["patient"].tolist() == [f"p{i // 4}" for i in range(12)]
    assert store.records.groupby("patient")["split"].nunique().max() == 1
    join = store.summary["joins"][0]
    assert (join["rows"], join["matched"], join["records"], join["unmatched"]) == (12, 12, 12, [])
    assert "12 of 12 rows matched" in sentences(store.summary)[0]


def test_a_table_of_which_nothing_matches_is_refused(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("record,patient\nHR1,a\nHR2,b\n")
    with pytest.raises(DataError, match=r"none of its 2 \(HR1, HR2, …\) is one of those below"):
        prepared(raw, tmp_path / "s", patients=tmp_path / "p.csv")
    for options in (
        {"patients": tmp_path / "p.csv"},
        {"layout": "csv", "table": tmp_path / "l.csv"},
    ):
        (tmp_path / "l.csv").write_text("record,labels\nHR1,AF\nother/g1/00001,AF\n")
        with pytest.raises(DataError, match="names of records"):
            prepared(raw, tmp_path / "s", **options)


def test_words_for_missing_are_no_patient(raw: Path, tmp_path: Path) -> None:
    words = ["nan", "None", "", "NULL", "n/a", "unknown", "-", " ", "NaN", "7.0", "7", "p"]
    rows = [f"{i:05d},{word}" for i, word in enumerate(words)]
    (tmp_path / "p.csv").write_text("\n".join(["record,patient", *rows, "nobody,3"]))
    store = prepared(raw, tmp_path / "s", patients=tmp_path / "p.csv")
    assert store.records["patient"].tolist() == [""] * 9 + ["7", "7", "p"]
    join = store.summary["joins"][0]
    assert (join["matched"], join["records"], join["unmatched"]) == (12, 3, ["nobody"])
    assert parse_patient("007") == "007"


def test_two_patients_of_one_record_are_refused(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("record,patient\n00001,a\n1,b\n")
    with pytest.raises(DataError, match="1 has a and b"):
        prepared(raw, tmp_path / "s", patients=tmp_path / "p.csv")


def test_ambiguous_names_match_nothing() -> None:
    names = Names(["a/01.hea", "b/001.hea", "b/x.hea", "c/X.hea", "x.hea"], Path("raw"))
    assert names.find("1") == [0, 1]
    assert names.find("a/1") == [0]
    assert names.find("c/x") == [3]
    assert names.find("x") == [4]
    assert names.find("b/01") == [1]
    assert names.find("d/x") == []
    assert names.find("raw/x") == [4]
    assert names.find(str(Path("raw/c/X").absolute())) == [3]
    assert names.find("") == []


def labels_of(store: Store) -> dict[str, set[str]]:
    names = np.array(store.classes)
    rows = zip(store.records["record"], store.labels, strict=True)
    return {record: set(names[row > 0]) for record, row in rows}


def csv_store(raw: Path, tmp_path: Path, text: str, **options: object) -> Store:
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "c.csv").write_text(CLASSES)
    options = {"labels": tmp_path / "c.csv", **options}
    return prepared(raw, tmp_path / "s", layout="csv", table=tmp_path / "t.csv", **options)


@pytest.mark.parametrize(
    "rows", [["{i},AF", "{i},SB"], ["{i},AF|SB"], ['{i},"AF, SB"'], ["{i},af;sinus bradycardia"],
             ["{i},AFIB|SBRAD|AF"], ["{i}.dat,AF", "./{i},SB", "{i},AF"]],
)  # fmt: skip
def test_one_row_per_label_is_as_good_as_joined_labels(
    raw: Path, tmp_path: Path, rows: list[str]
) -> None:
    lines = [row.format(i=f"{i:05d}") for i in range(12) for row in rows]
    store = csv_store(raw, tmp_path, "\n".join(["record,labels", *lines]))
    assert labels_of(store) == {f"{i:05d}": {"AF", "SB"} for i in range(12)}
    assert len(store.excluded) == 0
    assert "positive in all 12 records: AF, SB" in store.summary["warnings"]


def test_labels_in_no_class_are_counted_and_named(raw: Path, tmp_path: Path) -> None:
    lines = [f"{i:05d},AF|LVH|MI" if i < 8 else f"{i:05d},MI" for i in range(12)]
    store = csv_store(raw, tmp_path, "\n".join(["record,labels", *lines]))
    assert store.summary["codes_of_no_class"] == {"MI": 12, "LVH": 8}
    assert "labels of no class: MI (12), LVH (8)" in sentences(store.summary)
    assert set(store.excluded["detail"]) == {"only codes of no class: MI"}


FOLDS = "record,labels,fold\n" + "".join(f"{i:05d},AF,{1 + i % 10}\n" for i in range(12))


def test_ten_folds_are_those_of_ptb_xl_or_as_told(raw: Path, tmp_path: Path) -> None:
    store = csv_store(raw, tmp_path, FOLDS, split="official")
    expected = ["train"] * 8 + ["validation", "test"] + ["train"] * 2
    assert store.records["split"].tolist() == expected
    assert any("1-8/9/10" in note for note in store.summary["notes"])
    told = prepared(
        raw, tmp_path / "t", layout="csv", table=tmp_path / "t.csv", labels=tmp_path / "c.csv",
        split="official", folds="3-10/1/2",
    )  # fmt: skip
    assert told.records["split"].tolist()[:3] == ["validation", "test", "train"]
    with pytest.raises(DataError, match="1 is in several"):
        csv_store(raw, tmp_path, FOLDS, split="official", folds="1-8/1/10")
    with pytest.raises(DataError, match="--folds TRAIN/VALIDATION/TEST"):
        csv_store(raw, tmp_path, FOLDS, split="official", folds="1-8")


def test_unknown_folds_are_named(raw: Path, tmp_path: Path) -> None:
    text = FOLDS.replace(",AF,10", ",AF,holdout")
    with pytest.raises(DataError, match=r"'holdout' \(1 records, such as 00009\).*--folds"):
        csv_store(raw, tmp_path, text, split="official")
    store = csv_store(raw, tmp_path, text)
    assert any("fold is not used" in note for note in store.summary["notes"])


@pytest.mark.parametrize(
    ("yes", "no"), [("1", "0"), ("yes", "No"), ("TRUE", "False"), ("1.0", "0.0")]
)
def test_columns_of_yes_and_no_are_labels(raw: Path, tmp_path: Path, yes: str, no: str) -> None:
    rows = [f"{i:05d},{50 + i},{yes if i < 3 else no},{no if i else ''},x" for i in range(11)]
    text = "\n".join(["record,age,Brugada,AF,comment", *rows, "00011,40,,,"])
    (tmp_path / "t.csv").write_text(text)
    store = prepared(raw, tmp_path / "s", layout="csv", table=tmp_path / "t.csv")
    assert store.classes == ("Brugada", "AF")
    assert len(store) == 11
    assert store.labels.sum(axis=0).tolist() == [3, 0]
    assert store.class_names == {"Brugada": "Brugada", "AF": "atrial fibrillation"}
    assert store.excluded[["record", "reason"]].to_numpy().tolist() == [
        ["00011", "no scored label"]
    ]
    assert "columns that are not used: comment" in store.summary["notes"]
    assert "1 empty cells of records with other labels count as no" in store.summary["notes"]
    assert "positive in no record: AF" in store.summary["warnings"]


def test_a_column_labels_of_yes_and_no_belongs_to_the_only_class(raw: Path, tmp_path: Path) -> None:
    text = "record,labels\n" + "".join(f"{i:05d},{int(i < 3)}\n" for i in range(12))
    (tmp_path / "one.csv").write_text("abbreviation,name,codes\nBrS,Brugada syndrome,1\n")
    store = csv_store(raw, tmp_path, text, labels=tmp_path / "one.csv")
    assert len(store) == 12
    assert store.labels.sum() == 3
    with pytest.raises(DataError, match="only yes or no; name the column after its class"):
        csv_store(raw, tmp_path, text)


def test_answers_that_are_neither_yes_nor_no_are_refused(raw: Path, tmp_path: Path) -> None:
    text = "record,AF\n" + "".join(f"{i:05d},{'perhaps' if i == 5 else 1}\n" for i in range(12))
    with pytest.raises(DataError, match="row 7 has 'perhaps'"):
        csv_store(raw, tmp_path, text)
    with pytest.raises(DataError, match="Expected a column labels"):
        csv_store(raw, tmp_path, "record,age\n00001,50\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_spreadsheets(tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = [["Record", "Ward", "Labels"], ["Müller", "ß", 'a "b", c'], ["", "", ""], ["x", "y"]]
    quoted = ['"' + '""'.join(c.split('"')) + '"' if "," in c else c for row in rows for c in row]
    text = "\r\n".join(
        delimiter.join(quoted[start : start + n]) for start, n in ((0, 3), (3, 3), (6, 3), (9, 2))
    )
    (tmp_path / "t.csv").write_bytes(text.encode(encoding))
    table = read_table(tmp_path / "t.csv", ("record", "labels"), "a table")
    assert table.rows == [
        {"record": "Müller", "ward": "ß", "labels": 'a "b", c'},
        {"record": "x", "ward": "y", "labels": ""},
    ]
    assert table.columns == ("Record", "Ward", "Labels")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("record,labels\nA,AF,SB\n", "line 2 has 3; put a cell with commas into quotes"),
        ("record,labels,Labels\nA,AF,SB\n", "labels twice"),
        ("", "but got none"),
        ("name,labels\n", "but got name, labels"),
    ],
)
def test_tables_that_would_lose_cells_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv", ("record", "labels"), "a table")
