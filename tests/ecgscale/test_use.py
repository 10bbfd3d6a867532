"""A network in use, as a user runs it."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import models
from data_pipeline import open_store
from models import family
from models.build import build
from models.card import ModelCard
from models.export import save_network
from search.training.keep import card_of_store
from tests.data_pipeline.files import write_record
from tests.ecgscale.conftest import Run


@pytest.fixture(scope="module")
def network(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "net.safetensors"
    torch.manual_seed(0)
    card = card_of_store(open_store(store), "random")
    save_network(path, family("ecgscale-xs"), build(family("ecgscale-xs")).eval(), card)
    return path


def test_predict_prints_and_writes_what_the_network_says(
    run: Run, network: Path, tmp_path: Path
) -> None:
    for name in ("A1", "A2"):
        write_record(tmp_path / "ecgs", name)
    out, plots = tmp_path / "out" / "said.csv", tmp_path / "plots"
    ecgs = tmp_path / "ecgs"
    done = run("predict", network, ecgs, "--out", out, "--plot", plots, "--format", "json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    written = list(csv.DictReader(io.StringIO(out.read_text())))
    assert len(printed) == len(written) == 2 * 26
    assert {path.name for path in plots.iterdir()} == {"A1.svg", "A2.svg"}
    one = printed[0]
    assert (one["record"], one["diagnosis"]) == ("A1", "atrial fibrillation")
    assert float(written[0]["probability"]) == pytest.approx(one["probability"], abs=1e-14)


def test_predict_names_what_it_cannot_read(run: Run, network: Path, tmp_path: Path) -> None:
    good = write_record(tmp_path, "A1")
    some = run("predict", network, good, tmp_path / "gone")
    assert some.returncode == 1
    assert f"not read: {tmp_path / 'gone.hea'}" in some.stderr
    assert "A1" in some.stdout
    none = run("predict", network, tmp_path / "gone")
    assert none.returncode == 2
    assert "gone.hea: cannot be read" in none.stderr
    wrong = run("predict", network, good, "--out", tmp_path / "said.xlsx")
    assert wrong.returncode == 2
    assert ".csv, .json or .parquet" in wrong.stderr


def test_an_old_file_is_completed_from_its_store(
    run: Run, store: Path, network: Path, tmp_path: Path
) -> None:
    loaded = models.load(network)
    old = replace(loaded.card, preprocessing=None, diagnoses=(), codes=())
    save_network(tmp_path / "old.safetensors", loaded.architecture, loaded, old)
    good = write_record(tmp_path, "A1")
    refused = run("predict", tmp_path / "old.safetensors", good)
    assert refused.returncode == 2
    assert "ecgscale export FILE --data STORE" in refused.stderr
    new = tmp_path / "new.safetensors"
    done = run("export", tmp_path / "old.safetensors", "--data", store, "--out", new)
    assert done.returncode == 0, done.stderr
    assert models.load(new).card == loaded.card
    other = ModelCard.from_dict({**old.to_dict(), "data_hash": "0" * 64})
    save_network(tmp_path / "other.safetensors", loaded.architecture, loaded, other)
    wrong = run("export", tmp_path / "other.safetensors", "--data", store, "--out", new)
    assert wrong.returncode == 2
    assert "that random was trained on" in wrong.stderr


def test_export_of_an_onnx_file_that_reads_millivolts(
    run: Run, network: Path, tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    out = tmp_path / "raw.onnx"
    done = run("export", network, "--format", "onnx-raw", "--out", out)
    assert done.returncode == 0, done.stderr
    (entry,) = runtime.InferenceSession(str(out)).get_inputs()
    assert (entry.name, entry.type) == ("signals_mv", "tensor(double)")


def test_evaluate_writes_a_page_and_prints_the_means(
    run: Run, store: Path, network: Path, tmp_path: Path
) -> None:
    done = run("evaluate", network, "--data", store, "--out", tmp_path / "out", "--draws", 20)
    assert done.returncode == 0, done.stderr
    tested = len(open_store(store).rows("test"))
    assert f"{tested} records (test)" in done.stdout
    assert "ecgscale-xs" in done.stdout
    assert (tmp_path / "out" / "evaluation.html").is_file()
    wrong = run("evaluate", network, "--data", store, "--split", "some")
    assert wrong.returncode == 2
    assert "Expected a split out of" in wrong.stderr
