"""Reference CNNs against the published counts of parameters and multiply-accumulates."""

from dataclasses import replace

import pytest
import torch

from models import Architecture, ModelError
from models.build import build
from models.layers import Add, Concat, Conv, Sequence
from models.references import REFERENCES, reference, reference_names

LENGTHS = (1000, 1024, 2500, 4096, 5000)
# Parameters in millions (as many digits as are known) and MMAC at these lengths, 26 outputs.
TABLE = {
    "xresnet1d18": (0.368, 47, 48, 118, 193, 235),
    "xresnet1d34": (0.697, 79, 81, 198, 324, 395),
    "xresnet1d101": (1.875, 162, 165, 405, 661, 808),
    "resnet1d-wang": (0.476, 253, 259, 631, 1034, 1262),
    "fcn-wang": (0.312, 274, 281, 686, 1124, 1372),
    "resnet18": (3.862170, 175, 177, 435, 707, 866),
    "resnet34": (7.237, 355, 359, 883, 1437, 1759),
    "resnet50": (16.012442, 793, 802, 1970, 3207, 3925),
    "resnet101": (28.32, 1565, 1586, 3894, 6345, 7761),
    "se-wrn": (1.354, 121, 123, 301, 492, 601),
    "isibrno": (6.55, 632, 645, 1580, 2582, 3154),
    "net1d": (30.7, 242, 244, 591, 947, 1169),
    "mobilenetv1": (3.204, 162, 164, 403, 657, 804),
    "regnetx-200mf": (2.169, 79, 79, 195, 317, 388),
    "regnetx-400mf": (4.218, 153, 153, 378, 614, 752),
    "regnety-400mf": (3.711, 128, 129, 316, 512, 627),
    "regnetx-800mf": (6.045, 254, 256, 630, 1024, 1254),
    "regnetx-1.6gf": (7.333, 394, 399, 981, 1597, 1954),
    "regnety-1.6gf": (9.141, 412, 417, 1022, 1663, 2034),
    "convnext-atto": (3.171, 153, 158, 385, 631, 770),
    "convnext-pico": (3.365, 147, 151, 368, 604, 737),
    "convnext-mini": (13.383098, 584, 602, 1467, 2407, 2935),
    "convnext-tiny": (26.787770, 1299, 1340, 3266, 5359, 6532),
}
# Trainable parameters of the image networks (1000 classes), as torchvision and Keras state them.
IN_TWO_DIMENSIONS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "mobilenetv1": 4_231_976,
    "mobilenetv2": 3_504_872,
    "mobilenetv2@0.5": 1_968_680,
    "efficientnet-b0": 5_288_548,
    "densenet121": 7_978_856,
    "regnety-400mf": 4_344_144,
    "regnetx-800mf": 7_259_656,
    "regnetx-1.6gf": 9_190_136,
    "regnety-1.6gf": 11_202_430,
    "convnext-tiny": 28_589_128,
}


@pytest.mark.parametrize("name", TABLE)
def test_parameters_and_multiply_accumulates_are_those_published(name):
    params, *mmacs = TABLE[name]
    digits = len(str(params).split(".")[1])
    architecture = reference(name)
    assert round(architecture.cost().params / 1e6, digits) == params
    for samples, mmac in zip(LENGTHS, mmacs, strict=True):
        cost = architecture.cost(samples)
        macs = cost.flops / 2
        if name == "isibrno":  # published without the two matrix products of attention
            attended = architecture.describe(samples)[-2].length
            macs -= 2 * attended**2 * 256
        assert abs(macs / 1e6 - mmac) <= 0.56, samples  # the table was rounded twice


def squared(layer):
    """Return the tree with k² weights where a kernel had k: the image network's parameters."""
    match layer:
        case Conv():
            return replace(layer, kernel=layer.kernel**2, padding="same")
        case Sequence():
            return replace(layer, layers=tuple(map(squared, layer.layers)))
        case Add() | Concat():
            return replace(layer, branches=tuple(map(squared, layer.branches)))
    return layer


def test_regnets_have_the_widths_of_the_paper():
    """Torchvision rounds two widths up (400 for 384, 784 for 768); timm, as the paper, does not."""
    for name, millions in {"regnetx-400mf": 5.16, "regnety-800mf": 6.26}.items():
        image = Architecture(name, squared(reference(name).layers))
        params = image.cost(samples=64, leads=3, outputs=1000).params
        assert round(params / 1e6, 2) == millions


@pytest.mark.parametrize("name", IN_TWO_DIMENSIONS)
def test_with_square_kernels_the_image_network_is_counted(name):
    image = Architecture(name, squared(reference(name).layers))
    assert image.cost(samples=64, leads=3, outputs=1000).params == IN_TWO_DIMENSIONS[name]


def test_xresnet1d50_stage_2_by_hand():
    rows = {row.stage: row for row in reference("xresnet1d50").describe(1000)}
    length = 125  # 1000 / 2 (stem) / 2 (max-pool) / 2
    first = 256 * 64 * 250 + 64 * 64 * 5 * length + 64 * 256 * length
    others = (256 * 64 + 64 * 64 * 5 + 64 * 256) * length
    assert rows["stage 2"].length == length
    assert rows["stage 2"].flops == 2 * (first + 3 * others)
    norms = 4 * (64 + 64 + 256) * 2
    assert rows["stage 2"].params == 4 * (256 * 64 + 64 * 64 * 5 + 64 * 256) + norms


def test_inception1d_stage_2_by_hand():
    rows = {row.stage: row for row in reference("inception1d").describe(1000)}
    module = 128 * 32 + 32 * 32 * (39 + 19 + 9) + 128 * 32
    weights = 3 * module + 128 * 128
    assert rows["stage 2"].flops == 2 * 1000 * weights
    assert rows["stage 2"].params == weights + 3 * 256 + 256
    assert rows["stage 1"].params == rows["stage 2"].params - (128 - 12) * (32 + 32 + 128)


def test_ribeiro_unit_2_by_hand():
    """At 4096 samples: 256 positions after the unit, and 16 × 320 features at the end."""
    rows = {row.stage: row for row in reference("ribeiro").describe(4096)}
    assert [row.length for row in rows.values()] == [4096, 1024, 256, 64, 16, 1]
    wide, narrow, skip = 128 * 196 * 16, 196 * 196 * 16, 128 * 196
    assert rows["unit 2"].flops == 2 * (wide * 1024 + narrow * 256 + skip * 256)
    assert rows["unit 2"].params == wide + narrow + skip + 2 * 128 + 2 * 196
    assert rows["head"].params == 2 * 320 + 16 * 320 * 26 + 26


def test_zhao_stage_3_by_hand():
    rows = {row.stage: row for row in reference("zhao-se-resnet18").describe(4096)}
    assert rows["stage 3"].length == 256
    convolutions = 128 * 256 * 7 + 3 * 256 * 256 * 7 + 128 * 256
    gates = 2 * 2 * 256 * 16
    assert rows["stage 3"].flops == 2 * (convolutions * 256 + gates)
    assert rows["stage 3"].params == convolutions + gates + 5 * 2 * 256


def test_mobilenetv2_and_efficientnet_stage_3_by_hand():
    rows = {row.stage: row for row in reference("mobilenetv2").describe(1024)}
    first = 24 * 144 * 256 + 144 * 3 * 128 + 144 * 32 * 128
    others = (32 * 192 + 192 * 3 + 192 * 32) * 128
    assert rows["stage 3"].flops == 2 * (first + 2 * others)
    rows = {row.stage: row for row in reference("efficientnet-b0").describe(1024)}
    first = 24 * 144 * 256 + 144 * 5 * 128 + 2 * 144 * 6 + 144 * 40 * 128
    second = (40 * 240 + 240 * 5 + 240 * 40) * 128 + 2 * 240 * 10
    assert rows["stage 3"].flops == 2 * (first + second)


def test_densenet121_stage_1_and_regnety_800mf_stage_1_by_hand():
    rows = {row.stage: row for row in reference("densenet121").describe(1024)}
    layers = sum((64 + 32 * i) * 128 + 128 * 32 * 3 for i in range(6)) * 256
    assert rows["stage 1"].flops == 2 * (layers + 256 * 128 * 256)
    rows = {row.stage: row for row in reference("regnety-800mf").describe(1024)}
    assert (rows["stage 1"].blocks, rows["stage 1"].width) == (1, 64)
    block = 32 * 64 * 512 + 64 * 16 * 3 * 256 + 2 * 64 * 8 + 64 * 64 * 256 + 32 * 64 * 256
    assert rows["stage 1"].flops == 2 * block


@pytest.mark.parametrize("name", reference_names())
def test_every_reference_costs_what_torch_counts_and_trains(name, measured_cost):
    for multiplier, samples in ((0.25, 512), (0.5, 333)):
        architecture = reference(f"{name}@{multiplier}")
        network = build(architecture, leads=8, outputs=5)
        assert architecture.cost(samples, 8, 5) == measured_cost(network, 8, samples)
    network.train()(torch.randn(2, 8, 512)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    full, half = reference(name).cost(), reference(f"{name}@0.5").cost()
    assert 0.15 * full.flops < half.flops < 0.55 * full.flops
    assert reference(f"{name}@1.0").hash == reference(name).hash
    assert Architecture.from_json(reference(name).to_json()) == reference(name)
    assert REFERENCES[name].source


@pytest.mark.parametrize(
    "name", ["resnet", "resnet18@", "resnet18@wide", "resnet18@0", "ribeiro@99"]
)
def test_an_unknown_reference_is_an_error(name):
    with pytest.raises(ModelError, match=r"expected a (reference CNN|width multiplier)"):
        reference(name)


def test_too_few_samples_are_an_error():
    with pytest.raises(ModelError, match="expected more samples"):
        reference("densenet121").cost(samples=8)
