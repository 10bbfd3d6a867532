"""A network takes raw ECGs to decisions: here, with PyTorch alone and with onnxruntime alone."""

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

import models
from data_pipeline.options import STEP, PrepareOptions
from data_pipeline.preprocessing import METHOD
from data_pipeline.store import LEADS
from models import ModelError
from models.build import build
from models.card import ModelCard
from models.card_markdown import card_markdown
from models.export import load_predictor, save_network, save_onnx
from models.preprocessing import Preprocessing
from tests.models.test_export import shaken
from tests.models.test_preprocessing import walk

OPTIONS = PrepareOptions(seconds=4)
CARD = ModelCard(
    name="a *network* | of mine",
    classes=("AF", "NSR", "PVC"),
    diagnoses=("atrial fibrillation", "sinus rhythm", "extrasystoles"),
    codes=(("164889003",), ("426783006",), ("427172004", "17338001")),
    leads=LEADS,
    samples=400,
    sample_rate_hz=100,
    thresholds=(0.3, 0.5, 0.45),
    scores={"validation macro_f1": 0.5, "validation challenge_score": float("nan")},
    intervals={"validation macro_f1": (0.4, 0.6)},
    records={"train": 1374},
    positives={"AF": 87},
    preprocessing=Preprocessing.from_options(OPTIONS.to_dict(), LEADS, STEP, METHOD),
)


@pytest.fixture(scope="module")
def architecture():
    return models.family("ecgscale-xs")


@pytest.fixture(scope="module")
def network(architecture):
    torch.manual_seed(1)
    network = shaken(build(architecture, leads=12, outputs=3))
    torch.nn.init.normal_(network.body[-1][-1].weight, std=0.2)
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory, architecture, network):
    folder = tmp_path_factory.mktemp("1 network")
    save_network(folder / "7.safetensors", architecture, network, CARD)
    return folder


ECGS = [walk(np.random.default_rng(k), n) for k, n in enumerate((5000, 2100, 1600, 9000))]


def test_a_prediction_is_what_its_parts_give(folder, network):
    loaded = models.load(folder / "7.safetensors")
    said = loaded.predict(ECGS, 500)
    assert said.windows.tolist() == [2, 1, 1, 4]
    for one, ecg in zip(said, ECGS, strict=True):
        windows = CARD.preprocessing.windows_of(ecg, 500, windows=0)
        with torch.no_grad():
            logits = network(torch.from_numpy(windows * np.float32(STEP)))
        expected = logits.double().sigmoid().mean(0).numpy()
        np.testing.assert_allclose(one.probabilities, expected, atol=1e-5)
        assert one.decisions.tolist() == (one.probabilities > CARD.thresholds).tolist()
        decided = [n for n, d in zip(CARD.diagnoses, one.decisions, strict=True) if d]
        assert sorted(one.findings()) == sorted(decided)
        alone = loaded.predict(ecg, 500)
        assert alone.probabilities.tolist() == one.probabilities.tolist()
    most = loaded.predict(ECGS, 500, aggregate="max")
    assert (most.probabilities >= said.probabilities).all()
    assert (most.probabilities[[1, 2]] == said.probabilities[[1, 2]]).all()
    assert loaded.predict(ECGS, 500, windows=1).windows.tolist() == [1, 1, 1, 1]
    with pytest.raises(ModelError, match="of one ECG"):
        said.findings()
    with pytest.raises(ModelError, match="aggregate"):
        loaded.predict(ECGS, 500, aggregate="median")
    assert len(loaded.predict([], 500)) == 0


def without(module: str, code: str, folder) -> np.ndarray:
    """Run code where this package and all that it needs besides cannot be imported."""
    np.savez(folder / "ecgs.npz", *ECGS)
    script = f"""
        import sys
        for name in ("models", "data_pipeline", "search", "scipy", "pandas", "{module}"):
            sys.modules[name] = None  # an import would raise
        import numpy
        ecgs = list(numpy.load("ecgs.npz").values())
        {textwrap.indent(textwrap.dedent(code), " " * 8).strip()}
        assert card["diagnoses"][0] == "atrial fibrillation"
        numpy.save("said.npy", said.probabilities)
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=folder, check=True, env=environment
    )
    return np.load(folder / "said.npy")


def test_with_pytorch_alone_come_the_same_bits(folder):
    code = """
        from network_7 import load
        network, card = load()
        said = network.predict(ecgs, 500)
    """
    expected = models.load(folder / "7.safetensors").predict(ECGS, 500).probabilities
    assert without("onnxruntime", code, folder).tolist() == expected.tolist()


def test_with_onnxruntime_alone_and_with_its_file_here(folder, architecture, network):
    pytest.importorskip("onnxruntime")
    assert save_onnx(folder / "7.onnx", architecture, network, CARD) < 1e-5
    expected = models.load(folder / "7.safetensors").predict(ECGS, 500).probabilities
    code = """
        from network_7_onnx import load
        predictor, card = load()
        said = predictor.predict(ecgs, 500)
    """
    np.testing.assert_allclose(without("torch", code, folder), expected, atol=1e-5)
    here = load_predictor(folder / "7.onnx").predict(ECGS, 500)
    np.testing.assert_allclose(here.probabilities, expected, atol=1e-5)
    with pytest.raises(ModelError, match="no such file"):
        load_predictor(folder / "8.onnx")
    (folder / "9.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match=r"expected a network's \.onnx"):
        load_predictor(folder / "9.onnx")


@pytest.mark.parametrize("standardise", ["lead", "record", "none"])
@pytest.mark.parametrize("band", [(0.5, 40.0), None])
def test_onnx_that_reads_millivolts(tmp_path, architecture, network, standardise, band):
    runtime = pytest.importorskip("onnxruntime")
    options = replace(OPTIONS, standardise=standardise, band_hz=band).to_dict()
    own = Preprocessing.from_options(options, LEADS, STEP, METHOD)
    card = replace(CARD, preprocessing=own)
    path = tmp_path / "raw.onnx"
    assert save_onnx(path, architecture, network, card, raw=True) < 1e-5
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["ecgscale_card"] == card.to_json()
    save_network(tmp_path / "net.safetensors", architecture, network, card)
    loaded = models.load(tmp_path / "net.safetensors")
    for samples, flat in ((400, ()), (301, (0, 4)), (1003, ()), (400, (2,))):
        ecgs = np.stack([walk(np.random.default_rng([samples, k]), samples) for k in range(2)])
        ecgs[:, list(flat)] = 0.1
        _, found = session.run(None, {"signals_mv": ecgs})
        expected = loaded.predict(ecgs, 100, windows=1).probabilities
        np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(ModelError, match="program"):
        load_predictor(path)


def test_a_file_of_before_preparation_was_kept_says_so(tmp_path, architecture, network):
    old = {k: v for k, v in json.loads(CARD.to_json()).items() if k != "preprocessing"}
    old_names = {"name", "classes", "leads", "samples", "sample_rate_hz", "thresholds"}
    card = ModelCard.from_dict({k: v for k, v in old.items() if k in old_names})
    save_network(tmp_path / "old.safetensors", architecture, network, card)
    loaded = models.load(tmp_path / "old.safetensors")
    assert torch.equal(loaded(torch.zeros(1, 12, 400)), network(torch.zeros(1, 12, 400)))
    with pytest.raises(ModelError, match=r"ecgscale export FILE --data STORE"):
        loaded.predict(ECGS[0], 500)
    with pytest.raises(ModelError, match=r"ecgscale export FILE --data STORE"):
        save_onnx(tmp_path / "old.onnx", architecture, network, card, raw=True)


def test_the_card_is_valid_json_and_markdown_with_front_matter(folder):
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    assert "challenge_score" not in CARD.to_json()
    again = ModelCard.from_dict(json.loads(CARD.to_json(), parse_constant=refuse))
    assert again == replace(CARD, scores={"validation macro_f1": 0.5})
    _, front, body = (folder / "7.md").read_text().split("---\n", 2)
    facts = YAML(typ="safe").load(front)
    assert facts["license"] == "mit"
    assert "ecg" in facts["tags"]
    (index,) = facts["model-index"]
    assert index["name"] == CARD.name
    assert [m["value"] for m in index["results"][0]["metrics"]] == [0.5]
    html = MarkdownIt("commonmark").enable("table").render(body)
    assert "<h1>a *network* | of mine</h1>" in html
    assert "<td>extrasystoles</td>\n<td>427172004, 17338001</td>\n<td>0.450</td>" in html
    assert "<td>validation macro_f1</td>\n<td>0.5000</td>\n<td>0.4000 to 0.6000</td>" in html
    assert "import load" in html
    synthetic = card_markdown(replace(CARD, synthetic_data=True), "", "")
    assert "<strong>Trained on synthetic" in MarkdownIt().render(synthetic)
