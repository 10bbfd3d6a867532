"""A study keeps who and what it is of, for the folds that it trains and tests on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import PrepareOptions, Store, prepare_store
from data_pipeline.cohort import AGES, UNKNOWN
from search.cohort import Cohort, HeldOutEcgs, cohort_of, read_cohort
from search.database.storage import Storage
from search.definition import DataPlan
from search.reading.records import StudyReader
from search.reading.transfer import dump_study, load_study
from search.study import Study
from search.training.folds import fold_rows
from tests.data_pipeline.files import AF, SINUS, UNSCORED, ecg_like, write_record


@pytest.fixture(scope="module")
def ecgs(tmp_path_factory: pytest.TempPathFactory) -> Store:
    raw = tmp_path_factory.mktemp("cohort") / "raw"
    rng = np.random.default_rng(0)
    for i in range(40):
        comments = f"#Age: {20 + 2 * i if i else 'NaN'}\n#Sex: {('Male', 'Female')[i % 2]}\n"
        comments += f"#Dx: {(AF, SINUS, f'{AF},{SINUS}')[i % 3]}"
        folder = raw / ("a", "b")[i % 4 == 0]
        write_record(folder, f"A{i}", signals=ecg_like(rng, 5000), comments=comments)
    write_record(raw / "b", "none", dx=UNSCORED)
    return prepare_store(raw, raw.parent / "store", PrepareOptions())


@pytest.mark.parametrize(
    "chosen", [DataPlan(), DataPlan(without_source="b"), DataPlan(task="exclusive")]
)
def test_a_cohort_is_that_of_the_studys_folds(ecgs: Store, chosen: DataPlan) -> None:
    rows = fold_rows(ecgs, chosen)
    cohort = cohort_of(ecgs, chosen)
    assert cohort.flow.records == {split: len(own) for split, own in rows.items()}
    assert cohort.flow.kept == sum(cohort.flow.records.values()) + cohort.flow.unused
    assert cohort.flow.found == 41
    table = cohort.characteristics.set_index("characteristic")
    for split, own in rows.items():
        women = int((ecgs.records["sex"].iloc[own] == "female").sum())
        assert table.loc["Records", split] == str(len(own))
        assert table.loc["Female", split].split(" ")[0] == str(women)
    tested = ecgs.records.iloc[rows["test"]]
    assert list(cohort.tested["sex"]) == list(tested["sex"])
    for age, group in zip(tested["age"], cohort.tested["age"], strict=True):
        named = [name for low, high, name in AGES if low <= age < high]
        assert group == (named[0] if named else UNKNOWN)
    assert HeldOutEcgs.of(ecgs, chosen).rows.tolist() == rows["test"].tolist()


def test_it_comes_back_as_it_was_kept_and_tells_nobodys_age(ecgs: Store) -> None:
    cohort = cohort_of(ecgs, DataPlan())
    stored = json.loads(json.dumps(cohort.to_dict()))
    again = Cohort.from_dict(stored)
    assert again.flow == cohort.flow
    assert again.characteristics.equals(cohort.characteristics)
    assert again.tested.equals(cohort.tested)
    assert again.names == cohort.names
    assert set(stored["tested"]) == {"sex", "age"}
    assert len(stored["tested"]["age"]["groups"]) == len(AGES) + 1
    assert read_cohort({"cohort": stored}) is not None
    assert read_cohort({}) is None


def test_a_study_keeps_its_cohort_also_through_a_file(
    make_study: Callable[..., Study], store: Store, storage: Storage, tmp_path: Path
) -> None:
    study = make_study()
    dump_study(study.name, storage, tmp_path / "study.jsonl.gz")
    again = load_study(tmp_path / "study.jsonl.gz", storage, name=f"{study.name}-2")
    expected = cohort_of(store, study.definition.data).to_dict()
    for name in (study.name, again.name):
        found = read_cohort(StudyReader(name, storage).attributes)
        assert found is not None
        assert found.to_dict() == expected
    assert len(found.tested) == study.data["splits"]["test"]
