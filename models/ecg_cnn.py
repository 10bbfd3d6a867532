"""The rules of the design spaces `ecg-cnn` and `ecg-cnn-2`: from factors to a tree of layers.

    stem     convolution (stride 2, first stage's width) – batch norm – ReLU
    stage    halving (average pool 2, then 1×1 convolution to the stage's width – norm – ReLU)
             blocks, all alike: 1×1 to the inner width – kernel over time, grouped – SE – 1×1 back,
             each with batch norm, ReLU after the first two and after the (optional) sum
    head     global average – linear

That is `ecg-cnn`; `ecg_cnn_2` says what else a stem, a halving and a head may be. `ecg-hybrid` has
one more factor, `attention`: that many of the last stages end with residual self-attention over
time (layer norm – attention – sum).

The halving stands by itself so that every block of a stage is the same and `residual` always means
an identity. Hence depth and stages stay independent: a stage may have no block and only halve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence as Items

from models.architecture import Value
from models.factors import Factor
from models.heads import AVERAGE_HEAD, PEAK_HEAD, concat_head
from models.layers import (
    BATCH_NORM,
    HALVE,
    IDENTITY,
    Act,
    Add,
    Attention,
    Conv,
    Layer,
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
    "stem_width": (1 / 64, 4),
    "expansion": (1 / 64, 64),
    "se_ratio": (0, 4),
    "attention": (0, 12),
}

HYBRID_FACTORS = (*FACTORS, Factor.choice("attention", 0, 1, 2))

WIDTH_STEP = 8
# What `ecg-cnn` does not vary.
PLAIN: Mapping[str, Value] = {
    "stem": "single",
    "stem_width": 1.0,
    "stem_pool": False,
    "halving": "apart",
    "head": "average",
    "activation": "relu",
    "attention": 0,
    "width_step": WIDTH_STEP,
}

HEAD_WIDTH = 32
GROUP_WIDTH = 16
SMALLEST_GATE = 4
HEADS = {"average": AVERAGE_HEAD, "peak": PEAK_HEAD, "hidden": concat_head()}


def ecg_cnn(values: Mapping[str, Value]) -> Sequence:
    """Return the network of one point of `ecg-cnn`, `ecg-hybrid` or `ecg-cnn-2`.

    Widths are rounded to multiples of 8 (of 16 for the inner width under group width 16), so two
    points may build the same network.
    """
    growth = float(values["width_growth"])
    width = int(values["width"])
    widths = [multiple(width * growth**i, WIDTH_STEP) for i in range(int(values["stages"]))]
    return network(values, widths, spread(int(values["depth"]), len(widths)))


def network(values: Mapping[str, Value], widths: Items[int], blocks: Items[int]) -> Sequence:
    """Return the network whose stages have these widths and numbers of blocks.

    The other factors are those of `values`, or as in `ecg-cnn` where they are missing.
    """
    values = {**PLAIN, **values}
    first_attention = len(widths) - int(values["attention"])
    stem, entering = _stem(widths[0], values)
    stages = []
    for i, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        halved = i == 0 and bool(values["stem_pool"])
        inside = values["halving"] == "block" and count > 0
        layers = (
            _halving_blocks(entering, width, count, values, halved)
            if inside
            else _blocks_apart(width, count, values, halved)
        )
        attend = (_attention(width),) if i >= first_attention else ()
        stages.append(Sequence((*layers, *attend), name=f"stage {i + 1}"))
        entering = width
    return Sequence((stem, *stages, HEADS[str(values["head"])]), name="ecg-cnn")


def spread(depth: int, stages: int) -> list[int]:
    """Return the blocks of each stage, as even as can be, the odd ones in the later stages.

    Stage i of s (from 0) has floor((i + 1) d / s) − floor(i d / s) of the d blocks.
    """
    return [(i + 1) * depth // stages - i * depth // stages for i in range(stages)]


def multiple(value: float, step: int) -> int:
    """Return the multiple of `step` nearest to the value, at least one `step`."""
    return max(step, int(value / step + 0.5) * step)


def _stem(first_width: int, values: Mapping[str, Value]) -> tuple[Sequence, int]:
    """Return the stem and the channels it puts out."""
    step = int(values["width_step"])
    width = multiple(first_width * float(values["stem_width"]), step)
    kernel, act = int(values["stem_kernel"]), Act(str(values["activation"]))
    layers: tuple[Layer, ...] = conv_norm_act(width, kernel, 2, act=act).layers
    if values["stem"] == "triple":
        half = multiple(width / 2, step)
        layers = (
            *conv_norm_act(half, kernel, 2, act=act).layers,
            *conv_norm_act(half, kernel, act=act).layers,
            *conv_norm_act(width, kernel, act=act).layers,
        )
    pool = (Pool("max", 3, 2, 1),) if values["stem_pool"] else ()
    return Sequence((*layers, *pool), name="stem"), width


def _blocks_apart(
    width: int, blocks: int, values: Mapping[str, Value], halved: bool
) -> tuple[Layer, ...]:
    """Return a halving by itself, to the stage's width, and equal blocks."""
    pool = () if halved else (HALVE,)
    act = Act(str(values["activation"]))
    halving = Sequence((*pool, *conv_norm_act(width, act=act).layers))
    return halving, Sequence(_block(width, width, 1, values), repeat=blocks, name="block")


def _halving_blocks(
    entering: int, width: int, blocks: int, values: Mapping[str, Value], halved: bool
) -> tuple[Layer, ...]:
    """Return blocks of which the first one halves, and changes the width."""
    first = Sequence(_block(entering, width, 1 if halved else 2, values), name="block")
    rest = Sequence(_block(width, width, 1, values), repeat=blocks - 1, name="block")
    return (first, rest) if blocks > 1 else (first,)


def _attention(width: int) -> Layer:
    # The widest heads of 8, 16 or 32 channels that divide the width.
    heads = width // math.gcd(width, HEAD_WIDTH)
    return Add((Sequence((Norm("layer"), Attention(heads))), IDENTITY))


def _block(
    entering: int, width: int, stride: int, values: Mapping[str, Value]
) -> tuple[Layer, ...]:
    grouping, act = values["grouping"], Act(str(values["activation"]))
    step = GROUP_WIDTH if grouping == "group16" else int(values["width_step"])
    inner = multiple(width * float(values["expansion"]), step)
    groups = {"dense": 1, "group16": inner // GROUP_WIDTH, "depthwise": inner}[str(grouping)]
    ratio = float(values["se_ratio"])
    gate = (SqueezeExcite(max(SMALLEST_GATE, int(inner * ratio + 0.5))),) if ratio else ()
    residual = bool(values["residual"])
    # A scale of 0 makes a residual block start as the identity; without a shortcut, as nothing.
    kernel = int(values["kernel_size"])
    body: tuple[Layer, ...] = (
        *conv_norm_act(inner, act=act).layers,
        Conv(inner, kernel, stride, groups, padding=None if kernel % 2 else "same"),
        BATCH_NORM,
        act,
        *gate,
        Conv(width),
        Norm(zero=True) if residual else BATCH_NORM,
    )
    if not residual:
        return (*body, act)
    pool = (HALVE,) if stride > 1 else ()
    project = (Conv(width), BATCH_NORM) if entering != width else ()
    shortcut = Sequence((*pool, *project)) if pool or project else IDENTITY
    return Add((Sequence(body), shortcut)), act
