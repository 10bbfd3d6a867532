"""Confirmation on the test split, which nothing else reads, and studies on part of a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import define
from processes import slow_trainer
from sklearn.metrics import f1_score, roc_auc_score

from data_pipeline import PrepareOptions, prepare_store
from data_pipeline.synthetic import synthesize
from models import Architecture, reference
from search.confirm import Candidate, confirm_study, read_confirmations
from search.database.storage import Storage
from search.errors import StudyError
from search.reading import transfer
from search.reading.records import read_confirmed, read_trials
from search.reading.transfer import dump_study, load_study
from search.study import create_study
from search.training.folds import Folds
from search.training.outputs import Outputs, pack, unpack
from search.trials.queue import Queue, WorkerName
from search.worker import run_worker

SMALL = {"architectures": 2, "flops": [1e6, 1e7], "bins": 1}


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture
def confirmed(make_study, store):
    """A study whose first network and one reference were confirmed with two seeds and rates."""
    torch.set_num_threads(1)
    study = make_study(sample=SMALL, recipe={"epochs": 2, "batch_size": 8})
    run_worker(study.name, study.storage, store, "cpu", train=slow_trainer(0.01), say=quiet)
    best = Architecture.from_json(read_trials(study.name, study.storage)["architecture"][0])
    known = reference("resnet1d-wang@0.1")
    candidates = [
        Candidate(best, 1e7, "searched", "trial 0"),
        Candidate(best, 2e7, "searched", "trial 0"),
        Candidate(known, 1e7, "reference", known.name),
    ]
    planned = confirm_study(study, candidates, seeds=2, learning_rates=(5e-3, 1e-3))
    assert planned.planned == 2 + 2 * 2 * 2  # a network for two budgets is trained once
    assert run_worker(study.name, study.storage, store, "cpu", say=quiet) == 0
    return planned


def test_confirmed_networks_are_scored_on_the_test_records(confirmed, store):
    read = read_confirmed(confirmed.name, confirmed.storage)
    assert len(read.trials) == 8
    assert len(set(zip(read.trials["architecture_hash"], read.trials["seed"], strict=True))) == 4
    assert sorted(read.trials["learning_rate"].unique()) == [1e-3, 5e-3]
    assert read.trials.groupby("learning_rate")["recipe_hash"].nunique().tolist() == [1, 1]
    assert read.trials["recipe_hash"].nunique() == 2
    rows = store.rows("test")
    for trial in read.trials.itertuples():
        put_out = read.outputs[trial.trial]
        np.testing.assert_array_equal(put_out.labels, store.labels[rows])
        assert list(put_out.sources) == list(store.records["source"].iloc[rows])
        there = put_out.labels.any(axis=0) & ~put_out.labels.all(axis=0)
        auroc = roc_auc_score(
            put_out.labels[:, there], put_out.probabilities[:, there], average="macro"
        )
        assert trial.test_macro_auroc == pytest.approx(auroc, abs=1e-12)
        decided = put_out.probabilities > read.thresholds[trial.trial]
        seen = put_out.labels.any(axis=0)  # a class that no record has is ignored
        f1 = f1_score(
            put_out.labels[:, seen], decided[:, seen], average="macro", zero_division=np.nan
        )
        assert trial.test_macro_f1 == pytest.approx(f1, abs=1e-12)
        assert trial.macro_f1 != trial.test_macro_f1
    entries = read.rounds[0].entries
    assert [(entry.budget, entry.group) for entry in entries] == [
        (1e7, "searched"),
        (2e7, "searched"),
        (1e7, "reference"),
    ]


def test_confirmation_travels_with_its_study(confirmed, tmp_path: Path, monkeypatch):
    """Outputs of a large study are sent in parts: no statement may grow with its trials."""
    path = tmp_path / "study"
    dump_study(confirmed.name, confirmed.storage, path)
    sent = []
    add = transfer._add_trials
    monkeypatch.setattr(
        transfer, "_add_trials", lambda c, s, b: (sent.append(len(b)), add(c, s, b))
    )
    monkeypatch.setattr(transfer, "BATCH_CHARACTERS", 1)
    load_study(path, confirmed.storage, name=f"{confirmed.name}-copy")
    assert sum(sent) == confirmed.planned
    there = read_confirmed(confirmed.name, confirmed.storage)
    assert len(sent) >= len(there.outputs) > 3
    here = read_confirmed(f"{confirmed.name}-copy", confirmed.storage)
    assert here.rounds == there.rounds
    pd.testing.assert_frame_equal(here.trials, there.trials)
    for number, put_out in there.outputs.items():
        np.testing.assert_array_equal(put_out.probabilities, here.outputs[number].probabilities)
        np.testing.assert_array_equal(put_out.patients, here.outputs[number].patients)
        np.testing.assert_array_equal(there.thresholds[number], here.thresholds[number])


def test_confirmation_comes_before_what_is_left_of_the_sample(make_study):
    study = make_study(sample=SMALL)
    known = Candidate(reference("resnet1d-wang@0.1"), 1e7, "reference", "known")
    confirm_study(study, [known], seeds=2)
    queue = Queue(study.storage, study.study_id)
    claims = [queue.claim(WorkerName("here:1", "here", "cpu")) for _ in range(5)]
    assert [claim and claim.number for claim in claims] == [2, 3, 0, 1, None]
    assert [claim.role for claim in claims if claim] == [*["confirm"] * 2, *["sample"] * 2]


def test_second_confirmation_must_be_meant(confirmed):
    again = [Candidate(reference("fcn-wang@0.1"), 1e7, "reference", "fcn-wang@0.1")]
    with pytest.raises(StudyError, match="--again"):
        confirm_study(confirmed, again, seeds=1)
    assert len(read_trials(confirmed.name, confirmed.storage)) == 10
    confirm_study(confirmed, again, seeds=1, again=True)
    rounds = read_confirmed(confirmed.name, confirmed.storage).rounds
    assert [len(one.entries) for one in rounds] == [3, 1]


def test_seeds_are_fresh_and_depend_on_the_study_alone(make_study):
    first, second = make_study(), make_study()
    frames = []
    for study in (first, second):
        searched = read_trials(study.name, study.storage)
        network = Architecture.from_json(searched["architecture"][2])
        confirm_study(study, [Candidate(network, 1e6, "searched", "x")], seeds=3)
        frame = read_trials(study.name, study.storage)
        new = frame[frame["role"] == "confirm"]
        own = searched[searched["architecture_hash"] == network.hash]
        assert set(new["seed"]).isdisjoint(own["seed"])
        assert new["seed"].nunique() == 3
        frames.append(new)
    assert list(frames[0]["seed"]) == list(frames[1]["seed"])


def test_candidates_get_rates_out_of_the_range_that_was_drawn_from(make_study):
    study = make_study(sample={**SMALL, "learning_rate": [1e-3, 1e-2]})
    network = Candidate(reference("fcn-wang@0.1"), 1e7, "reference", "fcn-wang@0.1")
    confirm_study(study, [network], seeds=2)
    (round_,) = read_confirmations(study)
    assert round_.learning_rates == pytest.approx((1e-3, 10**-2.5, 1e-2))
    assert (read_trials(study.name, study.storage)["role"] == "confirm").sum() == 6


def test_search_never_asks_for_the_test_records(make_study, store, monkeypatch):
    asked = []
    real = Folds.records

    def spy(self, fold):
        asked.append(fold)
        return real(self, fold)

    monkeypatch.setattr(Folds, "records", spy)
    study = make_study(sample=SMALL, controls={"shuffled_labels": 1})
    run_worker(study.name, study.storage, store, "cpu", train=slow_trainer(0.01), say=quiet)
    assert set(asked) == {"train", "validation"}


def test_nothing_to_confirm_is_refused(make_study):
    with pytest.raises(StudyError, match="at least one seed"):
        confirm_study(make_study(), [], seeds=2)


def test_study_on_a_share_of_the_training_records(store, storage: Storage):
    study = create_study(define(data={"train_fraction": 0.3}), store, storage)
    trained: list[int] = []
    inner = slow_trainer(0.01)

    def spy(architecture, train, valid, recipe, seed, **rest):
        trained.extend(train.rows.tolist())
        assert len(valid) == len(store.rows("validation"))
        return inner(architecture, train, valid, recipe, seed, **rest)

    run_worker(study.name, storage, store, "cpu", train=spy, say=quiet)
    assert set(trained) == set(store.rows("train", fraction=0.3).tolist())
    assert study.data["splits"]["train"] == len(set(trained)) < len(store.rows("train"))


@pytest.fixture
def two_sources(tmp_path: Path):
    synthesize(tmp_path / "raw", records=60, seed=0)
    here = tmp_path / "raw" / "training" / "synthetic"
    there = here.with_name("there") / "g1"
    there.mkdir(parents=True)
    for path in (here / "g1").glob("*[02468].*"):
        path.rename(there / path.name)
    options = PrepareOptions(sample_rate_hz=50, seconds=2.0, band_hz=None)
    return prepare_store(tmp_path / "raw", tmp_path / "store", options)


def test_study_without_a_source_tests_on_that_source_alone(two_sources, storage: Storage):
    study = create_study(define(data={"without_source": "there"}), two_sources, storage)
    folds = Folds(two_sources, study.definition.data, "cpu")
    sources = two_sources.records["source"].to_numpy()
    assert set(sources) == {"synthetic", "there"}
    assert set(sources[folds.records("test").rows]) == {"there"}
    for fold in ("train", "validation"):
        assert set(sources[folds.records(fold).rows]) == {"synthetic"}
    assert study.data["splits"]["test"] == (sources == "there").sum()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"without_source": "mars"}, "source out of"),
        ({"train_fraction": 0.5}, "0.3"),
        ({"train_fraction": "half"}, "one of 0.01"),
        ({"sources": "x"}, "rename or remove"),
    ],
)
def test_data_that_does_not_fit_is_refused(store, storage: Storage, data, told):
    with pytest.raises(StudyError, match=told):
        create_study(define(data=data), store, storage)


def test_outputs_survive_packing():
    rng = np.random.default_rng(0)
    values = rng.random((7, 3)).astype(np.float32)
    np.testing.assert_array_equal(unpack(pack(values), "<f4").reshape(7, 3), values)
    labels = rng.integers(0, 2, (7, 3)).astype(np.uint8)
    put_out = Outputs(values, labels, np.arange(7), ("ä",) * 7)
    back = Outputs.decoded(put_out.encoded(), type("Row", (), put_out.encoded_records()))
    np.testing.assert_array_equal(back.labels, labels)
    assert back.sources == put_out.sources
