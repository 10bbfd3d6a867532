"""Classes that exclude each other: from the records that are left out to the decision in use."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import sklearn.metrics as sk
import torch
from torch import nn
from torch.nn import functional as F

from analysis.use.evaluate import evaluate
from data_pipeline import Store
from models.card_markdown import card_markdown
from models.export import load_network, save_onnx
from models.prediction import decided, probabilities_of
from search.confirm import Candidate, confirm_study
from search.definition import DataPlan, StudyDefinition
from search.errors import StudyError
from search.reading.records import StudyReader, read_class_scores
from search.study import create_study, open_study
from search.training.folds import fold_rows, study_warnings
from search.training.loss import cross_entropy, start_at_prevalence
from search.training.recipe import Recipe
from search.training.scores import score_fold
from search.training.train import train_one
from search.worker import WorkerOptions, run_worker
from tests.search.conftest import define
from tests.search.rhythms import QUICK, records

EXCLUSIVE = DataPlan(task="exclusive")


def logits(count: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = rng.integers(0, classes, count)
    return rng.normal(size=(count, classes)) + 2 * np.eye(classes)[own], own


def test_probabilities_decisions_and_scores_are_those_of_others() -> None:
    put_out, own = logits(200, 5, 0)
    chances = probabilities_of(put_out * 300, exclusive=True)
    assert np.isfinite(chances).all()
    chances = probabilities_of(put_out, exclusive=True)
    np.testing.assert_allclose(chances, torch.tensor(put_out).softmax(1).numpy(), rtol=1e-12)
    chosen = decided(chances, np.full(5, np.nan), exclusive=True)
    assert (chosen.sum(axis=1) == 1).all()
    said = chosen.argmax(axis=1)
    scores = score_fold(np.eye(5)[own], chances, np.full(5, np.nan), list("abcde"), exclusive=True)
    expected = {
        "macro_f1": sk.f1_score(own, said, average="macro"),
        "accuracy": sk.accuracy_score(own, said),
        "balanced_accuracy": sk.balanced_accuracy_score(own, said),
        "macro_auroc": sk.roc_auc_score(own, chances, multi_class="ovr"),
    }
    for name, value in expected.items():
        assert scores.values[name] == pytest.approx(value, abs=1e-12), name
    assert "accuracy" not in score_fold(np.eye(5)[own], chances, np.full(5, 0.5)).values


def test_the_loss_is_torchs_and_starts_at_the_prevalence() -> None:
    put_out, own = logits(64, 4, 1)
    x, labels = torch.tensor(put_out, requires_grad=True), torch.tensor(np.eye(4)[own])
    weights = torch.tensor([1.0, 2.0, 1.0, 3.0], dtype=torch.float64)
    found = cross_entropy(x, labels, weights, Recipe(loss="cross_entropy"))
    expected = F.cross_entropy(x, torch.tensor(own), weight=weights, reduction="sum")
    torch.testing.assert_close(found, expected)
    head = nn.Linear(3, 4)
    start_at_prevalence(head, labels.float(), torch.ones(4), exclusive=True)
    counts = np.bincount(own, minlength=4) + 1
    np.testing.assert_allclose(head.bias.softmax(0).detach(), counts / counts.sum(), rtol=1e-5)


def test_training_learns_exclusive_classes_and_repeats(network, one_thread) -> None:
    def single(count: int, seed: int):
        drawn = records(count, seed)
        kept = (drawn.labels.sum(1) == 1).numpy()
        return replace(
            drawn,
            signals=drawn.signals[kept],
            labels=drawn.labels[kept],
            rows=drawn.rows[kept],
            patients=drawn.patients[kept],
            exclusive=True,
        )

    train, validation = single(300, 1), single(200, 2)
    recipe = replace(QUICK, loss="cross_entropy", epochs=12)
    result = train_one(network, train, validation, recipe, 0)
    assert result.values["accuracy"] > 0.8
    assert result.values["macro_auroc"] > 0.9
    again = train_one(network, train, validation, recipe, 0)
    assert repr((again.values, again.curve)) == repr((result.values, result.curve))
    assert all(np.isnan(one["threshold"]) for one in result.class_scores)
    for wrong, labels in ((QUICK, train), (recipe, replace(train, exclusive=False))):
        with pytest.raises(StudyError, match="expected a loss for"):
            train_one(network, labels, validation, wrong, 0)
    several = replace(train, labels=torch.ones_like(train.labels))
    with pytest.raises(StudyError, match="exactly one class"):
        train_one(network, several, validation, recipe, 0)


def test_records_without_exactly_one_class_are_left_out_and_counted(store: Store) -> None:
    rows, everyone = fold_rows(store, EXCLUSIVE), fold_rows(store, DataPlan())
    single = store.labels.sum(axis=1) == 1
    assert all((rows[fold] == own[single[own]]).all() for fold, own in everyone.items())
    count = sum(map(len, everyone.values())) - sum(map(len, rows.values()))
    assert count > 0
    assert study_warnings(store, EXCLUSIVE)[0].startswith(f"{count:,} records are excluded")


def test_a_study_of_exclusive_classes_from_plan_to_use(
    storage, store: Store, tmp_path, one_thread
) -> None:
    defined = define(
        objective="balanced_accuracy",
        data={"task": "exclusive"},
        sample={"architectures": 1, "flops": [1e5, 2e6], "bins": 1},
        recipe={"epochs": 1, "batch_size": 16},
    )
    assert defined.recipe.loss == "cross_entropy"
    study = create_study(defined, store, storage)
    assert open_study(study.name, storage).definition == defined
    assert study.data["not_exclusive"] > 0
    options = WorkerOptions(weights=tmp_path)
    assert run_worker(study.name, storage, store, "cpu", options=options, say=str) == 0
    reader = StudyReader(study.name, storage)
    trial = reader.trials.iloc[0]
    (path,) = tmp_path.rglob("*.safetensors")
    network, rows = load_network(path), fold_rows(store, defined.data)["validation"]
    assert network.card.exclusive
    assert network.card.thresholds == ()
    text = card_markdown(network.card, "", "")
    assert "their softmax are probabilities" in text
    assert "multi-class-classification" in text
    chances = network.predictor().of_prepared(np.asarray(store.signals[rows]), store.step)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    cuts = np.full(len(store.classes), np.nan)
    scores = score_fold(
        store.labels[rows], chances, cuts, store.classes,
        empty_classes="ignore", exclusive=True,
    )  # fmt: skip
    for name in ("balanced_accuracy", "accuracy", "macro_f1", "macro_auroc", "ece"):
        assert trial[name] == scores.values[name] == network.card.scores[f"validation {name}"]
    assert read_class_scores(study.name, storage)["threshold"].isna().all()
    assert reader.curves["balanced_accuracy"].iloc[-1] == trial["balanced_accuracy"]

    signal = np.random.default_rng(0).normal(size=(12, 2000))
    said = network.predict(signal, 500)
    assert said.decisions.sum() == 1
    assert len(said.findings()) == 1
    short = replace(network.card.preprocessing, minimum_seconds=1.0)
    card = replace(network.card, preprocessing=short)
    save_onnx(tmp_path / "raw.onnx", network.architecture, network, card, raw=True)
    session = onnxruntime.InferenceSession(tmp_path / "raw.onnx")
    (put_out,) = session.run(["probabilities"], {"signals_mv": np.zeros((2, 12, 100))})
    np.testing.assert_allclose(put_out.sum(axis=1), 1, rtol=1e-5)

    evaluation = evaluate([path], store, "validation")
    ((run,),) = evaluation.evaluated.networks.values()
    assert evaluation.left_out == len(store.rows("validation")) - len(rows)
    np.testing.assert_array_equal(run.decisions, decided(chances, cuts, exclusive=True))

    best = network.architecture
    confirm_study(study, [Candidate(best, 1e7, "searched", "best")], seeds=1)
    assert run_worker(study.name, storage, store, "cpu", say=str) == 0
    confirmed = StudyReader(study.name, storage).confirmed()
    assert confirmed.exclusive
    (outputs,) = confirmed.outputs.values()
    np.testing.assert_allclose(outputs.probabilities.sum(axis=1), 1, rtol=1e-5)
    (tested,) = confirmed.trials["test_accuracy"]
    own = outputs.labels.argmax(axis=1)
    assert tested == pytest.approx((outputs.probabilities.argmax(axis=1) == own).mean())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"data": {"task": "softmax"}}, "data.task to be one of 'multilabel', 'exclusive'"),
        ({"objective": "accuracy"}, "an objective for classes that go together, got 'accuracy'"),
    ],
)
def test_a_wrong_task_is_told(values, message) -> None:
    with pytest.raises(StudyError, match=message):
        StudyDefinition.from_dict({"name": "a", **values})


def test_other_studies_say_nothing_of_tasks() -> None:
    plain = json.dumps(StudyDefinition("a").to_dict())
    assert not any(word in plain for word in ("task", "objective", "plugins", "augmentation"))
