"""Exact cost of a tree of layers, without building it.

FLOPs are 2 × multiply-accumulates of convolutions and linear layers (squeeze-and-excitation
included), forward, one record: the convention of torch.utils.flop_counter, which also counts the
two matrix products of attention. Activations are the elements that convolutions put out, as in
RegNet (Radosavovic et al. 2020); the projections of attention are 1×1 convolutions. Normalisation,
activation functions, pooling and sums count as nothing. A plug-in's network is traced instead, with
torch's counter itself (`models.custom`).
"""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Cost:
    """Trainable parameters, FLOPs and convolution output elements of one record's forward pass."""

    params: int
    flops: int
    activations: int


@dataclass(slots=True)
class Tally:
    """Running totals of a walk; `outputs` is what a Linear without a size of its own puts out."""

    outputs: int
    params: int = 0
    flops: int = 0
    activations: int = 0

    def cost(self) -> Cost:
        """Return the totals."""
        return Cost(self.params, self.flops, self.activations)


def tree_cost(tree: Layer, *, samples: int, leads: int, outputs: int) -> Cost:
    """Return the cost of a network for one record of `leads` × `samples`."""
    for name, value in (("samples", samples), ("leads", leads), ("outputs", outputs)):
        if value < 1:
            raise ModelError(f"expected at least 1 for {name}, got {value}")
    tally = Tally(outputs)
    walk(tree, leads, samples, tally)
    return tally.cost()


def walk(layer: Layer, channels: int, length: int, tally: Tally) -> tuple[int, int]:
    """Add a layer's cost to the tally; return the channels and the length it puts out."""
    match layer:
        case Conv():
            out = layer.out
            after = length_after(length, layer.kernel, layer.stride, layer.padding)
            _check_divides(layer.groups, channels, "groups")
            _check_divides(layer.groups, out, "groups")
            weights = out * (channels // layer.groups) * layer.kernel
            tally.params += weights + (out if layer.bias else 0)
            tally.flops += 2 * weights * after
            tally.activations += out * after
            return out, after
        case Norm():
            tally.params += 2 * channels
        case Act() | Dropout():
            pass
        case Sequence():
            return _walk_sequence(layer, channels, length, tally)
        case Add():
            shapes = {walk(branch, channels, length, tally) for branch in layer.branches}
            if len(shapes) != 1:
                raise ModelError(f"expected branches of one shape to add, got {sorted(shapes)}")
            return shapes.pop()
        case Concat():
            joined = [walk(branch, channels, length, tally) for branch in layer.branches]
            if len({after for _, after in joined}) != 1:
                raise ModelError(f"expected branches of one length to join, got {joined}")
            return sum(out for out, _ in joined), joined[0][1]
        case SqueezeExcite():
            weights = 2 * channels * layer.hidden
            tally.params += weights + (channels + layer.hidden if layer.bias else 0)
            tally.flops += 2 * weights
        case Pool():
            padding = layer.padding
            return channels, length_after(length, layer.kernel, layer.stride, padding, layer.ceil)
        case GlobalPool():
            return (2 * channels if layer.kind == "maxavg" else channels), 1
        case Linear():
            out = tally.outputs if layer.out is None else layer.out
            tally.params += out * channels + (out if layer.bias else 0)
            tally.flops += 2 * out * channels
            return out, 1
        case Attention():
            _check_divides(layer.heads, channels, "heads")
            tally.params += 4 * channels * (channels + 1)
            tally.flops += 8 * channels * channels * length + 4 * channels * length * length
            tally.activations += 4 * channels * length
        case Scale():
            tally.params += channels
        case PadChannels():
            return layer.out, length
        case Flatten():
            return channels * layer.length, 1
        case Custom():
            return _walk_custom(layer, channels, length, tally)
    return channels, length


def _walk_custom(layer: Custom, channels: int, length: int, tally: Tally) -> tuple[int, int]:
    """Add what tracing a plug-in's network counts."""
    from models.custom import traced_cost

    traced = traced_cost(layer, channels, length, tally.outputs)
    tally.params += traced.params
    tally.flops += traced.flops
    tally.activations += traced.activations
    return tally.outputs, 1


def _check_divides(parts: int, channels: int, what: str) -> None:
    if channels % parts:
        raise ModelError(
            f"expected channels divisible by {parts} {what}, got {channels}; round the width"
        )


def length_after(
    length: int, kernel: int, stride: int, padding: int | str | None, ceil: bool = False
) -> int:
    """Return the number of samples after a convolution or pooling."""
    if padding == "same":
        return -(-length // stride)
    pad = (kernel - 1) // 2 if padding is None else int(padding)
    room = length + 2 * pad - kernel
    after = room // stride + 1
    if ceil and room % stride and after * stride < length + pad:
        after += 1
    if after < 1:
        raise ModelError(
            f"expected more samples: a layer of kernel {kernel} and stride {stride} gets {length} "
            "and leaves none; use longer records or an architecture that halves less often"
        )
    return after


def _walk_sequence(sequence: Sequence, channels: int, length: int, tally: Tally) -> tuple[int, int]:
    """Walk the layers `repeat` times, multiplying as soon as a pass keeps the shape."""
    for done in range(1, sequence.repeat + 1):
        shape = channels, length
        before = tally.params, tally.flops, tally.activations
        for layer in sequence.layers:
            channels, length = walk(layer, channels, length, tally)
        if (channels, length) == shape and done < sequence.repeat:
            left = sequence.repeat - done
            tally.params += left * (tally.params - before[0])
            tally.flops += left * (tally.flops - before[1])
            tally.activations += left * (tally.activations - before[2])
            break
    return channels, length
