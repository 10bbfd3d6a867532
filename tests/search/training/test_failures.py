"""Training that diverges, or for which memory is short."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import search.training.device
import search.training.run
import search.training.train
from models.memory import training_memory
from search.training.train import Diverged, Interrupted, train_one
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


FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def short_of_memory(monkeypatch, largest, error=FULL):
    """Make every network fail on more than `largest` records, as a full device does."""
    true_build = search.training.run.build

    def build(*arguments):
        network = true_build(*arguments)

        def check(module, inputs):
            if module.training and len(inputs[0]) > largest:
                raise error

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


def held_by_others(monkeypatch, seconds: float, *, for_good: bool = False) -> list[float]:
    """Let the device's memory be another's for a while, or for good; return when it was asked."""
    asked: list[float] = []
    device, train = search.training.device, search.training.train

    def free(_: torch.device) -> int:
        asked.append(1.0)
        return 1 if for_good or len(asked) < 3 else 10**12

    monkeypatch.setattr(device, "is_shared", lambda _: True)
    monkeypatch.setattr(device, "free_memory_bytes", free)
    monkeypatch.setattr(train, "SECONDS_FOR_MEMORY", seconds)
    return asked


def test_memory_that_others_give_back_changes_no_batch(network, monkeypatch):
    train, validation = records(90, 1), records(40, 2)
    recipe = dataclasses.replace(QUICK, batch_size=32)
    asked = held_by_others(monkeypatch, 60.0)
    assert train_one(network, train, validation, recipe, 0).micro_batch == 32
    assert len(asked) >= 3
    held_by_others(monkeypatch, 0.0, for_good=True)
    assert train_one(network, train, validation, recipe, 0).micro_batch == 8


def test_a_step_that_others_crowded_out_is_tried_at_its_size_again(network, monkeypatch):
    train, validation = records(90, 1), records(40, 2)
    recipe = dataclasses.replace(QUICK, batch_size=32)
    failures: list[float] = []
    true_train = search.training.train._train

    def crowded(*arguments):
        if not failures:
            failures.append(1.0)
            held_by_others(monkeypatch, 60.0)
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return true_train(*arguments)

    monkeypatch.setattr(search.training.train, "_train", crowded)
    assert train_one(network, train, validation, recipe, 0).micro_batch == 32
    assert failures


def test_waiting_for_memory_can_be_stopped(network, monkeypatch):
    held_by_others(monkeypatch, 60.0, for_good=True)
    with pytest.raises(Interrupted):
        train_one(network, records(90, 1), records(40, 2), QUICK, 0, should_stop=lambda: True)


# What devices have said, each with what it means: torch 2.8 to 2.13, cuDNN 8 and 9.
SAID = {
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of": "memory",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported": "memory",
    "CUDA driver error: out of memory": "memory",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`": "memory",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED": "memory",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED": "memory",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED": "memory",
    "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory": "memory",
    "CUDA error: an illegal memory access was encountered": "broken",
    "CUDA error: device-side assert triggered": "broken",
    "CUDA error: uncorrectable ECC error encountered": "broken",
    "CUDA driver error: unknown error": "broken",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED": "broken",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR": "broken",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(handle)`": "broken",
    "GET was unable to find an engine to execute this computation": "unsupported",
    "FIND was unable to find an engine to execute this computation": "unsupported",
    "Unable to find a valid cuDNN algorithm to run convolution": "unsupported",
    "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED": "unsupported",
    "The size of tensor a (3) must match the size of tensor b (4)": "the trial's",
}


@pytest.mark.parametrize("kind", [RuntimeError, torch.AcceleratorError])
@pytest.mark.parametrize(("words", "meaning"), SAID.items())
def test_what_a_device_says_is_understood(words, meaning, kind):
    error = kind(words)
    if kind is torch.AcceleratorError and meaning == "the trial's":
        meaning = "broken"
    found = {
        "memory": search.training.device.is_out_of_memory(error),
        "broken": search.training.device.is_broken(error),
        "unsupported": search.training.device.is_unsupported(error),
    }
    assert [name for name, holds in found.items() if holds] == (
        [meaning] if meaning in found else []
    )


def test_other_errors_are_no_fault_of_the_device():
    for error in (OSError("CUDA error: no disk"), ValueError("cuDNN error"), KeyError("x")):
        assert not search.training.device.is_out_of_memory(error)
        assert not search.training.device.is_broken(error)
        assert not search.training.device.is_unsupported(error)


def test_a_layer_without_an_algorithm_is_tried_with_less_and_then_named(network, monkeypatch):
    train, validation = records(90, 1), records(40, 2)
    recipe = dataclasses.replace(QUICK, batch_size=32)
    nothing = RuntimeError("GET was unable to find an engine to execute this computation")
    with monkeypatch.context() as patch:
        short_of_memory(patch, 10, nothing)  # it often means that there was no memory to work in
        assert train_one(network, train, validation, recipe, 0).micro_batch == 8
    short_of_memory(monkeypatch, 4, nothing)
    with pytest.raises(search.training.device.Unsupported, match="8 records at once: GET was"):
        train_one(network, train, validation, recipe, 0)


def test_out_of_memory_at_the_smallest_micro_batch_is_raised(network, monkeypatch):
    short_of_memory(monkeypatch, 4)
    with pytest.raises(torch.OutOfMemoryError):
        train_one(network, records(40, 1), records(20, 2), QUICK, 0)


def test_micro_batches_add_up_to_the_batch(network, monkeypatch, quick):
    """Without batch normalisation and decay the steps are those of the whole batch."""
    quick = dataclasses.replace(quick, weight_decay=0.0)
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
