"""RegNet over time (Radosavovic et al. 2020), and the space `regnet1d` of the original study.

    stem    convolution (stride 2) – batch norm – ReLU
    block   1×1 to the bottleneck – kernel 3, grouped (stride 2 in a stage's first block) – SE –
            1×1, added to the input (1×1 with stride where the shape changes), ReLU after the sum
    head    global average – linear

Blocks of one width form a stage; widths follow the rounded exponential of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import groupby

from models.architecture import Value
from models.errors import ModelError
from models.factors import Factor
from models.layers import (
    BATCH_NORM,
    IDENTITY,
    RELU,
    Add,
    Conv,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    Sequence,
    SqueezeExcite,
    conv_norm_act,
)

QUANTUM = 8
MOST_STAGES = 7

REGNET1D_FACTORS = (
    Factor.choice("stem_kernel", 3, 9, 15),
    Factor.integer("w_init", 32, 64, step=8),
    Factor.integer("w_0", 32, 128, step=8),
    Factor.real("w_m", 1.1, 3.0, step=0.1),
    Factor.integer("w_a", 10, 50),
    Factor.integer("depth", 4, 20),
    Factor.choice("group_width", 1, 2, 4, 8, 16, 32),
    Factor.choice("bottleneck", 0.5, 1.0, 2.0, 4.0),
    Factor.choice("se_ratio", 0.0, 0.25),
)
REGNET1D_LIMITS = {
    "stem_kernel": (1, 1023),
    "w_init": (1, 4096),
    "w_0": (8, 4096),
    "w_m": (1.01, 10),
    "w_a": (0, 4096),
    "depth": (1, 256),
    "group_width": (1, 4096),
    "bottleneck": (1 / 64, 64),
    "se_ratio": (0, 4),
}
REGNET1D_CONSTRAINTS = ("w_0 >= w_init",)


def regnet1d(values: Mapping[str, Value]) -> Sequence:
    """Return the network of one point of the original study's space."""
    widths = quantised_widths(
        int(values["depth"]), float(values["w_0"]), float(values["w_a"]), float(values["w_m"])
    )
    return regnet(
        widths,
        group_width=int(values["group_width"]),
        bottleneck=float(values["bottleneck"]),
        se_ratio=float(values["se_ratio"]),
        stem=(int(values["w_init"]), int(values["stem_kernel"])),
    )


def quantised_widths(depth: int, w_0: float, w_a: float, w_m: float) -> list[int]:
    """Return the width of each block: w_0 w_m^s, s = round(log_wm((w_0 + w_a j) / w_0)).

    Rounded to multiples of 8. Blocks past the seventh width keep the seventh, so that a record of
    1024 samples is not halved away (the original caps its stages there too, in a way of its own).
    """
    if not w_m > 1:
        raise ModelError(f"expected w_m above 1, got {w_m}; widths grow by powers of it")
    steps = [round(math.log((w_0 + w_a * j) / w_0) / math.log(w_m)) for j in range(depth)]
    widths = [int(round(w_0 * w_m**step / QUANTUM) * QUANTUM) for step in steps]
    last = sorted(set(widths))[:MOST_STAGES][-1]
    return [min(width, last) for width in widths]


def regnet(
    widths: list[int],
    *,
    group_width: int,
    bottleneck: float = 1.0,
    se_ratio: float = 0.0,
    stem: tuple[int, int] = (32, 3),
) -> Sequence:
    """Return a RegNet with a block of each width; `stem` is (channels, kernel).

    Widths are made compatible with the groups as pycls does (adjust_block_compatibility; halves go
    to the even multiple, as in the paper, while torchvision rounds them up). The gate of
    squeeze-and-excitation has `se_ratio` times the channels that enter the block.
    """
    sections: list[Sequence] = [Sequence(conv_norm_act(stem[0], stem[1], 2).layers, name="stem")]
    entering = stem[0]
    fitted = [_fit_groups(width, bottleneck, group_width) for width in widths]
    for number, (shape, members) in enumerate(groupby(fitted), 1):
        out = shape[0]
        blocks = [Sequence(_block(entering, shape, 2, se_ratio), name="block")]
        rest = len(list(members)) - 1
        if rest:
            blocks.append(Sequence(_block(out, shape, 1, se_ratio), repeat=rest, name="block"))
        sections.append(Sequence(tuple(blocks), name=f"stage {number}"))
        entering = out
    return Sequence((*sections, Sequence((GlobalPool(), Linear()), name="head")), name="regnet")


def _fit_groups(width: int, bottleneck: float, group_width: int) -> tuple[int, int, int]:
    """Return the block's width, inner width and number of groups."""
    inner = max(1, int(width * bottleneck))
    size = min(group_width, inner)
    step = math.lcm(size, int(bottleneck)) if bottleneck > 1 else size
    inner = max(step, int(round(inner / step) * step))
    return int(inner / bottleneck), inner, inner // size


def _block(
    entering: int, shape: tuple[int, int, int], stride: int, se_ratio: float
) -> tuple[Layer, ...]:
    out, inner, groups = shape
    gate = (SqueezeExcite(max(1, int(entering * se_ratio))),) if se_ratio else ()
    body = Sequence(
        (
            *conv_norm_act(inner).layers,
            *conv_norm_act(inner, 3, stride, groups=groups).layers,
            *gate,
            Conv(out),
            Norm(zero=True),
        )
    )
    same = entering == out and stride == 1
    shortcut = IDENTITY if same else Sequence((Conv(out, 1, stride), BATCH_NORM))
    return Add((body, shortcut)), RELU
