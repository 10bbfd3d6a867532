"""The flow from files to splits, the table of characteristics, and what spoils a study."""

import numpy as np
import pytest

from data_pipeline import PrepareOptions, Store, prepare_store
from data_pipeline.cohort import characteristics, flow
from data_pipeline.degenerate import label_warnings, learnable
from data_pipeline.drawing import examples
from data_pipeline.page import page
from tests.data_pipeline.files import AF, SINUS, UNSCORED, ecg_like, write_record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("cohort")
    rng = np.random.default_rng(0)
    rows = []
    for i in range(20):
        signals = ecg_like(rng, 10000 if i == 0 else 5000)
        sex = ("Male", "Female", "Unknown")[i % 3]
        comments = f"#Age: {40 + i if i else 'NaN'}\n#Sex: {sex}\n#Dx: {AF if i < 4 else SINUS}"
        write_record(
            folder / "raw" / ("a", "b")[i % 2], f"A{i}", signals=signals, comments=comments
        )
        rows.append(f"A{i},{i // 2}")
    write_record(folder / "raw" / "c", "twin", signals=signals)
    write_record(folder / "raw" / "b", "none", dx=UNSCORED)
    (folder / "p.csv").write_text("\n".join(["record,patient", *rows]))
    options = PrepareOptions(windows=0, patients=folder / "p.csv")
    return prepare_store(folder / "raw", folder / "store", options)


def test_the_flow_adds_up(store: Store) -> None:
    counts = flow(store)
    assert (counts.found, counts.kept, counts.rows) == (22, 20, 21)
    assert counts.excluded == {"no scored label": 1, "duplicate": 1}
    assert sum(counts.records.values()) == 20
    assert counts.found == counts.kept + sum(counts.excluded.values())


def test_characteristics_are_those_of_the_files(store: Store) -> None:
    table = characteristics(store).set_index("characteristic")
    assert table.loc["Records", "all"] == "20"
    assert table.loc["Patients known", "all"] == "10"
    assert table.loc["Age, years: median (quartiles)", "all"] == "50 (46–54)"
    assert table.loc["Age not known", "all"] == "1 (5.0 %)"
    assert table.loc["Female", "all"] == "7 (35.0 %)"
    assert table.loc["Sex not known", "all"] == "6 (30.0 %)"
    assert table.loc["Source a", "all"] == "10 (50.0 %)"
    assert table.loc["sinus rhythm (NSR)", "all"] == "16 (80.0 %)"
    assert table.loc["atrial fibrillation (AF)", "all"] == "4 (20.0 %)"
    assert list(table.index).index("sinus rhythm (NSR)") < list(table.index).index(
        "bradycardia (Brady)"
    )
    splits = table.loc["Records", ["train", "validation", "test"]].astype(int)
    assert splits.sum() == 20


def test_the_page_shows_both(store: Store) -> None:
    text = page(store)
    for part in ("Records found", "no scored label: 1", "atrial fibrillation (AF)", "7 (35.0 %)"):
        assert part in text
    assert "<strong>Warning:</strong> positive in no record: AFL" in text


def test_some_records_are_offered(store: Store) -> None:
    some = examples(store, 5)
    assert len({record for record, _ in some}) == 5
    assert [diagnoses for _, diagnoses in some[:2]] == ["sinus rhythm", "atrial fibrillation"]


def test_what_cannot_be_learned_is_said() -> None:
    labels = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [1, 0, 1, 1], [1, 0, 0, 1]], dtype=np.uint8)
    splits = {"train": np.array([0, 1]), "validation": np.array([2, 3]), "test": np.array([], int)}
    assert label_warnings(labels, splits, ["all", "none", "both", "most"]) == [
        "positive in all 4 records: all",
        "positive in no record: none",
        "without negatives in the validation split: most",
        "the test split has no records",
    ]
    assert learnable(labels, splits["train"]).tolist() == [False, False, True, True]
    assert learnable(labels, splits["validation"]).tolist() == [False, False, True, False]
