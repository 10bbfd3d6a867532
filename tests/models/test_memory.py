"""The memory formula against the tensors autograd really keeps."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from models import load_space, reference
from models.build import build
from models.memory import training_memory

BATCH = 4


def kept_bytes(network: nn.Module, x: torch.Tensor) -> int:
    """Return the bytes of the different storages that the forward pass saves."""
    own = {t.untyped_storage().data_ptr() for t in [*network.parameters(), *network.buffers()]}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        network(x)
    return sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in own)


@pytest.mark.parametrize("name", ["ecg-cnn", "ecg-cnn-2", "regnet1d", "ecg-hybrid"])
def test_saved_bytes_are_those_autograd_keeps(draw, name):
    for architecture in draw(load_space(name), 12, seed=21):
        measured = kept_bytes(build(architecture).train(), torch.randn(BATCH, 12, 1000))
        assert training_memory(architecture, batch=BATCH).saved_bytes == pytest.approx(
            measured, rel=0.005
        )


@pytest.mark.parametrize(
    "name",
    ["xresnet1d50", "inception1d", "ribeiro", "net1d", "mobilenetv2", "efficientnet-b0",
     "densenet121", "convnext-atto", "isibrno", "se-wrn"],
)  # fmt: skip
def test_saved_bytes_of_the_references(name):
    architecture = reference(f"{name}@0.25")
    measured = kept_bytes(build(architecture).train(), torch.randn(BATCH, 12, 1000))
    estimate = training_memory(architecture, batch=BATCH)
    assert estimate.saved_bytes == pytest.approx(measured, rel=0.06)
    assert estimate.parameter_bytes == 16 * architecture.cost().params
    assert estimate.peak_bytes > estimate.saved_bytes + estimate.parameter_bytes


def test_memory_grows_with_batch_and_element_size(ecg_cnn, draw):
    architecture = draw(ecg_cnn, 1)[0]
    one, four = training_memory(architecture, batch=1), training_memory(architecture, batch=4)
    assert four.saved_bytes == pytest.approx(4 * one.saved_bytes, rel=0.01)  # but for statistics
    assert four.parameter_bytes == one.parameter_bytes
    half = training_memory(architecture, batch=4, bytes_per_element=2)
    assert 2 * half.saved_bytes == pytest.approx(four.saved_bytes, rel=0.01)
