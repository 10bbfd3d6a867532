"""Efficient image CNNs with their kernels over time."""

from __future__ import annotations

from models.heads import AVERAGE_HEAD
from models.layers import (
    BATCH_NORM,
    IDENTITY,
    RELU,
    Act,
    Add,
    Concat,
    Conv,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Pool,
    Scale,
    Sequence,
    SqueezeExcite,
)
from models.references._common import block, conv_norm, named, scaled
from models.regnet import quantised_widths, regnet

RELU6, SILU = Act("relu6"), Act("silu")

MOBILENETV2 = (  # expansion, channels, blocks, stride (Sandler et al. 2018, table 2)
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
EFFICIENTNET_B0 = (  # expansion, channels, blocks, stride, kernel (Tan and Le 2019, table 1)
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)


def mobilenetv1(multiplier: float) -> Sequence:
    """Return MobileNetV1 (Howard et al. 2017): depthwise and 1×1 convolutions in turn."""
    entering = scaled(32, multiplier)
    sections = [named("stem", *conv_norm(entering, 3, 2))]
    stages = (((64, 1),), ((128, 2), (128, 1)), ((256, 2), (256, 1)))
    stages_late = (((512, 2), *((512, 1),) * 5), ((1024, 2), (1024, 1)))
    for number, stage in enumerate((*stages, *stages_late), 1):
        blocks = []
        for channels, stride in stage:
            out = scaled(channels, multiplier)
            depthwise = conv_norm(entering, 3, stride, groups=entering)
            blocks.append(block(*depthwise, *conv_norm(out)))
            entering = out
        sections.append(named(f"stage {number}", *blocks))
    return Sequence((*sections, AVERAGE_HEAD))


def mobilenetv2(multiplier: float) -> Sequence:
    """Return MobileNetV2 (Sandler et al. 2018); multipliers below 1 leave the last layer wide."""
    rows = tuple((*row, 3) for row in MOBILENETV2)
    return _inverted(rows, multiplier, RELU6, 0.0, scaled(1280, max(1.0, multiplier)))


def efficientnet_b0(multiplier: float) -> Sequence:
    """Return EfficientNet-B0 (Tan and Le 2019), without stochastic depth."""
    return _inverted(EFFICIENTNET_B0, multiplier, SILU, 0.25, scaled(1280, multiplier))


def _inverted(
    rows: tuple[tuple[int, ...], ...], multiplier: float, act: Act, se: float, last: int
) -> Sequence:
    """Return inverted bottlenecks, their gates `se` times as wide as the block's input."""
    entering = scaled(32, multiplier)
    sections = [named("stem", *conv_norm(entering, 3, 2, act=act))]
    for number, (expansion, channels, depth, stride, kernel) in enumerate(rows, 1):
        out = scaled(channels, multiplier)
        blocks = []
        for i in range(depth):
            inner = entering * expansion
            step = stride if i == 0 else 1
            body = Sequence(
                (
                    *(conv_norm(inner, act=act) if expansion > 1 else ()),
                    *conv_norm(inner, kernel, step, groups=inner, act=act),
                    *((SqueezeExcite(max(1, int(entering * se)), act.kind),) if se else ()),
                    *conv_norm(out, act=None),
                )
            )
            blocks.append(block(Add((body, IDENTITY)) if step == 1 and entering == out else body))
            entering = out
        sections.append(named(f"stage {number}", *blocks))
    head = named("head", *conv_norm(last, act=act), GlobalPool(), Linear())
    return Sequence((*sections, head))


def densenet121(multiplier: float) -> Sequence:
    """Return DenseNet-121 (Huang et al. 2017)."""
    growth, channels = scaled(32, multiplier), scaled(64, multiplier)
    sections = [named("stem", *conv_norm(channels, 7, 2), Pool("max", 3, 2, 1))]
    layer = (BATCH_NORM, RELU, *conv_norm(4 * growth), Conv(growth, 3))
    depths = (6, 12, 24, 16)
    for number, depth in enumerate(depths, 1):
        dense = block(Concat((IDENTITY, Sequence(layer))), repeat=depth)
        channels += depth * growth
        transition: tuple[Layer, ...] = ()
        if number < len(depths):
            channels //= 2
            transition = (BATCH_NORM, RELU, Conv(channels), Pool("avg", 2, 2))
        sections.append(named(f"stage {number}", dense, *transition))
    return Sequence((*sections, named("head", BATCH_NORM, RELU, GlobalPool(), Linear())))


def regnet_xy(
    shape: tuple[int, int, float, float, int], se_ratio: float, multiplier: float
) -> Sequence:
    """Return RegNetX or RegNetY; `shape` is (depth, w_0, w_a, w_m, group width)."""
    depth, w_0, w_a, w_m, group_width = shape
    widths = [scaled(width, multiplier) for width in quantised_widths(depth, w_0, w_a, w_m)]
    stem = (scaled(32, multiplier), 3)
    return regnet(widths, group_width=group_width, se_ratio=se_ratio, stem=stem)


def convnext(dims: tuple[int, ...], depths: tuple[int, ...], multiplier: float) -> Sequence:
    """Return ConvNeXt (Liu et al. 2022), without stochastic depth; linear layers as 1×1."""
    widths = [scaled(width, multiplier) for width in dims]
    layer_norm = Norm("layer")
    sections = [named("stem", Conv(widths[0], 4, 4, bias=True, padding=0), layer_norm)]
    for number, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
        halve = (layer_norm, Conv(width, 2, 2, bias=True, padding=0)) if number > 1 else ()
        body = Sequence(
            (
                Conv(width, 7, groups=width, bias=True),
                layer_norm,
                Conv(4 * width, bias=True),
                Act("gelu"),
                Conv(width, bias=True),
                Scale(1e-6),
            )
        )
        blocks = block(Add((body, IDENTITY)), repeat=depth)
        sections.append(named(f"stage {number}", *halve, blocks))
    return Sequence((*sections, named("head", GlobalPool(), Norm("layer"), Linear())))
