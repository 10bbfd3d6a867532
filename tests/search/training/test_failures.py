"""Training that diverges, or for which memory is short."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import search.training.device
import search.training.run
import search.training.train
from models.memory import training_memory
from search.training.train import Diverged, train_one
from tests.search.rhythms import CLASSES, QUICK, SAMPLES, linear_network, records, scored

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_micro_batches_start_at_what_the_estimate_allows(network, monkeypatch, quick):
    train, validation = records(90, 1), records(40, 2)
    recipe = dataclasses.replace(quick, batch_size=64)
    size = 4 if quick.precision == "fp32" else 2
    shape = {"samples": SAMPLES, "outputs": CLASSES, "bytes_per_element": size}
    needed = [training_memory(network, batch=64 >> k, **shape).peak_bytes for k in range(3)]
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


def test_micro_batches_add_up_to_the_batch(network, monkeypatch, quick):
    """Without batch normalisation the steps are those of the whole batch."""

    monkeypatch.setattr(search.training.run, "build", linear_network)
    trial = search.training.run.Trial(
        network, records(32, 1), records(8, 2), quick, 0, quick.precision
    )
    steps = []
    for micro_batch in (16, 5):
        torch.manual_seed(0)
        run = search.training.run.Run(trial, micro_batch, None)
        start = [p.detach().clone() for p in run.network.parameters()]
        for _ in range(3):
            run.step(trial.train.signals[:16].float() / 1000, trial.train.labels[:16])
        steps.append([p.detach().clone() for p in run.network.parameters()])
    # bf16 keeps eight bits of a product; a sum in other parts is rounded elsewhere.
    tolerance = {"fp32": 1e-5, "bf16": 2**-8}[quick.precision]
    for before, whole, parts in zip(start, *steps, strict=True):
        assert (whole - parts).norm() <= tolerance * (whole - before).norm()


def test_running_statistics_keep_their_horizon_under_micro_batches():
    norm = torch.nn.BatchNorm1d(1)
    search.training.run.share_statistics(norm, 4)
    for _ in range(4):
        norm(torch.full((8, 1), 3.0) + torch.tensor([[-1.0], [1.0]]).repeat(4, 1))
    assert norm.running_mean.item() == pytest.approx(0.1 * 3)
