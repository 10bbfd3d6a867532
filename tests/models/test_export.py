"""Networks that leave the house compute what they computed inside."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn

import models
from models import ModelError, load_space, reference, reference_names
from models.build import build
from models.card import ModelCard
from models.card_markdown import card_markdown
from models.export import load_network, save_network, save_onnx

CARD = ModelCard(
    name="ecg-cnn for 10 MFLOPs",
    classes=("AF", "NSR", "PVC"),
    leads=("I", "II", "V1"),
    samples=300,
    sample_rate_hz=100,
    preparation="Band-pass 0.5–40 Hz, standardised per lead.",
    thresholds=(0.3, 0.5, 0.25),
    scores={"macro_auroc": 0.91234},
    data_hash="abc123",
    recipe={"epochs": 3},
    study="small",
    seed=7,
)


def shaken(network: nn.Module) -> nn.Module:
    """Move every norm away from its start, so that a mistake in one shows."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return network.eval()


@pytest.fixture
def architecture(ecg_cnn, draw):
    return draw(ecg_cnn, 1, seed=6, max_flops=2e7)[0]


@pytest.fixture
def network(architecture):
    return shaken(build(architecture, leads=3, outputs=3))


def test_a_saved_network_comes_back_with_one_line(tmp_path, architecture, network):
    path, card, code = save_network(tmp_path / "net.safetensors", architecture, network, CARD)
    again = models.load(path)
    x = torch.randn(2, 3, 300)
    assert torch.equal(again(x), network(x))
    assert not again.training
    assert again.card == CARD
    assert again.architecture == architecture
    text = card.read_text()
    for said in ("abc123", "macro_auroc | 0.9123", '"epochs": 3', "AF | 0.300", "MIT", "0.5–40 Hz",
                 architecture.hash, "no medical device"):  # fmt: skip
        assert said in text
    assert code.suffix == ".py"


@pytest.mark.parametrize("name", ["ecg-cnn", "isibrno@0.25", "net1d@0.25"])
def test_the_saved_module_runs_without_this_package(tmp_path, architecture, name):
    architecture = architecture if name == "ecg-cnn" else reference(name)
    network = shaken(build(architecture, leads=3, outputs=3))
    save_network(tmp_path / "my-net.safetensors", architecture, network, CARD)
    x = torch.randn(2, 3, 300)
    np.save(tmp_path / "x.npy", x.numpy())
    script = """
        import sys
        sys.modules["models"] = None  # an import of this package would raise
        import numpy, torch
        from my_net import load
        network, card = load()
        with torch.no_grad():
            numpy.save("y.npy", network(torch.from_numpy(numpy.load("x.npy"))).numpy())
        assert card["classes"] == ["AF", "NSR", "PVC"]
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=tmp_path, check=True, env=environment
    )
    expected = network(x).detach().numpy()
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), expected, rtol=1e-5, atol=1e-6)


def test_a_wrong_file_is_refused_in_words(tmp_path, architecture, network):
    with pytest.raises(ModelError, match=r"ends in \.safetensors"):
        save_network(tmp_path / "net.pt", architecture, network, CARD)
    with pytest.raises(ModelError, match="expected a network's"):
        models.load(tmp_path / "missing.safetensors")
    (tmp_path / "garbled.safetensors").write_bytes(b"nonsense" * 9)
    with pytest.raises(ModelError, match="expected a network's"):
        models.load(tmp_path / "garbled.safetensors")
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="found only weights"):
        load_network(tmp_path / "other.safetensors")
    with pytest.raises(ModelError, match="those of another network"):
        save_network(tmp_path / "x.safetensors", reference("fcn-wang"), network, CARD)
    with pytest.raises(ModelError, match="expected 3 thresholds, got 1"):
        ModelCard.from_dict({**CARD.to_dict(), "thresholds": (0.5,)})
    with pytest.raises(ModelError, match="expected a model card"):
        ModelCard.from_dict({"name": "x"})


def test_a_card_of_synthetic_data_says_so():
    card = ModelCard.from_dict(json.loads(json.dumps({**CARD.to_dict(), "synthetic_data": True})))
    assert "synthetic ECGs" in card_markdown(card, "", "")
    assert "synthetic" not in card_markdown(CARD, "", "")


def onnx_logits(path, x: torch.Tensor) -> np.ndarray:
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"signals": x.numpy()})[0]


def check_onnx(path, architecture, lengths):
    network = shaken(build(architecture, leads=3, outputs=3)).train()
    assert save_onnx(path, architecture, network, CARD) < 1e-4
    assert network.training
    network.eval()
    for batch, samples in lengths:
        x = torch.randn(batch, 3, samples)
        with torch.no_grad():
            expected = network(x).numpy()
        scale = np.abs(expected).max()
        np.testing.assert_allclose(onnx_logits(path, x) / scale, expected / scale, atol=1e-4)


@pytest.mark.parametrize("space", ["ecg-cnn", "ecg-cnn-2", "regnet1d", "ecg-hybrid"])
def test_onnx_gives_the_same_outputs_at_any_batch_and_length(tmp_path, draw, space):
    onnx = pytest.importorskip("onnx")
    for architecture in draw(load_space(space), 8, seed=31, max_flops=1e8):
        check_onnx(tmp_path / "net.onnx", architecture, ((1, 300), (4, 257), (2, 1)))
    assert "abc123" in (tmp_path / "net.md").read_text()
    properties = {p.key: p.value for p in onnx.load(tmp_path / "net.onnx").metadata_props}
    assert ModelCard.from_dict(json.loads(properties["ecgscale_card"])) == CARD


@pytest.mark.parametrize("name", reference_names())
def test_onnx_of_every_reference(tmp_path, name):
    pytest.importorskip("onnx")
    lengths = ((2, 300),) if name == "ribeiro" else ((2, 300), (1, 129))
    check_onnx(tmp_path / "net.onnx", reference(f"{name}@0.25"), lengths)
