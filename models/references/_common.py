"""What the reference CNNs share: scaling of widths, and their usual parts."""

from __future__ import annotations

from models.layers import BATCH_NORM, RELU, Act, Conv, Layer, Sequence

DIVISOR = 8


def scaled(channels: int, multiplier: float, divisor: int = DIVISOR) -> int:
    """Return channels × multiplier, a multiple of 8 and not below 90 % (MobileNetV2's rule).

    A multiplier of 1 changes nothing, also where the published width is no multiple of 8.
    """
    if multiplier == 1:
        return channels
    value = channels * multiplier
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def named(name: str, *layers: Layer) -> Sequence:
    """Return a section of a network."""
    return Sequence(layers, name=name)


def block(*layers: Layer, repeat: int = 1) -> Sequence:
    """Return a block of a stage."""
    return Sequence(layers, repeat, "block")


def conv_norm(
    out: int, kernel: int = 1, stride: int = 1, *, groups: int = 1, act: Act | None = RELU
) -> tuple[Layer, ...]:
    """Return convolution and batch norm, then the activation if any."""
    layers: tuple[Layer, ...] = (Conv(out, kernel, stride, groups), BATCH_NORM)
    return layers if act is None else (*layers, act)
