"""Networks of a wanted cost and kind for the training benchmarks, and their Conv1d twins."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models import Architecture, load_space
from models.modules import Gate, GlobalPool2d, Network

GROUPINGS = ("dense", "group16", "depthwise")


def network_of(mflop: float, grouping: str) -> Architecture:
    """Return the residual network of 8 blocks, kernel 7, SE 1/4 whose width fits the cost best."""
    space = load_space("ecg-cnn")
    factors = {
        "depth": 8,
        "stages": 4,
        "width_growth": 1.5,
        "kernel_size": 7,
        "stem_kernel": 7,
        "expansion": 4.0 if grouping == "depthwise" else 1.0,
        "grouping": grouping,
        "residual": True,
        "se_ratio": 0.25,
    }
    candidates = [space.resolve(factors | {"width": width}) for width in range(16, 129)]
    return min(candidates, key=lambda a: abs(a.cost().flops - mflop * 1e6))


class Conv1dTwin(nn.Module):
    """The same network as most people write it: Conv1d and BatchNorm1d over (batch, leads, time).

    Shares no memory with the original; in evaluation mode it computes the same function.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        assert isinstance(network, Network)
        self.body = _flatten(copy.deepcopy(network.body))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        return logits


class _Gate1d(nn.Module):
    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.squeeze, self.act, self.excite = gate.squeeze, gate.act, gate.excite

    def forward(self, x: Tensor) -> Tensor:
        gate = torch.sigmoid(self.excite(self.act(self.squeeze(x.mean(2)))))
        return x * gate[:, :, None]


class _GlobalPool1d(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(2)


def _flatten(module: nn.Module) -> nn.Module:
    match module:
        case nn.Conv2d():
            flat = nn.Conv1d(
                module.in_channels,
                module.out_channels,
                module.kernel_size[1],
                module.stride[1],
                module.padding[1],
                groups=module.groups,
                bias=module.bias is not None,
            )
            state = {
                k: v.squeeze(2) if k == "weight" else v for k, v in module.state_dict().items()
            }
            flat.load_state_dict(state)
            return flat.to(module.weight.device)
        case nn.BatchNorm2d():
            norm = nn.BatchNorm1d(module.num_features)
            norm.load_state_dict(module.state_dict())
            return norm.to(module.weight.device)
        case nn.AvgPool2d():
            return nn.AvgPool1d(2, 2, ceil_mode=True, count_include_pad=False)
        case GlobalPool2d():
            return _GlobalPool1d()
        case Gate():
            return _Gate1d(module)
    for name, child in module.named_children():
        setattr(module, name, _flatten(child))
    return module
