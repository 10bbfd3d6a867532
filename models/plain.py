"""The same network in plain Conv1d on (batch, channels, samples): what ours is held against.

Only tests and benchmarks use it; it shares no forward pass with the Conv2d network but the
arithmetic of gates and sums.
"""

from __future__ import annotations

import copy

from torch import Tensor, nn

from models.batch_norm import BatchNorm
from models.modules import ChannelNorm, ChannelScale, Gate, GlobalPool2d, Network


class _PlainNetwork(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        return logits


class _PlainNorm(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:
        if input.dim() == 2:
            return super().forward(input)
        return super().forward(input.transpose(1, 2)).transpose(1, 2)


class _PlainGate(Gate):
    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.excite(self.act(self.squeeze(x.mean(2)))).sigmoid()
        return x * gate.unsqueeze(2)


class _PlainPool(GlobalPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.unsqueeze(2))


def as_conv1d(network: nn.Module) -> nn.Module:
    """Return a copy of a built network with the same weights in Conv1d, BatchNorm1d and so on.

    Networks with attention, flattening or padded channels have no plain form here.
    """
    assert isinstance(network, Network)
    return _PlainNetwork(_convert(copy.deepcopy(network.body))).train(network.training)


def _convert(module: nn.Module) -> nn.Module:
    if isinstance(module, nn.Conv2d):
        return _conv1d(module)
    if isinstance(module, BatchNorm):
        norm = nn.BatchNorm1d(module.num_features).to(module.weight.dtype)
        norm.load_state_dict(module.state_dict())
        return norm
    if isinstance(module, ChannelNorm):
        layer_norm = _PlainNorm(module.normalized_shape, module.eps).to(module.weight.dtype)
        layer_norm.load_state_dict(module.state_dict())
        return layer_norm
    if isinstance(module, nn.MaxPool2d):
        pool = (module.kernel_size[1], module.stride[1], module.padding[1])  # type: ignore[index]
        return nn.MaxPool1d(*pool, ceil_mode=module.ceil_mode)
    if isinstance(module, nn.AvgPool2d):
        kernel, stride = module.kernel_size[1], module.stride[1]  # type: ignore[index]
        return nn.AvgPool1d(kernel, stride, ceil_mode=module.ceil_mode)
    if isinstance(module, ChannelScale):
        module.weight.data = module.weight.data.squeeze(2)
    elif isinstance(module, Gate):
        module.__class__ = _PlainGate
    elif isinstance(module, GlobalPool2d):
        module.__class__ = _PlainPool
    for name, child in module.named_children():
        setattr(module, name, _convert(child))
    return module


def _conv1d(conv: nn.Conv2d) -> nn.Conv1d:
    plain = nn.Conv1d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[1],
        conv.stride[1],
        conv.padding[1],
        groups=conv.groups,
        bias=conv.bias is not None,
    )
    plain.weight.data = conv.weight.data.squeeze(2).contiguous()
    if conv.bias is not None:
        assert plain.bias is not None
        plain.bias.data = conv.bias.data
    return plain
