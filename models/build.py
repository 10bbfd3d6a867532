"""Build the torch network of an architecture, walking the same tree as the cost does."""

from __future__ import annotations

import torch
from torch import nn

from models.architecture import Architecture
from models.batch_norm import BatchNorm
from models.errors import ModelError
from models.layers import (
    Act,
    Add,
    Attention,
    Concat,
    Conv,
    Custom,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    PadChannels,
    Pool,
    Scale,
    Sequence,
    SqueezeExcite,
)
from models.modules import (
    ChannelNorm,
    ChannelPad,
    ChannelScale,
    DepthwiseConv,
    FlattenTo,
    Gate,
    GlobalPool2d,
    Join,
    Network,
    Outside,
    SamePad,
    SelfAttention,
    Sum,
)
from models.shape import DEFAULT

_ACTS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
# GELU has no in-place form.
_IN_PLACE = {"relu", "relu6", "leaky_relu", "silu"}


def build(
    architecture: Architecture, leads: int = DEFAULT.leads, outputs: int = DEFAULT.outputs
) -> nn.Module:
    """Return the network, freshly initialised from torch's global generator.

    It maps float32 (batch, leads, samples) to logits (batch, outputs), for any number of samples
    that `architecture.cost` accepts. Weights are in channels_last memory; convolutions start from
    He's normal initialisation (fan in, so that grouped ones are right too), the last layer near 0;
    a plug-in's module as the plug-in does it.
    """
    return build_layers(architecture.layers, leads, outputs)


def build_layers(layers: Layer, leads: int, outputs: int) -> nn.Module:
    """Return the network of a tree of layers."""
    body, _ = _build(layers, leads, outputs)
    return Network(body).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _build(layer: Layer, channels: int, outputs: int) -> tuple[nn.Module, int]:
    """Return the module of a layer and the channels it puts out."""
    match layer:
        case Conv():
            return _conv(layer, channels), layer.out
        case Norm():
            return _norm(layer, channels), channels
        case Act():
            return _act(layer.kind), channels
        case Sequence():
            modules = []
            for child in layer.layers * layer.repeat:
                module, channels = _build(child, channels, outputs)
                modules.append(module)
            return nn.Sequential(*modules), channels
        case Add():
            built = [_build(branch, channels, outputs) for branch in layer.branches]
            return Sum([module for module, _ in built]), built[0][1]
        case Concat():
            built = [_build(branch, channels, outputs) for branch in layer.branches]
            return Join([module for module, _ in built]), sum(out for _, out in built)
        case SqueezeExcite():
            return Gate(channels, layer.hidden, _act(layer.act), layer.bias), channels
        case Pool():
            return _pool(layer), channels
        case GlobalPool():
            doubled = 2 if layer.kind == "maxavg" else 1
            return GlobalPool2d(layer.kind), doubled * channels
        case Linear():
            out = outputs if layer.out is None else layer.out
            linear = nn.Linear(channels, out, layer.bias)
            if layer.out is None:
                nn.init.normal_(linear.weight, std=0.01)
                nn.init.zeros_(linear.bias)
            return linear, out
        case Dropout():
            return nn.Dropout(layer.rate), channels
        case Attention():
            return SelfAttention(channels, layer.heads), channels
        case Scale():
            return ChannelScale(channels, layer.start), channels
        case PadChannels():
            return ChannelPad(channels, layer.out), layer.out
        case Flatten():
            return FlattenTo(layer.length), channels * layer.length
        case Custom():
            from models.custom import custom_module

            return Outside(custom_module(layer, channels, outputs)), outputs


def _conv(layer: Conv, channels: int) -> nn.Module:
    same = layer.padding == "same"
    pad = (layer.kernel - 1) // 2 if layer.padding is None else layer.padding
    depthwise = layer.groups == channels == layer.out and channels > 1
    conv = (DepthwiseConv if depthwise else nn.Conv2d)(
        channels,
        layer.out,
        (1, layer.kernel),
        (1, layer.stride),
        (0, 0 if same else int(pad)),
        groups=layer.groups,
        bias=layer.bias,
    )
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return nn.Sequential(SamePad(layer.kernel, layer.stride), conv) if same else conv


def _norm(layer: Norm, channels: int) -> nn.Module:
    norm: BatchNorm | ChannelNorm
    if layer.kind == "batch":
        norm = BatchNorm(channels)
    elif layer.kind == "layer":
        norm = ChannelNorm(channels, eps=1e-6)
    else:
        raise ModelError(f'expected norm "batch" or "layer", got {layer.kind!r}')
    if layer.zero:
        nn.init.zeros_(norm.weight)
    return norm


def _act(kind: str) -> nn.Module:
    if kind not in _ACTS:
        raise ModelError(f"expected an activation of {', '.join(_ACTS)}, got {kind!r}")
    return _ACTS[kind](inplace=True) if kind in _IN_PLACE else _ACTS[kind]()


def _pool(layer: Pool) -> nn.Module:
    if layer.kind not in ("max", "avg"):
        raise ModelError(f'expected pooling "max" or "avg", got {layer.kind!r}')
    kernel, stride = (1, layer.kernel), (1, layer.stride)
    same = layer.padding == "same"
    padding = (0, 0 if same else int(layer.padding))
    pool: nn.Module
    if layer.kind == "max":
        pool = nn.MaxPool2d(kernel, stride, padding, ceil_mode=layer.ceil)
    else:
        pool = nn.AvgPool2d(kernel, stride, padding, ceil_mode=layer.ceil, count_include_pad=False)
    if not same:
        return pool
    lowest = float("-inf") if layer.kind == "max" else 0.0
    return nn.Sequential(SamePad(layer.kernel, layer.stride, lowest), pool)
