import json

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from models import ModelError, Space, load_space, sample_architectures
from models.build import build
from models.constraints import holds
from models.modules import SelfAttention

ORIGINAL_BEST = {
    "depth": 18, "w_init": 64, "w_0": 64, "w_a": 40, "w_m": 2.0, "group_width": 4,
    "bottleneck": 2.0, "se_ratio": 0.0, "stem_kernel": 3,
}  # fmt: skip


def test_regnet1d_reproduces_the_printed_best_network():
    best = load_space("regnet1d").resolve(ORIGINAL_BEST)
    cost = best.cost(samples=1024)
    assert (cost.params, cost.flops) == (14_676_378, 1_002_229_760)
    stages = best.describe(1024)[1:-1]
    assert [row.blocks for row in stages] == [1, 2, 5, 9, 1]
    assert [row.width for row in stages] == [64, 128, 256, 512, 1024]


def test_regnet1d_reproduces_the_printed_low_network():
    """3.14 M parameters, 317 MMAC, stages [4, 10, 2] × [112, 192, 320], with gates."""
    low = load_space("regnet1d").resolve(
        {
            **ORIGINAL_BEST, "depth": 16, "w_init": 48, "w_0": 112, "w_a": 10, "w_m": 1.7,
            "se_ratio": 0.25, "stem_kernel": 9,
        }
    )  # fmt: skip
    cost = low.cost(samples=1024)
    assert round(cost.params / 1e6, 2) == 3.14
    assert round(cost.flops / 2e6) == 317
    stages = low.describe(1024)[1:-1]
    assert [(row.blocks, row.width) for row in stages] == [(4, 112), (10, 192), (2, 320)]


def test_regnet1d_keeps_its_constraint_and_seven_stages(draw):
    space = load_space("regnet1d")
    sample = sample_architectures(space, 60, flops_range=(3e7, 1e9), bins=6, seed=0)
    assert all(a.factors["w_0"] >= a.factors["w_init"] for a in sample.architectures)
    assert max(len(a.describe()) - 2 for a in sample.architectures) <= 7
    assert sample.refused > 0
    with pytest.raises(ModelError, match="w_0 >= w_init"):
        space.resolve({**ORIGINAL_BEST, "w_0": 40})


def test_hybrid_ends_its_last_stages_with_attention(ecg_cnn, draw):
    space = load_space("ecg-hybrid")
    for architecture in draw(space, 12, seed=1):
        values = dict(architecture.factors)
        attention = values.pop("attention")
        without = ecg_cnn.resolve(values)
        assert (architecture.hash == without.hash) == (attention == 0)
        pairs = list(zip(architecture.describe(), without.describe(), strict=True))
        changed = [row.stage for row, plain in pairs if row.params != plain.params]
        assert changed == [row.stage for row, _ in pairs[-1 - attention : -1]]
        for row, plain in pairs:
            if row.stage in changed:  # layer norm 2 w, projections 4 w (w + 1); products 4 w l²
                extra = 2 * row.width + 4 * row.width * (row.width + 1)
                assert row.params - plain.params == extra
                flops = 8 * row.width**2 * row.length + 4 * row.width * row.length**2
                assert row.flops - plain.flops == flops


def test_attention_computes_what_torch_computes():
    ours = SelfAttention(24, 3)
    theirs = torch.nn.MultiheadAttention(24, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.project_in.weight[:, :, 0, 0])
        theirs.in_proj_bias.copy_(ours.project_in.bias.normal_())
        theirs.out_proj.weight.copy_(ours.project_out.weight[:, :, 0, 0])
        theirs.out_proj.bias.copy_(ours.project_out.bias.normal_())
    x = torch.randn(2, 24, 17)
    expected = theirs(*[x.transpose(1, 2)] * 3)[0].transpose(1, 2)
    torch.testing.assert_close(ours(x[:, :, None])[:, :, 0], expected, rtol=1e-4, atol=1e-5)


OWN = """
family = "ecg-cnn"
constraints = ["depth >= 2 * stages"]
[factors]
depth = { low = 6, high = 20 }
stages = 4                                # fixed
kernel_size = { choices = [3, 4, 9] }     # even ones too
width = { low = 16, high = 64, log = true }
expansion = { low = 0.5, high = 2.0 }     # a range instead of choices
residual = true
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN)
    return load_space(path)


def test_a_space_of_ones_own_in_ten_lines(own, ecg_cnn):
    assert own.name == "own"
    assert dict(own.fixed) == {"stages": 4, "residual": True}
    factors = {factor.name: factor for factor in own.factors}
    assert factors["kernel_size"].choices == (3, 4, 9)
    assert (factors["expansion"].kind, factors["expansion"].low) == ("float", 0.5)
    assert factors["se_ratio"] in ecg_cnn.factors
    sample = sample_architectures(own, 24, flops_range=(3e6, 3e7), bins=3, seed=0)
    for architecture in sample.architectures:
        assert "stages" not in architecture.factors
        assert len(architecture.describe()) == 4 + 2
        assert architecture.factors["depth"] >= 8
        assert build(architecture)(torch.randn(2, 12, 99)).shape == (2, 26)


@pytest.mark.parametrize("name", ["ecg-cnn", "ecg-cnn-2", "regnet1d", "ecg-hybrid"])
def test_a_space_survives_json(own, name):
    for space in (own, load_space(name)):
        assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space


def test_constraints_compute():
    assert holds(
        "1 <= depth < 2 * width and not grouping == 'dense'",
        {"depth": 3, "width": 2, "grouping": "x"},
    )
    assert not holds("depth / width > 2", {"depth": 3, "width": 2})
    with pytest.raises(ModelError, match="cannot be computed"):
        holds("depth / width > 2", {"depth": 3, "width": 0})


def test_constraints_that_nothing_meets_are_named(tmp_path):
    path = tmp_path / "impossible.toml"
    path.write_text('constraints = ["depth < stages - 9"]')
    with pytest.raises(ModelError, match=r"none of .* meets depth < stages - 9"):
        sample_architectures(load_space(path), 4, flops_range=(1e6, 1e8), bins=2)


def test_even_kernels_keep_the_length_like_tensorflow(own):
    x = torch.randn(1, 12, 64)
    values = {factor.name: factor.draw(np.random.default_rng(0), 1)[0] for factor in own.factors}
    network = build(
        own.resolve({**values, "kernel_size": 4, "depth": 8, "grouping": "dense"})
    ).eval()
    conv = next(m for m in network.modules() if getattr(m, "kernel_size", None) == (1, 4))
    seen = []
    conv.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    network(x)
    assert torch.equal(seen[0][..., 0], torch.zeros_like(seen[0][..., 0]))
    assert torch.equal(seen[0][..., -2:], torch.zeros_like(seen[0][..., -2:]))
    assert F.pad(seen[0][..., 1:-2], (1, 2)).equal(seen[0])
