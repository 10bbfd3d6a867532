"""One command from raw ECGs to a confirmed study, and again after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from models.export import load_network
from tests.ecgscale.conftest import Run

DEFINITION = """
name = "whole"
[sample]
architectures = 10
flops = ["1.6M", "4M"]
bins = 2
[replicates]
architectures = 2
[recipe]
epochs = 1
"""
CONFIRM = (
    *("--budget", "4M", "--seeds", "2", "--top", "2"),
    *("--reference", "fcn-wang", "--reference", "resnet101"),
)


@pytest.mark.longest
def test_from_ecgs_to_a_family(run: Run, raw: Path, database: str, tmp_path: Path) -> None:
    """Interrupted, given again, confirmed once; then the same networks on fewer records."""
    definition, out = tmp_path / "whole.toml", tmp_path / "out"
    definition.write_text(DEFINITION)
    where = ("--storage", database)
    options = (definition, "--raw", raw, "--out", out, *where, *CONFIRM)
    interrupt(options, out / "logs" / "worker-0.log")
    assert not (out / "report").exists()
    early = run("confirm", "whole", *CONFIRM, *where)
    assert early.returncode == 2
    assert "trials left" in early.stderr
    unready = run("family", "whole", "--out", out / "family", *where)
    assert unready.returncode == 2
    assert "plan it with 'ecgscale confirm'" in unready.stderr

    again = run("run", *options)
    assert again.returncode == 0, again.stderr + again.stdout
    assert "An earlier run made it" in again.stdout
    assert "excluded: expected a form of resnet101" in " ".join(again.stdout.split())
    assert "6 trials with fresh seeds planned" in again.stdout
    status = json.loads(run("status", "whole", *where, "--json").stdout)
    assert (status["planned"], status["complete"]) == (18, 18)
    assert (out / "study.jsonl.gz").stat().st_size > 1000
    told = " ".join((out / "report" / "report.html").read_text().split())
    assert "Within 4M FLOPs the searched network" in told
    table = pd.read_csv(out / "report" / "tables" / "confirmed.csv")
    assert sorted(table["group"]) == ["reference", "searched", "searched"]
    assert (table["flops"] <= 4e6).all()

    file = out / "family" / "whole-4M.json"
    member = json.loads(file.read_text())
    chosen = table[table["group"] == "searched"].iloc[0]
    assert member["provenance"]["test"]["macro_f1"]["mean"] == pytest.approx(
        chosen["test_macro_f1"]
    )
    assert member["provenance"]["synthetic_data"] is True
    trained = predict_with_the_family(run, out / "family" / "whole-4M.safetensors", raw)
    test = scores_of(run, where, member["provenance"]["trial"])
    assert trained["test macro_f1"] == pytest.approx(test, abs=1e-14)  # JSON has 15 digits
    cost = json.loads(run("cost", file, "--json").stdout)
    assert cost["flops"] == chosen["flops"]

    second = run("confirm", "whole", *CONFIRM, *where)
    assert second.returncode == 2
    assert "--again" in second.stderr
    bring_in_a_known_network(run, where)
    less = tmp_path / "less.toml"
    sample = '[sample]\narchitectures = 1\nflops = ["1.6M", "4M"]\nbins = 1\n'
    less.write_text(f"{sample}[data]\ntrain_fraction = 0.3\n[recipe]\nepochs = 1\n")
    assert run("create", less, "--data", out / "store", *where).returncode == 0
    shown = run("confirm-like", "less", "whole", "--dry-run", *where)
    assert shown.stdout.count("searched") == 2
    narrowed = run("confirm-like", "less", "whole", "--top", "1", "--dry-run", *where)
    assert narrowed.stdout.count("searched") == 1
    elsewhere = run("confirm-like", "less", "whole", "--budget", "30M", *where)
    assert elsewhere.returncode == 2
    assert "there are 4M" in elsewhere.stderr
    assert json.loads(run("status", "less", *where, "--json").stdout)["planned"] == 1
    alone = run("confirm-references", "less", *where)
    assert alone.returncode == 2
    assert "expected less to have a confirmation" in alone.stderr
    planned = run("confirm-like", "less", "whole", "--seeds", "1", *where)
    assert planned.returncode == 0, planned.stderr
    assert "3 trials planned" in planned.stdout
    unready = run("family", "less", "--out", out / "less", *where)
    assert unready.returncode == 2
    assert "run the workers" in unready.stderr


def predict_with_the_family(run: Run, network: Path, raw: Path) -> dict[str, float]:
    """What `run` recommends can be used at once; return the scores in its card."""
    ecg = next(raw.rglob("*.hea"))
    said = run("predict", network, ecg, "--format", "json")
    assert said.returncode == 0, said.stderr
    assert {row["record"] for row in json.loads(said.stdout)} == {ecg.stem}
    return dict(load_network(network).card.scores)


def scores_of(run: Run, where: tuple[str, ...], trial: int) -> float:
    """Return the test score that the study holds of a confirmation's trial."""
    said = run("trials", "whole", "--where", f"trial == {trial}", "--format", "json", *where)
    (row,) = json.loads(said.stdout)
    return float(row["test_macro_f1"])


def bring_in_a_known_network(run: Run, where: tuple[str, ...]) -> None:
    """Budgets and seeds are those of the first time; what it had is not trained again."""
    late = ("confirm-references", "whole", "--reference")
    nothing = run(*late, "fcn-wang", *where)
    assert nothing.returncode == 2
    assert "not in the confirmation yet" in nothing.stderr
    joined = run(*late, "regnetx-200mf", "--reference", "fcn-wang", *where)
    assert joined.returncode == 0, joined.stderr
    assert "2 trials planned" in joined.stdout
    assert "searched" not in joined.stdout


def interrupt(options: tuple[object, ...], log: Path) -> None:
    """Start the command, and stop it when a first trial is trained."""
    command = [sys.executable, "-m", "ecgscale", "run", *map(str, options), "--workers", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as started:
        try:
            wait_for_a_result(log)
            started.send_signal(signal.SIGTERM)
            said = started.communicate(timeout=90)[0]
        finally:
            started.kill()
    assert started.returncode == 75
    assert "give the same command again" in said


def wait_for_a_result(log: Path, seconds: float = 300) -> None:
    """Wait until a worker has told a trial's score."""
    deadline = time.monotonic() + seconds
    while not (log.is_file() and "macro-AUROC" in log.read_text()):
        assert time.monotonic() < deadline, "no trial was trained"
        time.sleep(0.1)


def test_without_ecgs_or_with_too_many(
    run: Run, definition: Path, raw: Path, store: Path, tmp_path: Path
) -> None:
    for given, got in (((), "neither"), (("--raw", raw, "--data", store), "both")):
        refused = run("run", definition, "--out", tmp_path / "out", *given)
        assert refused.returncode == 2
        assert f"got {got}: give one" in refused.stderr


def test_other_settings_under_the_same_name(
    run: Run, finished: str, store: Path, database: str, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(DEFINITION.replace("whole", finished))
    refused = run("run", other, "--data", store, "--out", tmp_path / "out", "--storage", database)
    assert refused.returncode == 2
    assert "with other settings: change its name" in refused.stderr
