"""The space ecg-cnn-2 against networks from before it; every value of every factor."""

from collections.abc import Iterator

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from models import Architecture, family, family_names, load_space, reference, sample_architectures
from models.architecture import Value
from models.build import build
from models.ecg_cnn import PLAIN, network
from models.ecg_cnn_2 import FACTORS, XRESNET1D50
from models.layers import tree_hash

SPACE = load_space("ecg-cnn-2")
SMALL = {
    **XRESNET1D50, "depth": 5, "stages": 3, "width": 24, "width_growth": 1.5, "stem_width": 0.5,
}  # fmt: skip


def test_xresnet1d50_is_built_by_the_same_rules():
    """Its reference was written by itself, and its counts are the published ones."""
    tree = network(XRESNET1D50, [256] * 4, [3, 4, 6, 3])
    assert tree_hash(tree) == reference("xresnet1d50").hash


def test_xresnet1d50_is_nearly_a_point():
    """15 blocks, spread evenly, for its 16, most of which are where the length is short."""
    known, point = reference("xresnet1d50").cost(), SPACE.resolve(XRESNET1D50).cost()
    assert point.flops == pytest.approx(known.flops, rel=0.06)
    assert point.params == pytest.approx(known.params, rel=0.06)
    assert point.activations == pytest.approx(known.activations, rel=0.06)


def test_networks_of_ecg_cnn_are_points():
    names = {factor.name for factor in FACTORS}
    plain = {name: value for name, value in PLAIN.items() if name in names}
    for name in family_names():
        best = family(name)
        assert SPACE.resolve({**plain, **best.factors}).hash == best.hash


def single_changes() -> Iterator[object]:
    for factor in FACTORS:
        for value in factor.choices or (factor.low, factor.high):
            yield pytest.param({factor.name: value}, id=f"{factor.name}={value}")
    yield pytest.param({"residual": False, "stem_pool": False}, id="plain strided blocks")
    yield pytest.param({"depth": 1, "stages": 8, "stem_pool": False}, id="stages without blocks")


def trained_step(architecture: Architecture, device: str) -> torch.Tensor:
    model = build(architecture).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    logits = model(torch.randn(4, 12, 96, device=device))
    binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
    assert all(p.grad is not None for p in model.parameters())
    optimizer.step()
    return logits


@pytest.mark.parametrize("change", list(single_changes()))
def test_every_value_builds_trains_and_costs_what_torch_counts(
    change: dict[str, Value], measured_cost
):
    architecture = SPACE.resolve({**SMALL, **change})
    torch.manual_seed(0)
    assert torch.isfinite(trained_step(architecture, "cpu")).all()
    assert trained_step(architecture, "meta").shape == (4, 26)
    assert architecture.cost(101) == measured_cost(build(architecture), 12, 101)


def test_no_choice_changes_a_length(draw):
    """Factors are independent: depth, stem, pooling and halving leave every stage's length."""
    for architecture in draw(SPACE, 60, seed=3, max_flops=1e12, max_params=1e12):
        for samples in (1000, 777):
            length, lengths = (samples + 1) // 2, []
            for _ in range(architecture.factors["stages"]):
                length = (length + 1) // 2
                lengths.append(length)
            rows = architecture.describe(samples)
            assert [row.length for row in rows[1:-1]] == lengths


def test_every_other_value_is_another_network():
    base = SPACE.resolve(SMALL).hash
    for factor in FACTORS:
        for value in factor.choices or (factor.low, factor.high):
            same = value == SMALL[factor.name]
            assert (SPACE.resolve({**SMALL, factor.name: value}).hash == base) == same, value


def test_200_networks_between_3_and_300_mflop():
    sample = sample_architectures(SPACE, 200, flops_range=(3e6, 3e8), bins=10, seed=0)
    assert sample.accepted == (20,) * 10
    assert sample.proposals < 200 * 30
