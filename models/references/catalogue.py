"""The catalogue of reference CNNs: name, source, what was chosen, how to build."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from models.architecture import Architecture
from models.errors import ModelError
from models.layers import Sequence
from models.references import mobile, ptbxl, resnets

STRODTHOFF = (
    "Strodthoff et al., Deep learning for ECG analysis: benchmarks and insights from PTB-XL, "
    "IEEE JBHI 2021; code helme/ecg_ptbxl_benchmarking"
)
HE = "He et al., Deep residual learning for image recognition, CVPR 2016; torchvision's layout"
RADOSAVOVIC = "Radosavovic et al., Designing network design spaces, CVPR 2020"
LIU = "Liu et al., A ConvNet for the 2020s, CVPR 2022"
IN_ONE_DIMENSION = "Square kernels become kernels over time of the same size."


@dataclass(frozen=True, slots=True)
class Reference:
    """A published CNN; `build` takes the width multiplier, `note` says what was chosen here."""

    name: str
    source: str
    build: Callable[[float], Sequence]
    note: str = IN_ONE_DIMENSION


def _xresnet(name: str, depths: tuple[int, ...], expansion: int) -> Reference:
    return Reference(
        name, STRODTHOFF, lambda m: ptbxl.xresnet1d(depths, expansion, m), "As in the code."
    )


def _resnet(name: str, depths: tuple[int, ...], expansion: int) -> Reference:
    return Reference(name, HE, lambda m: resnets.resnet(depths, expansion, m))


def _regnet(
    name: str, shape: tuple[int, int, float, float, int], se_ratio: float = 0.0
) -> Reference:
    return Reference(name, RADOSAVOVIC, lambda m: mobile.regnet_xy(shape, se_ratio, m))


def _convnext(name: str, dims: tuple[int, ...], depths: tuple[int, ...], source: str) -> Reference:
    return Reference(
        name,
        source,
        lambda m: mobile.convnext(dims, depths, m),
        f"{IN_ONE_DIMENSION} No stochastic depth; the stem is not padded; 1×1 convolutions "
        "stand for the linear layers of a block.",
    )


_ALL = (
    _xresnet("xresnet1d18", (2, 2, 2, 2), 1),
    _xresnet("xresnet1d34", (3, 4, 6, 3), 1),
    _xresnet("xresnet1d50", (3, 4, 6, 3), 4),
    _xresnet("xresnet1d101", (3, 4, 23, 3), 4),
    Reference(
        "resnet1d-wang", f"Wang et al., IJCNN 2017, as in {STRODTHOFF}", ptbxl.resnet1d_wang,
        "As in the code.",
    ),
    Reference(
        "inception1d", f"Ismail Fawaz et al., InceptionTime, 2020, as in {STRODTHOFF}",
        ptbxl.inception1d, "As in the code.",
    ),
    Reference(
        "fcn-wang", f"Wang et al., IJCNN 2017, as in {STRODTHOFF}", ptbxl.fcn_wang,
        "As in the code.",
    ),
    _resnet("resnet18", (2, 2, 2, 2), 1),
    _resnet("resnet34", (3, 4, 6, 3), 1),
    _resnet("resnet50", (3, 4, 6, 3), 4),
    _resnet("resnet101", (3, 4, 23, 3), 4),
    Reference(
        "ribeiro",
        "Ribeiro et al., Automatic diagnosis of the 12-lead ECG using a deep neural network, "
        "Nature Communications 2020",
        resnets.ribeiro,
        "The flattened 16 positions of 4096 samples are averaged to from any other length.",
    ),
    Reference(
        "zhao-se-resnet18",
        "Zhao et al., Adaptive lead weighted ResNet trained with different duration signals, "
        "Computing in Cardiology 2020",
        resnets.zhao_se_resnet18,
        "Without the age and sex features.",
    ),
    Reference(
        "se-wrn",
        "Han et al. (DSAIL-SNU), Towards high generalization performance on ECG classification, "
        "Computing in Cardiology 2021; layout of fairseq-signals",
        resnets.se_wrn,
        "Every first block of a group has a pooled 1×1 shortcut.",
    ),
    Reference(
        "isibrno",
        "Nejedly et al., Classification of ECG using ensemble of residual CNNs with attention "
        "mechanism, Computing in Cardiology 2021",
        resnets.isibrno,
        "One member of the ensemble, time averaged after attention, without lead-presence bits.",
    ),
    Reference(
        "net1d",
        "Hong et al., HOLMES: health online model ensemble serving, KDD 2020; code "
        "hsd1503/resnet1d",
        resnets.net1d,
        "The seven-stage network; dropout 0.5.",
    ),
    Reference("mobilenetv1", "Howard et al., MobileNets, 2017", mobile.mobilenetv1),
    Reference(
        "mobilenetv2", "Sandler et al., MobileNetV2, CVPR 2018", mobile.mobilenetv2,
        f"{IN_ONE_DIMENSION} A multiplier below 1 leaves the last convolution 1280 wide.",
    ),
    Reference(
        "efficientnet-b0", "Tan and Le, EfficientNet, ICML 2019", mobile.efficientnet_b0,
        f"{IN_ONE_DIMENSION} No stochastic depth.",
    ),
    Reference(
        "densenet121", "Huang et al., Densely connected convolutional networks, CVPR 2017",
        mobile.densenet121,
    ),
    _regnet("regnetx-200mf", (13, 24, 36.44, 2.49, 8)),
    _regnet("regnetx-400mf", (22, 24, 24.48, 2.54, 16)),
    _regnet("regnety-400mf", (16, 48, 27.89, 2.09, 8), 0.25),
    _regnet("regnetx-800mf", (16, 56, 35.73, 2.28, 16)),
    _regnet("regnety-800mf", (14, 56, 38.84, 2.4, 16), 0.25),
    _regnet("regnetx-1.6gf", (18, 80, 34.01, 2.25, 24)),
    _regnet("regnety-1.6gf", (27, 48, 20.71, 2.65, 24), 0.25),
    _convnext("convnext-atto", (40, 80, 160, 320), (2, 2, 6, 2), f"{LIU}; atto of timm"),
    _convnext(
        "convnext-pico", (48, 96, 192, 384), (2, 2, 2, 2), f"{LIU}; widths of the original study"
    ),
    _convnext(
        "convnext-mini", (96, 192, 384, 768), (2, 2, 2, 2), f"{LIU}; depths of the original study"
    ),
    _convnext("convnext-tiny", (96, 192, 384, 768), (3, 3, 9, 3), LIU),
)  # fmt: skip
REFERENCES: dict[str, Reference] = {entry.name: entry for entry in _ALL}


def reference_names() -> tuple[str, ...]:
    """Return the names of all reference CNNs."""
    return tuple(REFERENCES)


def reference(name: str) -> Architecture:
    """Return a reference CNN by name, its widths multiplied as in `mobilenetv2@0.5`."""
    base, at, text = name.partition("@")
    if base not in REFERENCES:
        raise ModelError(f"expected a reference CNN ({', '.join(REFERENCES)}), got {base!r}")
    try:
        multiplier = float(text) if at else 1.0
    except ValueError:
        multiplier = math.nan
    if not 0 < multiplier <= 8:
        raise ModelError(f"expected a width multiplier such as {base}@0.5, up to 8, got {name!r}")
    canonical = base if multiplier == 1 else f"{base}@{multiplier:g}"
    return Architecture(canonical, REFERENCES[base].build(multiplier))
