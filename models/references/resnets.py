"""ResNets that ECG studies use."""

from __future__ import annotations

from models.heads import AVERAGE_HEAD
from models.layers import (
    BATCH_NORM,
    HALVE,
    IDENTITY,
    RELU,
    Act,
    Add,
    Attention,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    Norm,
    PadChannels,
    Pool,
    Sequence,
    SqueezeExcite,
)
from models.references._common import block, conv_norm, named, scaled


def resnet(depths: tuple[int, ...], expansion: int, multiplier: float) -> Sequence:
    """Return ResNet-1D (He et al. 2016; torchvision's, with kernels over time)."""
    width = scaled(64, multiplier)
    stem = named("stem", *conv_norm(width, 7, 2), Pool("max", 3, 2, 1))
    stages, entering = [], width
    for number, depth in enumerate(depths, 1):
        inner = width * 2 ** (number - 1)
        stride = 1 if number == 1 else 2
        first = _resnet_block(entering, inner, expansion, stride)
        entering = inner * expansion
        rest = _resnet_block(entering, inner, expansion, 1)
        stages.append(named(f"stage {number}", block(*first), block(*rest, repeat=depth - 1)))
    return Sequence((stem, *stages, AVERAGE_HEAD))


def _resnet_block(entering: int, inner: int, expansion: int, stride: int) -> tuple[Layer, ...]:
    out = inner * expansion
    last = (Conv(out, 1 if expansion > 1 else 3), Norm(zero=True))
    body = (*conv_norm(inner), *conv_norm(inner, 3, stride), *last)
    if expansion == 1:
        body = (*conv_norm(inner, 3, stride), *last)
    changes = entering != out or stride > 1
    shortcut = Sequence(conv_norm(out, 1, stride, act=None)) if changes else IDENTITY
    return Add((Sequence(body), shortcut)), RELU


def ribeiro(multiplier: float) -> Sequence:
    """Return the ResNet of Ribeiro et al. 2020 (Nature Communications).

    Each unit adds the sum before normalisation, pooled by 4, to two convolutions of kernel 16. The
    network flattens 16 positions, what 4096 samples leave; other lengths are averaged to 16.
    """
    widths = [scaled(width, multiplier) for width in (64, 128, 196, 256, 320)]
    before: tuple[Layer, ...] = ()
    units = []
    for number, width in enumerate(widths[1:], 1):
        body = (
            *before,
            Conv(width, 16, padding="same"),
            BATCH_NORM,
            RELU,
            Dropout(0.2),
            Conv(width, 16, 4, padding="same"),
        )
        shortcut = Sequence((Pool("max", 4, 4, "same"), Conv(width)))
        units.append(named(f"unit {number}", block(Add((Sequence(body), shortcut)))))
        before = (BATCH_NORM, RELU, Dropout(0.2))
    stem = named("stem", Conv(widths[0], 16, padding="same"), BATCH_NORM, RELU)
    return Sequence((stem, *units, named("head", *before, Flatten(16), Linear())))


def zhao_se_resnet18(multiplier: float) -> Sequence:
    """Return the SE-ResNet of Zhao et al. (Computing in Cardiology 2020), without age and sex."""
    width = scaled(64, multiplier)
    stem = named("stem", *conv_norm(width, 15, 2), Pool("max", 3, 2, 1))
    stages, entering = [], width
    for number in range(1, 5):
        out, stride = width * 2 ** (number - 1), 1 if number == 1 else 2
        blocks = [
            block(*_zhao_block(entering, out, stride)),
            block(*_zhao_block(out, out, 1)),
        ]
        stages.append(named(f"stage {number}", *blocks))
        entering = out
    return Sequence((stem, *stages, AVERAGE_HEAD))


def _zhao_block(entering: int, out: int, stride: int) -> tuple[Layer, ...]:
    body = (
        *conv_norm(out, 7, stride),
        Dropout(0.2),
        *conv_norm(out, 7, act=None),
        SqueezeExcite(max(1, out // 16), bias=False),
    )
    changes = entering != out or stride > 1
    shortcut = Sequence(conv_norm(out, 1, stride, act=None)) if changes else IDENTITY
    return Add((Sequence(body), shortcut)), RELU


def se_wrn(multiplier: float) -> Sequence:
    """Return the wide SE-ResNet of DSAIL-SNU (Han et al., CinC 2021), as in fairseq-signals."""
    widths = [scaled(width, multiplier) for width in (16, 16, 32, 64, 128)]
    stages = []
    for number, width in enumerate(widths[1:], 1):
        first = _se_wrn_block(width, 2)
        rest = block(*_se_wrn_block(width, 1), repeat=2)
        stages.append(named(f"stage {number}", block(*first), rest))
    head = named("head", BATCH_NORM, RELU, Dropout(0.3), GlobalPool("max"), Linear())
    return Sequence((named("stem", Conv(widths[0], 11), BATCH_NORM, RELU), *stages, head))


def _se_wrn_block(width: int, stride: int) -> tuple[Layer, ...]:
    body = (
        BATCH_NORM,
        RELU,
        Conv(width, 11, stride),
        BATCH_NORM,
        RELU,
        Dropout(0.3),
        Conv(width, 11),
        SqueezeExcite(max(1, width // 8)),
    )
    pooled = Sequence((HALVE, Conv(width)))
    return (Add((Sequence(body), pooled if stride > 1 else IDENTITY)),)


def isibrno(multiplier: float) -> Sequence:
    """Return one member of ISIBrno-AIMT (Nejedly et al., CinC 2021): ResNet and attention.

    The twelve bits for the leads present are left out: with a fixed set of leads they are a bias.
    Time is averaged, as in fairseq-signals.
    """
    width, leaky = scaled(256, multiplier), Act("leaky_relu")
    body = Sequence((*conv_norm(width, 9, 2, act=leaky), *conv_norm(width, 9, act=leaky)))
    shortcut = Sequence((HALVE, Conv(width)))
    stages = [named(f"stage {i}", block(Add((body, shortcut)))) for i in range(1, 6)]
    return Sequence(
        (
            named("stem", *conv_norm(width, 15, 2, act=leaky)),
            *stages,
            named("attention", Dropout(0.5), Attention(8)),
            AVERAGE_HEAD,
        )
    )


def net1d(multiplier: float) -> Sequence:
    """Return Net1D of HOLMES (Hong et al. 2020; code hsd1503/resnet1d): pre-activated, swish."""
    swish = Act("silu")
    widths = [scaled(width, multiplier, 16) for width in (64, 64, 160, 160, 400, 400, 1024, 1024)]
    stages = []
    for number, depth in enumerate((2, 2, 2, 3, 3, 4, 4), 1):
        width = widths[number]
        first = _net1d_block(widths[number - 1], width, 2, swish)
        rest = block(*_net1d_block(width, width, 1, swish), repeat=depth - 1)
        stages.append(named(f"stage {number}", block(*first), rest))
    stem = named("stem", Conv(widths[0], 16, 2, bias=True, padding="same"), BATCH_NORM, swish)
    return Sequence((stem, *stages, AVERAGE_HEAD))


def _net1d_block(entering: int, width: int, stride: int, swish: Act) -> tuple[Layer, ...]:
    body = (
        BATCH_NORM,
        swish,
        Conv(width, bias=True),
        BATCH_NORM,
        swish,
        Dropout(0.5),
        Conv(width, 16, stride, groups=width // 16, bias=True, padding="same"),
        BATCH_NORM,
        swish,
        Dropout(0.5),
        Conv(width, bias=True),
        SqueezeExcite(width // 2, act="silu"),
    )
    pool = (Pool("max", stride, stride, "same"),) if stride > 1 else ()
    pad = (PadChannels(width),) if entering != width else ()
    return (Add((Sequence(body), Sequence((*pool, *pad)))),)
