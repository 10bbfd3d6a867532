"""The design space `ecg-cnn`: from factors to a tree of layers.

    stem     convolution (stride 2, first stage's width) – batch norm – ReLU
    stage    halving (average pool 2, then 1×1 convolution to the stage's width – norm – ReLU)
             blocks, all alike: 1×1 to the inner width – kernel over time, grouped – SE – 1×1 back,
             each with batch norm, ReLU after the first two and after the (optional) sum
    head     global average – linear

`ecg-hybrid` is the same with one more factor, `attention`: that many of the last stages end with
residual self-attention over time (layer norm – attention – sum).

The halving stands by itself so that every block of a stage is the same and `residual` always means
an identity. Hence depth and stages stay independent: a stage may have no block and only halve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from models.architecture import Value
from models.factors import Factor
from models.layers import (
    BATCH_NORM,
    IDENTITY,
    RELU,
    Add,
    Attention,
    Conv,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Pool,
    Sequence,
    SqueezeExcite,
    conv_norm_act,
)

FACTORS = (
    Factor.integer("depth", 3, 24, log=True),
    Factor.integer("stages", 3, 6),
    Factor.integer("width", 16, 128, log=True),
    Factor.real("width_growth", 1.0, 2.5),
    Factor.choice("kernel_size", 3, 5, 7, 11, 15, 23),
    Factor.choice("stem_kernel", 3, 7, 15),
    Factor.choice("expansion", 0.25, 0.5, 1.0, 2.0, 4.0),
    Factor.choice("grouping", "dense", "group16", "depthwise"),
    Factor.choice("residual", True, False),
    Factor.choice("se_ratio", 0.0, 0.0625, 0.25),
)

# What the rules below can build, and a study in sensible time: ranges may be anything within.
LIMITS = {
    "depth": (1, 256),
    "stages": (1, 12),
    "width": (1, 4096),
    "width_growth": (0.25, 4),
    "kernel_size": (1, 1023),
    "stem_kernel": (1, 1023),
    "expansion": (1 / 64, 64),
    "se_ratio": (0, 4),
    "attention": (0, 12),
}

HYBRID_FACTORS = (*FACTORS, Factor.choice("attention", 0, 1, 2))

WIDTH_STEP = 8
HEAD_WIDTH = 32
GROUP_WIDTH = 16
SMALLEST_GATE = 4
HEAD = Sequence((GlobalPool("avg"), Linear()), name="head")


def ecg_cnn(values: Mapping[str, Value]) -> Sequence:
    """Return the network of one point of `ecg-cnn` or `ecg-hybrid`.

    Widths are rounded to multiples of 8 (of 16 for the inner width under group width 16), so two
    points may build the same network.
    """
    growth = float(values["width_growth"])
    width = int(values["width"])
    widths = [multiple(width * growth**i, WIDTH_STEP) for i in range(int(values["stages"]))]
    blocks = spread(int(values["depth"]), len(widths))
    stem = Sequence(conv_norm_act(widths[0], int(values["stem_kernel"]), 2).layers, name="stem")
    first_attention = len(widths) - int(values.get("attention", 0))
    stages = (
        _stage(f"stage {i + 1}", width, count, values, i >= first_attention)
        for i, (width, count) in enumerate(zip(widths, blocks, strict=True))
    )
    return Sequence((stem, *stages, HEAD), name="ecg-cnn")


def spread(depth: int, stages: int) -> list[int]:
    """Return the blocks of each stage, as even as can be, the odd ones in the later stages.

    Stage i of s (from 0) has floor((i + 1) d / s) − floor(i d / s) of the d blocks.
    """
    return [(i + 1) * depth // stages - i * depth // stages for i in range(stages)]


def multiple(value: float, step: int) -> int:
    """Return the multiple of `step` nearest to the value, at least one `step`."""
    return max(step, int(value / step + 0.5) * step)


def _stage(
    name: str, width: int, blocks: int, values: Mapping[str, Value], attention: bool
) -> Sequence:
    halving = Sequence((Pool("avg", 2, 2, ceil=True), *conv_norm_act(width).layers))
    block = Sequence(_block(width, values), repeat=blocks, name="block")
    # The widest heads of 8, 16 or 32 channels that divide the width.
    heads = width // math.gcd(width, HEAD_WIDTH)
    attend = Add((Sequence((Norm("layer"), Attention(heads))), IDENTITY))
    return Sequence((halving, block, attend) if attention else (halving, block), name=name)


def _block(width: int, values: Mapping[str, Value]) -> tuple[Layer, ...]:
    grouping = values["grouping"]
    inner = multiple(
        width * float(values["expansion"]), GROUP_WIDTH if grouping == "group16" else WIDTH_STEP
    )
    groups = {"dense": 1, "group16": inner // GROUP_WIDTH, "depthwise": inner}[str(grouping)]
    ratio = float(values["se_ratio"])
    gate = (SqueezeExcite(max(SMALLEST_GATE, int(inner * ratio + 0.5))),) if ratio else ()
    residual = bool(values["residual"])
    # A scale of 0 makes a residual block start as the identity; without a shortcut, as nothing.
    kernel = int(values["kernel_size"])
    body: tuple[Layer, ...] = (
        *conv_norm_act(inner).layers,
        Conv(inner, kernel, groups=groups, padding=None if kernel % 2 else "same"),
        BATCH_NORM,
        RELU,
        *gate,
        Conv(width),
        Norm(zero=True) if residual else BATCH_NORM,
    )
    return (Add((Sequence(body), IDENTITY)), RELU) if residual else (*body, RELU)
