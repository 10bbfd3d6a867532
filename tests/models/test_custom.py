"""Networks of a plug-in, which are no trees of layers: counted by tracing, at home everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import models
from definitions.plugins import UNNAMED
from models import Architecture, Factor, ModelError, load_space, sample_architectures
from models.build import build
from models.diagram import architecture_svg
from models.export import load_predictor, save_network, save_onnx
from models.fold import fold_batch_norms
from models.layers import Custom
from models.memory import training_memory
from models.own_family import module_family, tree_family
from models.space import FAMILIES, Space
from models.space_file import space_from_table
from tests.models.test_export import CARD

SAMPLES, WIDTH = 300, 16


class Tower(nn.Module):
    """Convolutions over time in Conv1d, then perhaps something over the sequence."""

    def __init__(self, values, leads, outputs) -> None:
        super().__init__()
        width, kind = int(values["width"]), values["kind"]
        self.stem = nn.Sequential(
            nn.Conv1d(leads, width, 15, stride=8, padding=7), nn.BatchNorm1d(width), nn.ReLU()
        )
        self.body: nn.Module = nn.Identity()
        if kind == "attention":
            self.body = nn.TransformerEncoderLayer(width, 2, 2 * width, batch_first=True)
        if kind == "lstm":
            self.body = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Linear(width, outputs)

    def forward(self, x):
        x = self.body(self.stem(x).transpose(1, 2))
        return self.head((x[0] if isinstance(x, tuple) else x).mean(1))


def build_tower(values, leads, outputs):
    return Tower(values, leads, outputs)


@pytest.fixture(autouse=True)
def _families() -> Iterator[None]:
    factors = (
        Factor.integer("width", 8, 64, step=8),
        Factor.choice("kind", "plain", "attention", "lstm"),
    )
    module_family("tower", factors)(build_tower)
    yield
    FAMILIES.forget(UNNAMED)


def tower(kind: str, width: int = WIDTH) -> Architecture:
    return load_space("tower").resolve({"kind": kind, "width": width})


@pytest.mark.parametrize("kind", ["plain", "attention", "lstm"])
def test_cost_is_what_the_layers_sum_to(kind: str) -> None:
    """By hand, for torch's own counter leaves out attention and LSTMs that a CPU fuses."""
    length = -(-SAMPLES // 8)
    flops = 2 * 12 * WIDTH * 15 * length + 2 * WIDTH * 26
    if kind == "attention":  # four projections, two products of length², two layers
        flops += 2 * length * (4 * WIDTH**2 + 4 * WIDTH**2) + 4 * WIDTH * length**2
    if kind == "lstm":  # four gates of the input and of the state
        flops += 2 * length * 8 * WIDTH**2
    cost = tower(kind).cost(SAMPLES, 12, 26)
    assert cost.flops == flops
    network = build(tower(kind), 12, 26)
    assert cost.params == sum(p.numel() for p in network.parameters())
    assert network(torch.randn(2, 12, SAMPLES)).shape == (2, 26)
    assert "flop_counter" in tower(kind).counted


def test_traced_cost_is_that_of_torch_and_of_the_same_tree_of_layers(measured_cost, ecg_cnn, draw):
    for tree in draw(ecg_cnn, 4, seed=2, max_flops=2e7):
        module_family(f"same-{tree.hash}", [Factor.choice("nothing", 0)])(
            lambda _, leads, outputs, tree=tree: build(tree, leads, outputs)
        )
        same = load_space(f"same-{tree.hash}").resolve({"nothing": 0})
        traced, counted = same.cost(SAMPLES, 12, 5), tree.cost(SAMPLES, 12, 5)
        measured = measured_cost(build(same, 12, 5), 12, SAMPLES)
        assert traced.flops == counted.flops == measured.flops
        assert traced.params == counted.params == measured.params
        assert traced.activations >= counted.activations, "matrix products come on top"
        memory = training_memory(same, batch=8, samples=SAMPLES, outputs=5)
        of_tree = training_memory(tree, batch=8, samples=SAMPLES, outputs=5)
        assert memory.saved_bytes == pytest.approx(of_tree.saved_bytes, rel=0.02)


def test_an_architecture_travels_as_json_and_its_hash_stands_for_values_and_source() -> None:
    one = tower("plain")
    assert Architecture.from_json(one.to_json()) == one
    layer = one.layers.layers[0].layers[0]
    assert isinstance(layer, Custom)
    hashes = {one.hash, tower("lstm").hash, tower("plain", 24).hash}
    other = replace(layer, source="0123456789abcdef")
    altered = json.loads(one.to_json().replace('"tower","",', '"tower","0123456789abcdef",'))
    assert len(hashes) == 3
    with pytest.raises(ModelError, match="was altered"):
        Architecture.from_json(json.dumps(altered))
    changed = Architecture("tower", replace(one.layers, layers=(other,)))
    assert Architecture.from_json(changed.to_json()) == changed, "read without the plug-in"
    assert changed.hash not in hashes
    with pytest.raises(ModelError, match=r"the source 0123456789abcdef, got .*--plugin"):
        changed.cost()
    with pytest.raises(ModelError, match="the source 0123456789abcdef"):
        build(changed)


def test_a_family_is_sampled_stored_and_narrowed_like_ours() -> None:
    space = load_space("tower")
    drawn = sample_architectures(space, 6, flops_range=(2e5, 8e6), bins=3, samples=SAMPLES)
    flops = [one.cost(SAMPLES).flops for one in drawn.architectures]
    assert len({one.hash for one in drawn.architectures}) == 6
    places = np.searchsorted(drawn.edges, flops) - 1
    assert places.tolist() == list(drawn.bins)
    assert Space.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    narrow = space_from_table({"family": "tower", "factors": {"kind": "plain"}}, "narrow")
    assert [factor.name for factor in narrow.factors] == ["width"]
    with pytest.raises(ModelError, match="width to be a whole number from 8 to 64"):
        space_from_table({"family": "tower", "factors": {"width": 999}}, "wide")
    rows = tower("plain").describe(SAMPLES)
    assert [(row.stage, row.width, row.flops) for row in rows] == [
        ("tower", 26, tower("plain").cost(SAMPLES).flops)
    ]
    assert "tower" in architecture_svg(tower("plain"), samples=SAMPLES)


def test_a_tree_family_builds_from_layers_of_ours() -> None:
    ecg = load_space("ecg-cnn")
    values = {factor.name: factor.draw(np.random.default_rng(0), 1)[0] for factor in ecg.factors}

    @tree_family("short", [Factor.integer("depth", 3, 6)])
    def short(chosen):
        return ecg.layers({**values, **chosen})

    one = load_space("short").resolve({"depth": 4})
    assert one.hash == ecg.resolve({**values, "depth": 4}).hash
    assert one.counted == "counted layer by layer, exactly"


def test_a_rule_that_is_registered_anew_is_counted_anew() -> None:
    for outer, expected in ((1, 1), (3, 3)):
        module_family("again", [Factor.choice("nothing", 0)])(
            lambda _, leads, outputs, outer=outer: nn.Sequential(
                nn.Flatten(), *[nn.Linear(leads * 10, leads * 10) for _ in range(outer)],
                nn.Linear(leads * 10, outputs),
            )
        )  # fmt: skip
        one = load_space("again").resolve({"nothing": 0})
        assert one.cost(10, 2, 5).flops == 2 * (expected * 20 * 20 + 20 * 5)


def test_counting_leaves_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    tower("attention", 40).cost(SAMPLES)
    training_memory(tower("attention", 40), batch=4, samples=SAMPLES)
    assert torch.equal(torch.randn(3), expected)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda v, leads, outputs: 3, "a torch.nn.Module, got int"),
        (lambda v, leads, outputs: nn.Conv1d(leads, outputs, 3), r"logits \(1, 4\) .*return"),
        (lambda v, leads, outputs: nn.Conv1d(7, outputs, 3), "that runs on .*RuntimeError"),
        (lambda v, leads, outputs: nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(outputs)),
         "got 0 FLOPs"),
    ],
)  # fmt: skip
def test_what_is_no_network_is_told(rule, message: str) -> None:
    module_family("wrong", [Factor.choice("nothing", 0)])(rule)
    with pytest.raises(ModelError, match=message):
        load_space("wrong").resolve({"nothing": 0}).cost(100, 12, 4)


@pytest.mark.parametrize("kind", ["plain", "attention"])
def test_what_leaves_the_house_computes_the_same(kind: str, tmp_path) -> None:
    architecture = tower(kind)
    torch.manual_seed(0)
    network = build(architecture, leads=3, outputs=3)
    network(torch.randn(64, 3, 300))  # moves the running statistics
    network.eval()
    x = torch.randn(5, 3, 300)
    expected = network(x)
    torch.testing.assert_close(fold_batch_norms(network)(x), expected, rtol=0, atol=0)
    paths = save_network(tmp_path / "net.safetensors", architecture, network, CARD)
    assert [path.name for path in paths] == ["net.safetensors", "net.md"]
    assert "load_plugin" in paths[1].read_text()
    torch.testing.assert_close(models.load(paths[0])(x), expected, rtol=0, atol=0)
    save_onnx(tmp_path / "net.onnx", architecture, network, CARD)
    logits = load_predictor(tmp_path / "net.onnx").logits(x.numpy())
    np.testing.assert_allclose(logits, expected.detach().numpy(), atol=1e-5)
    FAMILIES.forget(UNNAMED)
    with pytest.raises(ModelError, match="load it with --plugin"):
        models.load(paths[0])


def test_a_network_that_onnx_cannot_hold_says_so(tmp_path) -> None:
    class Sorted(Tower):
        def forward(self, x):
            return torch.linalg.qr(super().forward(x))[0]

    module_family("odd", load_space("tower").factors)(Sorted)
    odd = load_space("odd").resolve({"kind": "plain", "width": 8})
    network = build(odd, leads=3, outputs=3).eval()
    with pytest.raises(ModelError, match=r"that torch.onnx.export can write.*safetensors"):
        save_onnx(tmp_path / "net.onnx", odd, network, CARD)
