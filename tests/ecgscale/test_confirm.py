"""From a finished study to networks confirmed on test records and a family of files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.ecgscale.conftest import Run

DEFINITION = """
name = "searched"
[sample]
architectures = 12
flops = ["1.6M", "4M"]
bins = 2
[replicates]
architectures = 2
[recipe]
epochs = 1
"""
CONFIRM = ("--budget", "4M", "--top", "2", "--reference", "fcn-wang", "--reference", "resnet101")


@pytest.fixture(scope="module")
def searched(run: Run, store: Path, database: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    definition = tmp_path_factory.mktemp("definition") / "study.toml"
    definition.write_text(DEFINITION)
    assert run("init-db", "--storage", database).returncode == 0
    made = run("create", definition, "--data", store, "--storage", database)
    assert made.returncode == 0, made.stderr
    return "searched"


def test_confirmation_from_plan_to_family(
    run: Run, searched: str, store: Path, database: str, tmp_path: Path
) -> None:
    where = ("--storage", database)
    early = run("confirm", searched, *CONFIRM, *where)
    assert early.returncode == 2
    assert "14 trials left" in early.stderr
    worked = run("worker", searched, "--data", store, *where, "--device", "cpu")
    assert worked.returncode == 0, worked.stderr

    shown = run("confirm", searched, *CONFIRM, *where, "--seeds", "2", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "left out: expected a form of resnet101" in " ".join(shown.stdout.split())
    planned = run("confirm", searched, *CONFIRM, *where, "--seeds", "2")
    assert planned.returncode == 0, planned.stderr
    assert "6 trials planned" in planned.stdout
    unready = run("family", searched, "--out", tmp_path / "family", *where)
    assert unready.returncode == 2
    assert "run the workers" in unready.stderr
    assert run("worker", searched, "--data", store, *where).returncode == 0
    again = run("confirm", searched, *CONFIRM, *where)
    assert again.returncode == 2
    assert "--again" in again.stderr

    page = run("report", searched, "--out", tmp_path / "report", *where, "--bootstraps", "10")
    assert page.returncode == 0, page.stderr
    told = " ".join((tmp_path / "report" / "report.html").read_text().split())
    assert "Within 4M FLOPs the best searched network reaches a test Macro-F1" in told
    table = pd.read_csv(tmp_path / "report" / "tables" / "confirmed.csv")
    assert sorted(table["group"]) == ["reference", "searched", "searched"]
    assert (table["flops"] <= 4e6).all()

    made = run("family", searched, "--out", tmp_path / "family", "--name", "mine", *where)
    assert made.returncode == 0, made.stderr
    file = tmp_path / "family" / "mine-4M.json"
    member = json.loads(file.read_text())
    best = table[table["group"] == "searched"].sort_values("validation").iloc[-1]
    assert member["provenance"]["test"]["macro_f1"]["mean"] == pytest.approx(best["test_macro_f1"])
    assert member["provenance"]["synthetic_data"] is True
    cost = json.loads(run("cost", file, "--json").stdout)
    assert cost["flops"] == best["flops"]


def test_candidates_of_another_study(
    run: Run, searched: str, store: Path, database: str, tmp_path: Path
) -> None:
    """The same networks on a tenth of the training records."""
    where = ("--storage", database)
    definition = tmp_path / "less.toml"
    sample = 'name = "less"\n[sample]\narchitectures = 1\nflops = ["1.6M", "4M"]\nbins = 1\n'
    definition.write_text(f"{sample}[data]\ntrain_fraction = 0.3\n[recipe]\nepochs = 1\n")
    assert run("create", definition, "--data", store, *where).returncode == 0
    planned = run("confirm", "less", "--like", searched, "--seeds", "1", *where)
    assert planned.returncode == 0, planned.stderr
    assert "3 trials planned" in planned.stdout
