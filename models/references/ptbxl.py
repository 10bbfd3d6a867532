"""The CNNs of the PTB-XL benchmark (Strodthoff et al. 2021; helme/ecg_ptbxl_benchmarking)."""

from __future__ import annotations

from models.heads import concat_head
from models.layers import (
    BATCH_NORM,
    HALVE,
    IDENTITY,
    RELU,
    Add,
    Concat,
    Conv,
    Layer,
    Norm,
    Pool,
    Sequence,
)
from models.references._common import block, conv_norm, named, scaled


def xresnet1d(depths: tuple[int, ...], expansion: int, multiplier: float) -> Sequence:
    """Return xresnet1d: three-layer stem, all blocks 64 wide, pooled shortcuts, kernel 5."""
    width, half = scaled(64, multiplier), scaled(32, multiplier)
    out = width * expansion
    stem = named(
        "stem",
        *conv_norm(half, 5, 2),
        *conv_norm(half, 5),
        *conv_norm(width, 5),
        Pool("max", 3, 2, 1),
    )
    stages, entering = [], width
    for number, depth in enumerate(depths, 1):
        stride = 1 if number == 1 else 2
        first = _xresnet_block(entering, width, expansion, stride)
        rest = block(*_xresnet_block(out, width, expansion, 1), repeat=depth - 1)
        stages.append(named(f"stage {number}", block(*first), rest))
        entering = out
    return Sequence((stem, *stages, concat_head(scaled(128, multiplier))))


def _xresnet_block(entering: int, width: int, expansion: int, stride: int) -> tuple[Layer, ...]:
    out = width * expansion
    last = (Conv(out, 1 if expansion > 1 else 5), Norm(zero=True))
    body = (
        (*conv_norm(width), *conv_norm(width, 5, stride), *last)
        if expansion > 1
        else (*conv_norm(width, 5, stride), *last)
    )
    pool = (HALVE,) if stride > 1 else ()
    project = conv_norm(out, act=None) if entering != out else ()
    return Add((Sequence(body), Sequence((*pool, *project)))), RELU


def resnet1d_wang(multiplier: float) -> Sequence:
    """Return resnet1d_wang (after Wang et al. 2017): three blocks 128 wide, kernels 5 and 3."""
    width = scaled(128, multiplier)
    stem = named("stem", *conv_norm(width, 7))
    stages = []
    for number, stride in enumerate((1, 2, 2), 1):
        body = Sequence((*conv_norm(width, 5, stride), *conv_norm(width, 3, act=None)))
        shortcut = Sequence(conv_norm(width, 1, stride, act=None)) if stride > 1 else IDENTITY
        stages.append(named(f"stage {number}", block(Add((body, shortcut)), RELU)))
    return Sequence((stem, *stages, concat_head(scaled(128, multiplier))))


def fcn_wang(multiplier: float) -> Sequence:
    """Return fcn_wang (Wang et al. 2017): three plain convolutions, stride 1."""
    body = [
        named(f"layer {number}", *conv_norm(scaled(width, multiplier), kernel))
        for number, (width, kernel) in enumerate(((128, 8), (256, 5), (128, 3)), 1)
    ]
    return Sequence((*body, concat_head(scaled(128, multiplier))))


def inception1d(multiplier: float) -> Sequence:
    """Return inception1d (InceptionTime, Fawaz et al. 2020): six modules, residual every three."""
    width = scaled(32, multiplier)
    wide = Sequence((Conv(width), Concat(tuple(Conv(width, kernel) for kernel in (39, 19, 9)))))
    pooled = Sequence((Pool("max", 3, 1, 1), Conv(width)))
    module = block(Concat((wide, pooled)), BATCH_NORM, RELU, repeat=3)
    shortcut = Sequence(conv_norm(4 * width, act=None))
    stages = [named(f"stage {i}", Add((Sequence((module,)), shortcut)), RELU) for i in (1, 2)]
    return Sequence((*stages, concat_head(scaled(128, multiplier))))
