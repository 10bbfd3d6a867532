"""From raw files with five classes of one's own to the bits of validation on raw ECGs."""

from __future__ import annotations

import csv
import json
import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import models
from data_pipeline import open_store
from search.training.metrics import macro_f1
from tests.ecgscale.conftest import Run

# Five classes of a user's own, over the codes of the files.
CLASSES = """abbreviation,name,codes
SINUS,sinus rhythm,426783006
BRADY,slow rhythm,426177001
TACHY,fast rhythm,427084000
FLIMMER,atrial fibrillation or flutter,164889003|164890007
BLOCK,bundle branch block,59118001|713427006|164909002|733534002
"""
DEFINITION = """
[sample]
architectures = 4
flops = ["1.6M", "4M"]
bins = 1
[recipe]
epochs = 1
batch_size = 16
"""


@pytest.fixture(scope="module")
def files(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """WFDB files of two folders, a table of labels and patients, and one new ECG beside them."""
    folder = tmp_path_factory.mktemp("own")
    rows = []
    for number, header in enumerate(sorted(raw.rglob("*.hea"))):
        text = header.read_text()
        codes = next(one.partition(":")[2] for one in text.splitlines() if "Dx" in one)
        place = folder / ("new" if number == 0 else "ecgs")
        place.mkdir(exist_ok=True)
        for path in header.parent.glob(f"{header.stem}.*"):
            shutil.copy(path, place / path.name)
        if number:
            labels = codes.strip().replace(",", "|")
            rows.append((header.stem, labels, f"P{number // 2}"))
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("record", "labels"), *(row[:2] for row in rows)])
    with (folder / "who.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("record", "patient"), *((row[0], row[2]) for row in rows)])
    (folder / "classes.csv").write_text(CLASSES)
    (folder / "own.toml").write_text(DEFINITION)
    return folder


@pytest.mark.longest
def test_raw_ecgs_get_what_validation_said(run: Run, files: Path, database: str) -> None:
    out, where = files / "out", ("--storage", database)
    tables = ("--table", files / "labels.csv", "--labels", files / "classes.csv")
    done = run(
        *("run", files / "own.toml", "--raw", files / "ecgs", "--format", "csv", *tables),
        *("--patients", files / "who.csv", "--split", "50/25/25", "--out", out, "--no-confirm"),
        *("--workers", "1", *where),
    )
    assert done.returncode == 0, done.stderr + done.stdout
    store = open_store(out / "store")
    assert store.classes == ("SINUS", "BRADY", "TACHY", "FLIMMER", "BLOCK")
    (network,) = (out / "networks").rglob("*.safetensors")
    card = models.load(network).card
    assert card.diagnoses[3] == "atrial fibrillation or flutter"

    # Every raw file of the validation split, through the command, scores as the study says.
    rows = store.rows("validation")
    names = list(store.records["record"].iloc[rows])
    ecgs = [files / "ecgs" / name for name in names]
    said = run("predict", network, *ecgs, "--format", "csv", "--quiet")
    assert said.returncode == 0, said.stderr
    table = exactly(said.stdout).pivot(index="record", columns="class")
    chances = table["probability"].loc[names, list(store.classes)].to_numpy()
    decisions = table["decision"].loc[names, list(store.classes)].to_numpy().astype(bool)
    listed = exactly(run("trials", "own", *where, "--format", "csv").stdout)
    trial = listed.set_index("trial").loc[int(network.stem)]
    score = macro_f1(store.labels[rows], decisions, empty_classes="ignore")
    assert score == trial["macro_f1"] == card.scores["validation macro_f1"]
    prepared = models.load(network).predictor()
    assert (chances == prepared.of_prepared(np.asarray(store.signals[rows]), store.step)).all()

    # A new ECG that no store has seen; the same from the exports.
    (new,) = (files / "new").glob("*.hea")
    onnx, again = files / "own.onnx", files / "again.safetensors"
    assert run("export", network, "--format", "onnx", "--out", onnx).returncode == 0
    replayed = run(
        *("export", "own", "--trial", network.stem, "--data", out / "store", "--out", again),
        *where,
    )
    assert replayed.returncode == 0, replayed.stderr
    assert "scores the same, to the last bit" in replayed.stdout
    found = [probabilities(run, one, new) for one in (network, again, onnx)]
    assert found[0] == found[1]
    assert list(found[2].values()) == pytest.approx(list(found[0].values()), abs=1e-5)
    assert len(found[0]) == 5
    kept = run("export", "own", "--trial", network.stem, "--out", again, *where)
    assert kept.returncode == 2
    assert "or --data to train it again, got without --weights" in kept.stderr
    cost = json.loads(run("cost", network, "--json").stdout)
    assert cost["flops"] == trial["flops"]


def probabilities(run: Run, network: Path, ecg: Path) -> dict[str, float]:
    said = run("predict", network, ecg, "--format", "csv", "--quiet")
    assert said.returncode == 0, said.stderr
    return dict(exactly(said.stdout).set_index("class")["probability"])


def exactly(text: str) -> pd.DataFrame:
    """Read a CSV with every bit of its numbers."""
    return pd.read_csv(StringIO(text), float_precision="round_trip", dtype={"record": str})


def test_options_of_the_preparation_go_with_raw_files_alone(
    run: Run, files: Path, store: Path
) -> None:
    refused = run(
        *("run", files / "own.toml", "--data", store, "--out", files / "no"),
        *("--labels", files / "classes.csv"),
    )
    assert refused.returncode == 2
    assert "options of the preparation with --raw alone" in refused.stderr
