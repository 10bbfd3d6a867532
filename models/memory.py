"""Peak memory of training, by formula.

    16 bytes a parameter           weight, gradient and the two moments of Adam, float32
    + what autograd keeps          every tensor that some layer saves for its backward pass, once
    + two of the largest tensors   a gradient and its input in flight

What is kept follows from torch's derivatives: a convolution keeps its input, a batch norm its
input, an activation in place its output, a sum nothing; a plug-in's network is traced. Allocator
slack and convolution workspace come on top and are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.architecture import Architecture
from models.cost import Tally, walk
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
from models.shape import DEFAULT

BYTES_PER_PARAMETER = 16


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """Bytes for parameters with optimiser state, for what backward needs, and in flight."""

    parameter_bytes: int
    saved_bytes: int
    transient_bytes: int

    @property
    def peak_bytes(self) -> int:
        """Return the sum."""
        return self.parameter_bytes + self.saved_bytes + self.transient_bytes


@dataclass(slots=True)
class _Tensor:
    """A tensor of the forward pass: its elements, whether it is kept, and for each record anew."""

    channels: int
    length: int
    kept: bool = False
    per_record: bool = True

    def bytes(self, batch: int, element: int) -> int:
        return self.channels * self.length * (batch * element if self.per_record else 4)


def training_memory(
    architecture: Architecture,
    *,
    batch: int,
    samples: int = DEFAULT.samples,
    leads: int = DEFAULT.leads,
    outputs: int = DEFAULT.outputs,
    bytes_per_element: int = 4,
) -> TrainingMemory:
    """Estimate the peak memory of a training step; 2 bytes per element under bf16 autocast."""
    params = architecture.cost(samples, leads, outputs).params
    made = [_Tensor(leads, samples)]
    _trace(architecture.layers, made[0], made, outputs)
    return TrainingMemory(
        BYTES_PER_PARAMETER * params,
        sum(tensor.bytes(batch, bytes_per_element) for tensor in made if tensor.kept),
        2 * max(tensor.bytes(batch, bytes_per_element) for tensor in made),
    )


def _trace(layer: Layer, x: _Tensor, made: list[_Tensor], outputs: int) -> _Tensor:
    """Follow a tensor through a layer, noting what is made and kept; return the output."""

    def new(channels: int, length: int, kept: bool = False) -> _Tensor:
        made.append(_Tensor(channels, length, kept))
        return made[-1]

    match layer:
        case Sequence():
            for child in layer.layers * layer.repeat:
                x = _trace(child, x, made, outputs)
            return x
        case Add():
            ends = [_trace(branch, x, made, outputs) for branch in layer.branches]
            return new(ends[0].channels, ends[0].length)
        case Concat():
            ends = [_trace(branch, x, made, outputs) for branch in layer.branches]
            return new(sum(end.channels for end in ends), ends[0].length)
        case Act():
            return _trace_act(layer, x, new(x.channels, x.length))
        case Dropout():
            new(x.channels, x.length, kept=layer.rate > 0)  # the mask
            return new(x.channels, x.length)
        case Attention():
            x.kept = True
            new(3 * x.channels, x.length, kept=True)  # query, key and value
            new(layer.heads * x.length, x.length, kept=True)  # softmax
            new(x.channels, x.length, kept=True)  # what is projected
            return new(x.channels, x.length)
        case PadChannels():
            return new(layer.out, x.length)
        case Custom():
            from models.custom import saved_elements

            for elements in saved_elements(layer, x.channels, x.length, outputs):
                new(elements, 1, kept=True)
            return new(outputs, 1)
        case Conv() | Pool() if layer.padding == "same":
            windows = -(-x.length // layer.stride)
            padded = (windows - 1) * layer.stride + layer.kernel
            new(x.channels, max(padded, x.length), kept=True)
        case SqueezeExcite():
            x.kept = True
            new(2 * x.channels + layer.hidden, 1, kept=True)  # means, gate, hidden
        case Norm("batch"):
            x.kept = True
            new(2 * x.channels, 1, kept=True).per_record = False  # statistics
        case Conv() | Norm() | Pool() | Scale() | Linear() | Flatten():
            x.kept = True
        case GlobalPool():
            x.kept = x.kept or "max" in layer.kind
    channels, length = walk(layer, x.channels, x.length, Tally(outputs))
    if isinstance(layer, Pool) and layer.kind == "max":
        new(2 * channels, length, kept=True)  # indices of 8 bytes
    return new(channels, length)


def _trace_act(layer: Act, x: _Tensor, made: _Tensor) -> _Tensor:
    """Return the output of an activation: the input's own storage where it works in place."""
    if layer.kind == "gelu":
        x.kept = True
        return made
    if layer.kind in ("silu", "relu6"):  # keep a copy of what it overwrites
        made.kept = True
        return x
    made.channels = 0
    x.kept = True
    return x
