"""The layers a network is made of, as frozen data.

A network is one tree of these. `cost` and `build` both walk the same tree, so what is counted is
what is built, and the hash of a network is the hash of its tree. Input channels are never written
down: they follow from the layer before, hence a tree fits any number of leads and outputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields
from functools import lru_cache
from typing import Any

from models.errors import ModelError


@dataclass(frozen=True, slots=True)
class Conv:
    """Convolution over time.

    `padding` None is (kernel − 1) // 2 on both sides, which keeps the length for odd kernels;
    "same" gives ceil(length / stride) for every kernel, the odd sample padded on the right.
    """

    out: int
    kernel: int = 1
    stride: int = 1
    groups: int = 1
    bias: bool = False
    padding: int | str | None = None


@dataclass(frozen=True, slots=True)
class Norm:
    """Normalisation: "batch", or "layer" over channels; `zero` starts the scale at 0."""

    kind: str = "batch"
    zero: bool = False


@dataclass(frozen=True, slots=True)
class Act:
    """Pointwise activation: relu, relu6, leaky_relu, silu or gelu."""

    kind: str = "relu"


@dataclass(frozen=True, slots=True)
class Pool:
    """Pooling over time, "max" or "avg"; `padding` as in Conv; `ceil` keeps a last short window."""

    kind: str
    kernel: int
    stride: int
    padding: int | str = 0
    ceil: bool = False


@dataclass(frozen=True, slots=True)
class GlobalPool:
    """Pool the whole length away: "avg", "max" or "maxavg" (both, concatenated)."""

    kind: str = "avg"


@dataclass(frozen=True, slots=True)
class Linear:
    """Fully connected layer on pooled features; `out` None is the number of outputs."""

    out: int | None = None
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Dropout:
    """Zero features at random while training."""

    rate: float


@dataclass(frozen=True, slots=True)
class SqueezeExcite:
    """Gate each channel by a two-layer network of the channels' means (Hu et al. 2018)."""

    hidden: int
    act: str = "relu"
    bias: bool = True


@dataclass(frozen=True, slots=True)
class Attention:
    """Multi-head self-attention over time, with biased projections; no residual of its own."""

    heads: int


@dataclass(frozen=True, slots=True)
class Scale:
    """One learnt factor per channel, `start` at first (LayerScale, Touvron et al. 2021)."""

    start: float = 1e-6


@dataclass(frozen=True, slots=True)
class PadChannels:
    """Pad with zero channels on both sides to `out` channels."""

    out: int


@dataclass(frozen=True, slots=True)
class Flatten:
    """Average time down to `length` positions (none changes at that length), then flatten."""

    length: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """Layers one after the other, the whole `repeat` times; `name` is for tables and pictures."""

    layers: tuple[Layer, ...] = ()
    repeat: int = 1
    name: str = ""


@dataclass(frozen=True, slots=True)
class Add:
    """Sum of branches that see the same input; an empty Sequence is the identity."""

    branches: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Concat:
    """Branches that see the same input, joined along the channels."""

    branches: tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Custom:
    """A whole network of a plug-in's family, built by the plug-in itself from `values`, in JSON.

    `source` is the hash of the plug-in's source: another source is another network.
    """

    family: str
    source: str
    values: str


Layer = (
    Conv
    | Norm
    | Act
    | Pool
    | GlobalPool
    | Linear
    | Dropout
    | SqueezeExcite
    | Attention
    | Scale
    | PadChannels
    | Flatten
    | Sequence
    | Add
    | Concat
    | Custom
)

IDENTITY = Sequence()
BATCH_NORM = Norm()
RELU = Act("relu")
HALVE = Pool("avg", 2, 2, ceil=True)

_TYPES: dict[str, type[Layer]] = {
    "conv": Conv,
    "norm": Norm,
    "act": Act,
    "pool": Pool,
    "global": GlobalPool,
    "linear": Linear,
    "dropout": Dropout,
    "se": SqueezeExcite,
    "attention": Attention,
    "scale": Scale,
    "pad": PadChannels,
    "flatten": Flatten,
    "seq": Sequence,
    "add": Add,
    "concat": Concat,
    "custom": Custom,
}
_TAGS: dict[type[Layer], str] = {kind: tag for tag, kind in _TYPES.items()}


@lru_cache(maxsize=8192)
def conv_norm_act(
    out: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, act: Act = RELU
) -> Sequence:
    """Return convolution, batch norm and activation."""
    return Sequence((Conv(out, kernel, stride, groups), BATCH_NORM, act))


def encode(layer: Layer) -> list[Any]:
    """Return a layer as a JSON list: tag, then fields in order, trailing defaults left out."""
    values: list[Any] = []
    kept = 0
    for field in fields(layer):
        value = getattr(layer, field.name)
        nested = isinstance(value, tuple)
        values.append([encode(child) for child in value] if nested else value)
        if field.default is MISSING or value != field.default:
            kept = len(values)
    return [_TAGS[type(layer)], *values[:kept]]


def decode(data: Any) -> Layer:
    """Return the layer that `encode` wrote; ModelError names the entry that is not one."""
    try:
        kind: Callable[..., Layer] = _TYPES[data[0]]
        values = [
            tuple(decode(child) for child in value) if isinstance(value, list) else value
            for value in data[1:]
        ]
        return kind(*values)
    except (KeyError, TypeError, IndexError):
        text = json.dumps(data)[:80]
        raise ModelError(
            f'expected a layer such as ["conv", 64, 3], got {text}; '
            "use the JSON that Architecture.to_json wrote"
        ) from None


def is_custom(tree: Layer) -> bool:
    """Tell whether a plug-in builds a part of a network, so that it has to be traced."""
    match tree:
        case Sequence(layers) | Add(layers) | Concat(layers):
            return any(is_custom(layer) for layer in layers)
        case _:
            return isinstance(tree, Custom)


def tree_hash(tree: Layer) -> str:
    """Return 16 hex digits that two trees share exactly when they build the same network."""
    text = json.dumps(list(_canonical(tree)), separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(layer: Layer) -> Iterator[list[Any]]:
    """Yield the tree without names, nesting and repeats, which change nothing that is built."""
    match layer:
        case Sequence(layers, repeat):
            flat = [entry for child in layers for entry in _canonical(child)]
            for _ in range(repeat):
                yield from flat
        case Add(branches) | Concat(branches):
            yield [_TAGS[type(layer)], *(list(_canonical(branch)) for branch in branches)]
        case Dropout(rate) if rate == 0:
            return
        case _:
            yield encode(layer)
