"""The trainer: it learns what is there and nothing else, and always the same."""

import dataclasses
import math
import os

import numpy as np
import pytest
import torch

import search.train
import search.training.device
import search.training.run
from data_pipeline.batches import ResidentRecords, shuffled_labels
from models import Architecture, load_space
from models.layers import Dropout, GlobalPool, Linear, Sequence
from models.memory import training_memory
from search.errors import StudyError
from search.metrics import macro_auroc, macro_f1
from search.recipe import Recipe
from search.train import Diverged, Interrupted, train_one
from search.training.checkpoint import load_checkpoint

SAMPLES, CLASSES = 128, 3
FACTORS = {
    "depth": 3,
    "stages": 3,
    "width": 16,
    "width_growth": 1.0,
    "kernel_size": 5,
    "stem_kernel": 3,
    "expansion": 1.0,
    "grouping": "dense",
    "residual": True,
    "se_ratio": 0.25,
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def network():
    """A network of the default space, with dropout so that it needs random numbers."""
    *body, _ = load_space("ecg-cnn").resolve(FACTORS).layers.layers
    head = Sequence((GlobalPool("avg"), Dropout(0.1), Linear()), name="head")
    return Architecture("with-dropout", Sequence((*body, head)))


def records(count: int, seed: int, device: str = "cpu") -> ResidentRecords:
    """Draw noise in which every class plants a rhythm of its own in two leads."""
    rng = np.random.default_rng(seed)
    labels = rng.random((count, CLASSES)) < [0.5, 0.3, 0.15]
    signals = rng.normal(size=(count, 12, SAMPLES))
    time = np.arange(SAMPLES) / SAMPLES
    for k in range(CLASSES):
        rhythm = np.sin(2 * np.pi * ((6 + 8 * k) * time + rng.random((count, 1))))
        signals[:, [k, 6 + k]] += 2 * (labels[:, k, None] * rhythm)[:, None]
    return ResidentRecords(
        signals=torch.from_numpy((signals * 1000).astype(np.int16)).to(device),
        labels=torch.from_numpy(labels.astype(np.float32)).to(device),
        step=0.001,
        sample_rate_hz=100.0,
        rows=np.arange(count),
        patients=np.arange(count),
    )


def scored(scores):
    """Everything of a result that must repeat exactly."""
    timed = {"seconds", "validation_seconds", "records_per_second", "peak_memory_bytes"}
    plain = {k: v for k, v in dataclasses.asdict(scores).items() if k not in timed}
    return repr(plain)  # repr, because NaN is not equal to itself


QUICK = Recipe(epochs=3, batch_size=16, learning_rate=3e-3, average_epochs=0.5, augment_gain=0.1)


# ---- It learns ---- #


def test_a_planted_signal_is_learned_and_shuffled_labels_are_not(network):
    recipe = Recipe(epochs=8, batch_size=32, learning_rate=5e-3)
    train, validation = records(320, 1), records(200, 2)
    learned = train_one(network, train, validation, recipe, 0)
    assert learned.macro_auroc > 0.9
    assert learned.macro_f1 > 0.75
    # A single control leans by chance towards or against what is planted (sd about 0.08).
    short = dataclasses.replace(recipe, epochs=3)
    controls = [
        train_one(network, shuffled_labels(train, k), validation, short, k).macro_auroc
        for k in range(6)
    ]
    assert abs(np.mean(controls) - 0.5) < 0.1, controls
    assert learned.curve[-1] == learned.macro_f1
    assert len(learned.curve) == 8
    assert np.mean(learned.curve[-3:]) > np.mean(learned.curve[:2])


def test_the_scores_describe_every_class(network):
    train, validation = records(80, 1), records(60, 2)
    validation.labels[:, 2] = 0  # a class the validation records lack
    epochs = []
    result = train_one(
        network, train, validation, QUICK, 0, on_epoch=lambda e, f1: epochs.append((e, f1))
    )
    assert epochs == list(enumerate(result.curve))
    assert [row["positives"] for row in result.class_scores] == validation.labels.sum(0).tolist()
    assert math.isnan(result.class_scores[2]["auroc"])
    assert result.macro_auroc == pytest.approx(
        np.mean([row["auroc"] for row in result.class_scores[:2]])
    )
    assert math.isnan(result.challenge_score)  # not the 26 scored classes
    assert 0 < result.validation_seconds < result.seconds
    assert result.records_per_second > 0
    assert result.peak_memory_bytes > 10_000_000


def test_the_finished_network_is_the_one_that_was_scored(network):
    train, validation = records(80, 1), records(60, 2)
    finished = []
    result = train_one(network, train, validation, QUICK, 0, on_finish=finished.append)
    (trained,) = finished
    with torch.no_grad():
        logits = trained.network(validation.signals.float() * validation.step)
    probabilities = torch.sigmoid(logits.double()).numpy()
    np.testing.assert_allclose(probabilities, trained.probabilities, atol=1e-4)
    labels = validation.labels.numpy()
    assert macro_auroc(labels, trained.probabilities) == result.macro_auroc
    assert macro_f1(labels, trained.probabilities > trained.thresholds) == result.macro_f1


def test_the_validation_records_teach_nothing(network):
    train = records(80, 1)
    one, other = records(60, 2), records(60, 3)
    thresholds = [
        [row["threshold"] for row in train_one(network, train, fold, QUICK, 0).class_scores]
        for fold in (one, other)
    ]
    assert thresholds[0] == thresholds[1]


# ---- It repeats ---- #


def test_same_seed_same_scores_and_another_seed_others(network):
    train, validation = records(90, 1), records(40, 2)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first = train_one(network, train, validation, QUICK, 7)
    assert torch.equal(torch.get_rng_state(), before), "the caller's generator was touched"
    torch.rand(17)
    again = train_one(network, train, validation, QUICK, 7)
    other = train_one(network, train, validation, QUICK, 8)
    assert scored(first) == scored(again)
    assert scored(first) != scored(other)


@pytest.mark.parametrize("seed", range(3))
def test_interruptions_anywhere_change_nothing(network, tmp_path, seed):
    train, validation = records(90, 1), records(40, 2)
    steps = 3 * 6  # 90 records make five and a half batches of 16: six steps
    whole = train_one(network, train, validation, QUICK, seed)
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
                network, train, validation, QUICK, seed, should_stop=should_stop, checkpoint=path
            )
        torch.load(path, weights_only=True)
    resumed = train_one(network, train, validation, QUICK, seed, checkpoint=path)
    assert done == stops[-1]
    assert scored(resumed) == scored(whole)
    assert list(path.parent.iterdir()) == [path]


def test_a_killed_trial_goes_on_from_its_last_epoch(network, tmp_path, monkeypatch):
    monkeypatch.setattr(search.train, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    train, validation = records(90, 1), records(40, 2)
    whole = train_one(network, train, validation, QUICK, 0)

    class Killed(BaseException):
        pass

    def kill(epoch, f1):
        if epoch == 1:
            raise Killed

    path, epochs = tmp_path / "trial.pt", []
    with pytest.raises(Killed):
        train_one(network, train, validation, QUICK, 0, on_epoch=kill, checkpoint=path)
    again = train_one(
        network,
        train,
        validation,
        QUICK,
        0,
        on_epoch=lambda epoch, f1: epochs.append(epoch),
        checkpoint=path,
    )
    assert epochs == [1, 2]  # the first epoch was in the checkpoint, the second was not yet
    assert scored(again) == scored(whole)


def test_stopping_without_a_checkpoint_only_stops(network):
    with pytest.raises(Interrupted, match="step 1 of epoch 1"):
        train_one(network, records(40, 1), records(20, 2), QUICK, 0, should_stop=lambda: True)


def interrupted_checkpoint(network, path):
    with pytest.raises(Interrupted):
        train_one(
            network,
            records(40, 1),
            records(20, 2),
            QUICK,
            0,
            should_stop=lambda: True,
            checkpoint=path,
        )


def test_another_trials_checkpoint_is_refused(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    with pytest.raises(StudyError, match="another network, recipe, seed or data"):
        train_one(network, records(40, 1), records(20, 2), QUICK, 1, checkpoint=path)


def test_a_checkpoint_in_another_precision_is_not_gone_on_with(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    torch.save(torch.load(path) | {"dtype": "torch.bfloat16"}, path)
    train, validation = records(40, 1), records(20, 2)
    with pytest.warns(UserWarning, match=r"in torch.bfloat16 .* starts anew"):
        result = train_one(network, train, validation, QUICK, 0, checkpoint=path)
    assert scored(result) == scored(train_one(network, train, validation, QUICK, 0))


def test_a_damaged_checkpoint_costs_time_only(network, tmp_path):
    path = tmp_path / "trial.pt"
    interrupted_checkpoint(network, path)
    os.truncate(path, path.stat().st_size // 2)
    train, validation = records(40, 1), records(20, 2)
    with pytest.warns(UserWarning, match="cannot be read"):
        result = train_one(network, train, validation, QUICK, 0, checkpoint=path)
    assert scored(result) == scored(train_one(network, train, validation, QUICK, 0))


def test_a_checkpoint_that_would_run_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "pwned"),)

    torch.save({"fingerprint": Evil()}, tmp_path / "trial.pt")
    with pytest.warns(UserWarning, match="cannot be read"):
        assert load_checkpoint(tmp_path / "trial.pt", "x") is None
    assert not (tmp_path / "pwned").exists()


# ---- It fails well ---- #


def test_divergence_is_named(network):
    signals = records(64, 1)
    with pytest.raises(Diverged, match="loss is nan"):
        train_one(
            network,
            dataclasses.replace(signals, step=float("inf")),
            signals,
            QUICK,
            0,
        )


def linear_network(architecture, leads, outputs):
    """Build a network without batch normalisation, which no learning rate can bound."""
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(leads * SAMPLES, outputs))


def test_a_hopeless_learning_rate_diverges(network, monkeypatch):
    monkeypatch.setattr(search.training.run, "build", linear_network)
    recipe = dataclasses.replace(QUICK, learning_rate=10.0, warmup=0.0)
    with pytest.raises(Diverged, match="try a learning rate below 10"):
        train_one(network, records(200, 1), records(40, 2), recipe, 0)


def short_of_memory(monkeypatch, largest):
    """Make every network fail on more than `largest` records, as a full device does."""
    true_build = search.training.run.build

    def build(*arguments):
        network = true_build(*arguments)

        def check(module, inputs):
            if module.training and len(inputs[0]) > largest:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        network.register_forward_pre_hook(check)
        return network

    monkeypatch.setattr(search.training.run, "build", build)


def test_out_of_memory_halves_the_micro_batch(network, monkeypatch):
    train, validation = records(90, 1), records(40, 2)
    recipe = dataclasses.replace(QUICK, batch_size=32)
    short_of_memory(monkeypatch, 10)
    result = train_one(network, train, validation, recipe, 0)
    assert result.micro_batch == 8
    assert scored(result) == scored(train_one(network, train, validation, recipe, 0))


def test_micro_batches_start_at_what_the_estimate_allows(network, monkeypatch):
    train, validation = records(90, 1), records(40, 2)
    recipe = dataclasses.replace(QUICK, batch_size=64)
    needed = [
        training_memory(network, batch=64 >> k, samples=SAMPLES, outputs=CLASSES).peak_bytes
        for k in range(3)
    ]
    for free, expected in ((2 * needed[0], 64), (1.3 * needed[1], 32), (1.3 * needed[2], 16)):
        monkeypatch.setattr(search.training.device, "free_memory_bytes", lambda device, n=free: n)
        assert train_one(network, train, validation, recipe, 0).micro_batch == expected


def test_what_a_full_or_a_broken_gpu_says():
    full = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`")
    for words in full:
        assert search.training.device.is_out_of_memory(RuntimeError(words))
        assert not search.training.device.is_broken(RuntimeError(words))
    broken = RuntimeError("CUDA error: an illegal memory access was encountered")
    assert search.training.device.is_broken(broken)
    assert not search.training.device.is_out_of_memory(broken)
    assert not search.training.device.is_broken(OSError("no disk"))


def test_out_of_memory_at_the_smallest_micro_batch_is_raised(network, monkeypatch):
    short_of_memory(monkeypatch, 4)
    with pytest.raises(torch.OutOfMemoryError):
        train_one(network, records(40, 1), records(20, 2), QUICK, 0)


def test_micro_batches_add_up_to_the_batch(network, monkeypatch):
    """Without batch normalisation the steps are those of the whole batch."""

    monkeypatch.setattr(search.training.run, "build", linear_network)
    trial = search.training.run.Trial(network, records(32, 1), records(8, 2), QUICK, 0)
    steps = []
    for micro_batch in (16, 5):
        torch.manual_seed(0)
        run = search.training.run.Run(trial, micro_batch, None)
        for _ in range(3):
            run.step(trial.train.signals[:16].float() / 1000, trial.train.labels[:16])
        steps.append([p.detach().clone() for p in run.network.parameters()])
    for whole, parts in zip(*steps, strict=True):
        torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-6)


def test_predictions_of_the_folded_network_are_the_networks_own(network):
    trial = search.training.run.Trial(network, records(64, 1), records(20, 2), QUICK, 0)
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


def test_running_statistics_keep_their_horizon_under_micro_batches():
    norm = torch.nn.BatchNorm1d(1)
    search.training.run.share_statistics(norm, 4)
    for _ in range(4):
        norm(torch.full((8, 1), 3.0) + torch.tensor([[-1.0], [1.0]]).repeat(4, 1))
    assert norm.running_mean.item() == pytest.approx(0.1 * 3)


def test_records_must_lie_on_the_training_device(network):
    with pytest.raises(StudyError, match="Expected records on cuda"):
        train_one(network, records(20, 1), records(20, 2), QUICK, 0, device="cuda")


# ---- Averaged weights ---- #


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_repeats_itself_and_resumes(network, tmp_path):
    train, validation = records(90, 1, "cuda"), records(40, 2, "cuda")
    whole = train_one(network, train, validation, QUICK, 0)
    steps = iter(range(8))
    with pytest.raises(Interrupted):
        train_one(
            network,
            train,
            validation,
            QUICK,
            0,
            should_stop=lambda: next(steps) == 7,
            checkpoint=tmp_path / "trial.pt",
        )
    resumed = train_one(network, train, validation, QUICK, 0, checkpoint=tmp_path / "trial.pt")
    assert scored(resumed) == scored(whole)
