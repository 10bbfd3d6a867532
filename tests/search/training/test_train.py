"""The trainer: it learns what is there and nothing else, and always the same."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import search.training.device
import search.training.run
import search.training.train
from data_pipeline.batches import shuffled_labels
from search.errors import StudyError
from search.training.metrics import macro_auroc, macro_f1
from search.training.recipe import Recipe
from search.training.train import Interrupted, train_one
from tests.search.rhythms import records, scored

pytestmark = pytest.mark.usefixtures("one_thread")


# ---- It learns ---- #


def test_a_planted_signal_is_learned_and_shuffled_labels_are_not(network, quick):
    recipe = Recipe(epochs=8, batch_size=32, learning_rate=5e-3, precision=quick.precision)
    train, validation = records(320, 1), records(200, 2)
    learned = train_one(network, train, validation, recipe, 0)
    assert learned.values["macro_auroc"] > 0.9
    assert learned.objective > 0.75
    # A single control leans by chance towards or against what is planted (sd about 0.08).
    short = dataclasses.replace(recipe, epochs=3)
    controls = [
        train_one(network, shuffled_labels(train, k), validation, short, k).values["macro_auroc"]
        for k in range(6)
    ]
    assert abs(np.mean(controls) - 0.5) < 0.1, controls
    assert learned.curve[-1] == learned.objective
    assert len(learned.curve) == 8
    assert np.mean(learned.curve[-3:]) > np.mean(learned.curve[:2])


def test_the_scores_describe_every_class(network, quick):
    train, validation = records(80, 1), records(60, 2)
    validation.labels[:, 2] = 0  # a class the validation records lack
    epochs = []
    result = train_one(
        network, train, validation, quick, 0, on_epoch=lambda e, f1: epochs.append((e, f1))
    )
    assert epochs == list(enumerate(result.curve))
    assert [row["positives"] for row in result.class_scores] == validation.labels.sum(0).tolist()
    assert math.isnan(result.class_scores[2]["auroc"])
    assert result.values["macro_auroc"] == pytest.approx(
        np.mean([row["auroc"] for row in result.class_scores[:2]])
    )
    assert math.isnan(result.values["challenge_score"])  # not the 26 scored classes
    assert 0 < result.validation_seconds < result.seconds
    assert result.records_per_second > 0
    assert result.peak_memory_bytes > 10_000_000


def test_the_finished_network_is_the_one_that_was_scored(network, quick):
    train, validation = records(80, 1), records(60, 2)
    finished = []
    result = train_one(network, train, validation, quick, 0, on_finish=finished.append)
    (trained,) = finished
    with torch.no_grad():
        logits = trained.network(validation.signals.float() * validation.step)
    probabilities = torch.sigmoid(logits.double()).numpy()
    np.testing.assert_allclose(probabilities, trained.probabilities, atol=1e-4)
    labels = validation.labels.numpy()
    assert macro_auroc(labels, trained.probabilities) == result.values["macro_auroc"]
    decisions = trained.probabilities > trained.thresholds
    assert macro_f1(labels, decisions, empty_classes="ignore") == result.objective


@pytest.mark.parametrize("rule", ["ignore", "challenge"])
def test_the_recipe_says_what_a_class_without_positives_counts(network, quick, rule):
    train, validation = records(80, 1), records(60, 2)
    labels = validation.labels.clone()
    labels[:, 0] = 0
    finished = []
    recipe = dataclasses.replace(quick, empty_classes=rule, threshold_slack=0.0)
    empty = dataclasses.replace(validation, labels=labels)
    result = train_one(network, train, empty, recipe, 0, on_finish=finished.append)
    (trained,) = finished
    decisions = trained.probabilities > trained.thresholds
    assert decisions[:, 0].any(), "a false alarm"
    each = [2 * (labels.numpy()[:, k] * decisions[:, k]).sum() for k in range(labels.shape[1])]
    named = [labels.numpy()[:, k].sum() + decisions[:, k].sum() for k in range(labels.shape[1])]
    f1 = np.divide(each, named)
    assert result.objective == pytest.approx(f1[1:].mean() if rule == "ignore" else f1.mean())


def test_the_curve_takes_the_last_outputs_and_the_score_all_records(network, quick, monkeypatch):
    train, validation = records(90, 1), records(60, 2)
    seen = []
    best = search.training.train.best_thresholds
    monkeypatch.setattr(
        search.training.train,
        "best_thresholds",
        lambda labels, chances, **more: seen.append(labels) or best(labels, chances, **more),
    )
    whole = train_one(network, train, validation, quick, 0)
    monkeypatch.setattr(search.training.train, "CURVE_OUTPUTS", 50)
    short = train_one(network, train, validation, quick, 0)
    assert [len(labels) for labels in seen] == [90, 90, 90, 50, 50, 90]
    assert all((seen[k + 3] == seen[k][-50:]).all() for k in (0, 1))
    assert scored(dataclasses.replace(short, curve=whole.curve)) == scored(whole)


def test_the_validation_records_teach_nothing(network, quick):
    train = records(80, 1)
    one, other = records(60, 2), records(60, 3)
    thresholds = [
        [row["threshold"] for row in train_one(network, train, fold, quick, 0).class_scores]
        for fold in (one, other)
    ]
    assert thresholds[0] == thresholds[1]


# ---- It repeats ---- #


def test_same_seed_same_scores_and_another_seed_others(network, quick):
    train, validation = records(90, 1), records(40, 2)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first = train_one(network, train, validation, quick, 7)
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator was touched"
    torch.rand(17)
    again = train_one(network, train, validation, quick, 7)
    other = train_one(network, train, validation, quick, 8)
    assert scored(first) == scored(again)
    assert scored(first) != scored(other)


@pytest.mark.parametrize("seed", range(3))
def test_interruptions_anywhere_change_nothing(network, tmp_path, seed, quick):
    train, validation = records(90, 1), records(40, 2)
    steps = 3 * 6  # 90 records make five and a half batches of 16: six steps
    whole = train_one(network, train, validation, quick, seed)
    stops = sorted(np.random.default_rng(seed).choice(steps, 3, replace=False) + 1)
    path = tmp_path / "deep" / "trial.pt"
    done = 0

    def should_stop():
        nonlocal done
        done += 1
        return done in stops

    for _ in stops:
        with pytest.raises(Interrupted):
            train_one(
                network, train, validation, quick, seed, should_stop=should_stop, checkpoint=path
            )
        torch.load(path, weights_only=True)
    resumed = train_one(network, train, validation, quick, seed, checkpoint=path)
    assert done == stops[-1]
    assert scored(resumed) == scored(whole)
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_trial_goes_on_from_its_last_epoch(network, tmp_path, monkeypatch, quick):
    monkeypatch.setattr(search.training.train, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    train, validation = records(90, 1), records(40, 2)
    whole = train_one(network, train, validation, quick, 0)

    class Killed(BaseException):
        pass

    def kill(epoch, f1):
        if epoch == 1:
            raise Killed

    path, epochs = tmp_path / "trial.pt", []
    with pytest.raises(Killed):
        train_one(network, train, validation, quick, 0, on_epoch=kill, checkpoint=path)
    again = train_one(
        network,
        train,
        validation,
        quick,
        0,
        on_epoch=lambda epoch, f1: epochs.append(epoch),
        checkpoint=path,
    )
    assert epochs == [1, 2]  # the first epoch was in the checkpoint, the second was not yet
    assert scored(again) == scored(whole)


def test_stopping_without_a_checkpoint_only_stops(network, quick):
    with pytest.raises(Interrupted, match="step 1 of epoch 1"):
        train_one(network, records(40, 1), records(20, 2), quick, 0, should_stop=lambda: True)


def test_predictions_of_the_folded_network_are_the_networks_own(network, quick):
    trial = search.training.run.Trial(
        network, records(64, 1), records(20, 2), quick, 0, quick.precision
    )
    run = search.training.run.Run(trial, 16, None)
    run.network.train()
    for _ in range(5):
        run.step(trial.train.signals[:16].float() / 1000, trial.train.labels[:16])
    scored = run.averaged.network.eval()
    with torch.no_grad():
        expected = scored(trial.validation.signals.float() * trial.validation.step)
    torch.testing.assert_close(
        torch.from_numpy(run.predict(trial.validation)), expected, rtol=1e-3, atol=1e-4
    )


def test_records_must_lie_on_the_training_device(network, quick):
    with pytest.raises(StudyError, match="Expected records on cuda"):
        train_one(network, records(20, 1), records(20, 2), quick, 0, device="cuda")


# ---- On a GPU ---- #


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_repeats_itself_and_resumes(network, tmp_path, quick):
    train, validation = records(90, 1, "cuda"), records(40, 2, "cuda")
    whole = train_one(network, train, validation, quick, 0)
    steps = iter(range(8))
    with pytest.raises(Interrupted):
        train_one(
            network,
            train,
            validation,
            quick,
            0,
            should_stop=lambda: next(steps) == 7,
            checkpoint=tmp_path / "trial.pt",
        )
    resumed = train_one(network, train, validation, quick, 0, checkpoint=tmp_path / "trial.pt")
    assert scored(resumed) == scored(whole)
