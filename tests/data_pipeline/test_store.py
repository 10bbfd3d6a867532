"""Choosing rows of a store: splits, nested shares of the training data, sources left out."""

import numpy as np
import pytest

from data_pipeline import DataError, PrepareOptions, Store, prepare_store
from tests.data_pipeline.files import AF, SINUS, ecg_like, write_record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("rows")
    lines = ["record,patient"]
    for i in range(240):
        signals = ecg_like(np.random.default_rng(i), 400)
        source = folder / "raw" / ("north", "south", "west")[i % 3] / "g1"
        write_record(source, f"A{i:03d}", dx=AF if i % 4 else SINUS, signals=signals, rate=100)
        lines.append(f"A{i:03d},{i // 2}")
    (folder / "patients.csv").write_text("\n".join(lines))
    options = PrepareOptions(patients=folder / "patients.csv", seconds=4)
    return prepare_store(folder / "raw", folder / "store", options)


def test_splits_cover_every_row_once(store: Store) -> None:
    rows = np.concatenate([store.rows(split) for split in ("train", "validation", "test")])
    assert sorted(rows.tolist()) == list(range(240))
    with pytest.raises(DataError, match="train, validation, test"):
        store.rows("dev")  # type: ignore[arg-type]


def test_shares_of_the_training_data_are_nested_and_stratified(store: Store) -> None:
    train = store.rows("train")
    previous: set[int] = set()
    for fraction in (0.01, 0.03, 0.1, 0.3, 1.0):
        rows = store.rows("train", fraction=fraction)
        assert previous <= set(rows.tolist()) <= set(train.tolist())
        assert len(rows) == pytest.approx(fraction * len(train), abs=2.1)
        if fraction >= 0.1:
            share = store.labels[rows].mean(axis=0)
            np.testing.assert_allclose(share, store.labels[train].mean(axis=0), atol=0.11)
        previous = set(rows.tolist())
    assert previous == set(train.tolist())
    assert len(store.rows("test", fraction=0.01)) == len(store.rows("test"))
    with pytest.raises(DataError, match=r"0\.01, 0\.03"):
        store.rows("train", fraction=0.2)


def test_a_source_left_out_is_seen_in_the_test_alone(store: Store) -> None:
    rows = store.without_source("south")
    sources = store.records["source"]
    assert set(sources[rows["test"]]) == {"south"}
    assert len(rows["test"]) == 80
    for split in ("train", "validation"):
        assert set(sources[rows[split]]) == {"north", "west"}
        assert set(rows[split].tolist()) < set(store.rows(split).tolist())
        patients = store.records["patient"]
        assert not set(patients[rows[split]]) & set(patients[rows["test"]])
    with pytest.raises(DataError, match="north, south, west"):
        store.without_source("east")


def test_label_counts_by_source_and_split_add_up(store: Store) -> None:
    table = store.label_table()
    assert table.index.tolist() == list(store.classes)
    assert dict(table.sum(axis=1)) == store.label_counts()
    rows = store.rows("test")
    rows = rows[(store.records["source"][rows] == "west").to_numpy()]
    assert table.loc["AF", ("west", "test")] == store.labels[rows, 0].sum()
