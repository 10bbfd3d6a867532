from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models import Architecture, Cost, Space, load_space


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def ecg_cnn() -> Space:
    return load_space("ecg-cnn")


@pytest.fixture
def draw() -> Callable[..., list[Architecture]]:
    """Draw architectures of a space, those above `max_flops` at 12×1000 left out."""

    def draw(
        space: Space, count: int, *, seed: int = 0, max_flops: float = 1e8, max_params: float = 1e6
    ) -> list[Architecture]:
        rng = np.random.default_rng(seed)
        found: list[Architecture] = []
        while len(found) < count:
            values = {factor.name: factor.draw(rng, 1)[0] for factor in space.factors}
            if not space.allows(values):
                continue
            architecture = space.resolve(values)
            cost = architecture.cost()
            if cost.flops <= max_flops and cost.params <= max_params:
                found.append(architecture)
        return found

    return draw


@pytest.fixture(name="measured_cost")
def _measured_cost() -> Callable[[nn.Module, int, int], Cost]:
    return measured_cost


def measured_cost(network: nn.Module, leads: int, samples: int) -> Cost:
    """Count with torch: FlopCounterMode, numel, and hooks on every convolution."""
    activations = 0

    def count(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal activations
        activations += output.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(count)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, leads, samples))
    params = sum(parameter.numel() for parameter in network.parameters())
    return Cost(params, counter.get_total_flops(), activations)
