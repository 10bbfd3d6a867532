"""Which networks stay on the disk: all, or the best of each budget, whoever trained them."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from models import Architecture, reference
from models.export import load_network
from search.confirm import Candidate, confirm_study
from search.kept import Keepable, KeptNetworks, best_numbers
from search.reading.records import read_trials
from search.study import Study
from search.training.scores import score_fold
from search.worker import WorkerOptions, run_worker

SMALL = {"architectures": 4, "flops": [1e5, 2e6], "bins": 2}


def work(study: Study, store, folder: Path, keep: str = "best") -> list[str]:
    said: list[str] = []
    options = WorkerOptions(weights=folder, keep=keep, wait=True)  # type: ignore[arg-type]
    name, storage = study.name, study.storage
    assert run_worker(name, storage, store, "cpu", options=options, say=said.append) == 0
    return said


def kept(folder: Path) -> set[int]:
    return {int(path.stem) for path in folder.rglob("*.safetensors")}


def test_the_best_of_each_group_is_kept_and_the_first_of_equals() -> None:
    trials = [
        Keepable(0, 0.5, 1.0, (1e6, 1e7)),
        Keepable(1, 0.5, 1.0, (1e6, 1e7)),
        Keepable(2, 0.4, 1.0, (1e7,)),
        Keepable(3, None, 1.0, (1e6, 1e7)),
        Keepable(4, 0.1, 1.0, ("a network",)),
        Keepable(5, 0.9, 1.0, ()),
    ]
    assert best_numbers(reversed(trials)) == {0, 4}
    assert best_numbers([]) == set()


def test_of_each_budget_the_best_is_left_and_its_file_is_that_trial(
    make_study, store, tmp_path: Path, one_thread
) -> None:
    study = make_study(sample=SMALL, controls={"shuffled_labels": 1}, recipe={"epochs": 1})
    said = work(study, store, tmp_path)
    assert any("the best networks of each budget in" in words for words in said), said
    trials = read_trials(study.name, study.storage)
    sampled = trials[trials["role"] == "sample"]
    assert (sampled["flops"] <= 2e6).all()
    best = sampled.loc[sampled["macro_f1"].idxmax()]
    assert kept(tmp_path) == {best["trial"]}
    (path,) = tmp_path.rglob("*.safetensors")
    assert load_network(path).card.scores["validation macro_f1"] == best["macro_f1"]
    assert len(list(path.parent.iterdir())) == 3, "no card or code of another is left"
    count, size = KeptNetworks(tmp_path, "best", study).expected()
    there = sum(one.stat().st_size for one in path.parent.iterdir())
    assert count == 1
    assert there <= size <= there + 4.1 * sampled["params"].max() + 60_000


def test_confirmed_networks_keep_their_best_seed_and_known_ones_none(
    make_study, store, tmp_path: Path, one_thread
) -> None:
    study = make_study(sample=SMALL, recipe={"epochs": 1})
    work(study, store, tmp_path)
    trials = read_trials(study.name, study.storage)
    own = Architecture.from_json(trials["architecture"][0])
    candidates = [
        Candidate(own, 2e6, "searched", "one"),
        Candidate(reference("fcn-wang@0.1"), 2e6, "reference", "fcn"),
    ]
    before = kept(tmp_path)
    confirm_study(study, candidates, seeds=2)
    work(study, store, tmp_path)
    trials = read_trials(study.name, study.storage)
    confirmed = trials[(trials["role"] == "confirm") & (trials["architecture_hash"] == own.hash)]
    assert len(confirmed) == 2
    best = confirmed.loc[confirmed["macro_f1"].idxmax(), "trial"]
    assert kept(tmp_path) == before | {best}


def test_two_workers_on_one_folder_leave_what_one_leaves(
    make_study, store, tmp_path: Path, one_thread
) -> None:
    """Each removes what others have beaten meanwhile; the files of running trials stay."""
    study = make_study(sample=SMALL, replicates={"architectures": 2}, recipe={"epochs": 1})
    threads = [threading.Thread(target=work, args=(study, store, tmp_path)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    trials = read_trials(study.name, study.storage)
    assert (trials["state"] == "complete").all()
    assert kept(tmp_path) == {trials.loc[trials["macro_f1"].idxmax(), "trial"]}


def test_all_are_counted_and_a_full_disk_is_told(
    make_study, store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_study(sample=SMALL)
    networks = KeptNetworks(tmp_path / "not" / "yet", "all", study)
    params = read_trials(study.name, study.storage)["params"]
    count, size = networks.expected()
    assert count == 4
    assert 4 * params.sum() < size < 4.2 * params.sum() + 4 * 60_000
    assert "every network in" in networks.describe()
    assert "not enough" not in networks.describe()
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("search.kept.shutil.disk_usage", lambda _: usage)
    assert "that is not enough" in networks.describe()


def test_a_kept_network_names_the_rate_it_was_trained_with(make_study, store, tmp_path):
    study = make_study(
        sample={"architectures": 1, "flops": [1e6, 3e6], "bins": 1, "learning_rate": [1e-3, 1e-2]},
        recipe={"epochs": 1, "learning_rate": 5e-2},
    )
    options = WorkerOptions(weights=tmp_path)
    assert run_worker(study.name, study.storage, store, "cpu", options=options, say=str) == 0
    (path,) = tmp_path.rglob("*.safetensors")
    drawn = read_trials(study.name, study.storage)["learning_rate"][0]
    assert load_network(path).card.recipe["learning_rate"] == pytest.approx(drawn)
    assert drawn <= 1e-2


def test_a_kept_network_has_the_bits_of_validation_and_says_everything(
    make_study, store, tmp_path, one_thread
):
    study = make_study(
        sample={"architectures": 1, "flops": [1e6, 3e6], "bins": 1}, recipe={"epochs": 1}
    )
    options = WorkerOptions(weights=tmp_path)
    assert run_worker(study.name, study.storage, store, "cpu", options=options, say=str) == 0
    (path,) = tmp_path.rglob("*.safetensors")
    network, rows = load_network(path), store.rows("validation")
    said = network.predictor().of_prepared(np.asarray(store.signals[rows]), store.step)
    recipe = study.definition.recipe
    scores = score_fold(
        store.labels[rows],
        said,
        network.card.thresholds,
        empty_classes=recipe.empty_classes,
    )
    trial = read_trials(study.name, study.storage).iloc[0]
    card = network.card
    for name in ("macro_f1", "macro_auroc", "macro_auprc", "ece"):
        assert trial[name] == card.scores[f"validation {name}"] == scores.values[name]
    low, high = card.intervals["validation macro_auroc"]
    assert low < scores.values["macro_auroc"] < high
    assert card.diagnoses[0] == "atrial fibrillation"
    assert card.codes[4] == ("733534002", "164909002")
    assert card.records == {fold: len(store.rows(fold)) for fold in ("train", "validation", "test")}
    assert sum(card.positives.values()) == store.labels[store.rows("train")].sum()
    assert card.precision in ("fp32", "bf16")
    assert card.versions["torch"] == torch.__version__
