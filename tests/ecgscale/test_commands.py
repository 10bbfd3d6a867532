"""The commands together, as a user runs them, on a real PostgreSQL."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
import tomllib
import urllib.request
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from data_pipeline import open_store
from search.definition import StudyDefinition
from search.training.metrics import macro_auroc
from tests.ecgscale.conftest import Run


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_help_names_every_command_and_loads_nothing_heavy(run: Run) -> None:
    shown = run("--help").stdout
    for command in ("demo", "prepare", "create", "worker", "status", "trials", "report"):
        assert command in shown
    check = (
        "import sys, ecgscale.cli; heavy = {'torch', 'shap', 'plotly', 'pandas', 'numpy', "
        "'pydantic'}; print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", ["create", "run"])
def test_help_ends_with_a_definition_to_copy(run: Run, command: str) -> None:
    shown = run(command, "--help").stdout
    values = tomllib.loads(shown[shown.index("# Name of the study") :])
    assert StudyDefinition.from_dict({"name": "a", **values}) == StudyDefinition("a")


def test_store_as_json(run: Run, store: Path) -> None:
    facts = json.loads(run("store", store, "--json").stdout)
    assert facts["records"] + facts["excluded"] == 160
    assert facts["synthetic"] is True
    assert sum(facts["splits"].values()) == facts["records"]
    assert len(facts["labels"]) == 26


def test_status_and_trials_of_a_finished_study(run: Run, finished: str, database: str) -> None:
    shown = run("status", finished, "--storage", database).stdout
    assert re.search(r"complete\s+10\b", shown)
    assert re.search(r"waiting\s+0\b", shown)
    best_first = rows(
        run(
            "trials", finished, "--storage", database, "--sort", "-macro_f1", "--format", "csv"
        ).stdout
    )
    assert len(best_first) == 10
    scores = [float(row["macro_f1"]) for row in best_first]
    assert scores == sorted(scores, reverse=True)
    roles = [row["role"] for row in best_first]
    assert sorted(set(roles)) == ["control", "replicate", "sample"]


def test_cost_of_a_trial_is_what_the_study_says(
    run: Run, finished: str, database: str, tmp_path: Path
) -> None:
    listed = json.loads(run("trials", finished, "--storage", database, "--format", "json").stdout)
    trial = listed[0]
    path = tmp_path / "architecture.json"
    path.write_text(trial["architecture"], encoding="utf-8")
    drawing = tmp_path / "architecture.svg"
    cost = json.loads(run("cost", path, "--json", "--svg", drawing).stdout)
    assert drawing.read_text(encoding="utf-8").startswith("<svg")
    assert {name: trial[name] for name in cost} == cost


def test_report_is_one_page_with_its_tables(
    run: Run, finished: str, database: str, tmp_path: Path
) -> None:
    done = run("report", finished, "--storage", database, "--out", tmp_path, "--bootstraps", "10")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "synthetic" in page.lower()
    assert not re.search(r'<(script|link|img)[^>]+(src|href)="https?://', page)
    trials = rows((tmp_path / "tables" / "trials.csv").read_text(encoding="utf-8"))
    assert len(trials) == 10


def test_the_report_of_a_part(run: Run, finished: str, database: str, tmp_path: Path) -> None:
    everything = ("trials", finished, "--storage", database, "--format", "csv")
    depths = [int(row["depth"]) for row in rows(run(*everything).stdout) if row["role"] == "sample"]
    middle = sorted(depths)[len(depths) // 2]
    assert min(depths) <= middle - 1 < max(depths)
    where = ("--storage", database, "--where", f"depth < {middle}")
    report = ("report", finished, "--out", tmp_path, "--bootstraps", "10")
    done = run(*report, *where)
    assert done.returncode == 0, done.stderr
    assert "Only a part of the study" in (tmp_path / "report.html").read_text(encoding="utf-8")
    trials = rows((tmp_path / "tables" / "trials.csv").read_text(encoding="utf-8"))
    shown = [int(row["depth"]) for row in trials if row["role"] == "sample"]
    assert sorted(shown) == sorted(depth for depth in depths if depth < middle)
    both = run(*report, *where, "--publish")
    assert both.returncode == 2
    assert "--publish without --where" in both.stderr
    scores = run("recommend", finished, "--flops", "2M", *where[:3], "macro_f1 > 0")
    assert scores.returncode == 2
    assert "would bias every number" in scores.stderr


def test_a_kept_network_scores_as_its_trial_did_and_is_exported(
    run: Run, finished: str, raw: Path, store: Path, database: str, weights: Path, tmp_path: Path
) -> None:
    listed = rows(run("trials", finished, "--storage", database, "--format", "csv").stdout)
    kept = sorted(weights.glob("*/*.safetensors"), key=lambda path: int(path.stem))
    assert [path.stem for path in kept] == [
        row["trial"] for row in listed if row["role"] != "control"
    ]
    said = run("predict", kept[0], raw, "--windows", 1, "--out", tmp_path / "said.csv", "--quiet")
    assert said.returncode in (0, 1), said.stderr
    # Parsed by Python: pandas itself may lose the last bit.
    said_of = pd.read_csv(tmp_path / "said.csv", dtype={"probability": str}).dropna(subset="class")
    table = said_of.pivot(index="record", columns="class", values="probability").map(float)
    opened = open_store(store)
    validation = opened.rows("validation")
    own = table.loc[opened.records["record"].iloc[validation], list(opened.classes)]
    # From the raw files, the score to its last bit.
    assert macro_auroc(opened.labels[validation], own) == float(listed[0]["macro_auroc"])
    done = run("export", kept[0], "--format", "onnx", "--out", tmp_path / "network.onnx")
    assert done.returncode == 0, done.stderr
    assert "synthetic" in (tmp_path / "network.md").read_text(encoding="utf-8")


def test_a_study_is_extended_by_a_reference_cnn(
    run: Run, finished: str, store: Path, database: str, tmp_path: Path
) -> None:
    run("dump", finished, tmp_path / "study.gz", "--storage", database)
    run("load", tmp_path / "study.gz", "--storage", database, "--name", "longer")
    done = run("extend", "longer", "--reference", "xresnet1d18@0.25", "--storage", database)
    assert done.returncode == 0, done.stderr
    assert run("worker", "longer", "--data", store, "--storage", database).returncode == 0
    listed = rows(run("trials", "longer", "--storage", database, "--format", "csv").stdout)
    assert len(listed) == 11
    assert listed[10]["role"] == "reference"
    assert listed[10]["state"] == "complete"


def test_dumped_study_loads_under_another_name(
    run: Run, finished: str, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "study.gz"
    assert run("dump", finished, file, "--storage", database).returncode == 0
    assert run("load", file, "--storage", database, "--name", "copy").returncode == 0
    one, other = (
        rows(run("trials", name, "--storage", database, "--format", "csv").stdout)
        for name in (finished, "copy")
    )
    assert len(one) == 10
    assert one == other


def test_worker_without_work_ends_at_once(
    run: Run, finished: str, store: Path, database: str
) -> None:
    done = run("worker", finished, "--data", store, "--storage", database)
    assert done.returncode == 0
    assert "nothing left" in done.stdout


def test_dashboard_serves_the_study(finished: str, database: str) -> None:
    command = [sys.executable, "-m", "ecgscale", "dashboard", "--storage", database, "--port", "0"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        # A suite that runs in the background of a shell has it ignored, and so would the child.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        try:
            assert process.stdout is not None
            address = re.search(r"http://[\d.:]+", process.stdout.readline())
            assert address
            with urllib.request.urlopen(f"{address[0]}/api/studies", timeout=60) as answer:
                studies = json.load(answer)["study_summaries"]
            assert finished in [study["study_name"] for study in studies]
            with urllib.request.urlopen(f"{address[0]}/dashboard/", timeout=60) as answer:
                assert b"<html" in answer.read().lower()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()


@pytest.mark.longest
def test_demo_walks_the_whole_path(run: Run, raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    done = run("demo", "--raw", raw, "--out", out, "--trials", "8", "--epochs", "2")
    try:
        assert done.returncode == 0, done.stderr + done.stdout
        assert (out / "report" / "report.html").is_file()
        logs = [path.read_text() for path in (out / "logs").glob("worker-*.log")]
        assert len(logs) == 2
        assert all("macro-AUROC" in log for log in logs), "both workers must have trained"
        assert "negative controls" in done.stdout
        assert "8 trainings of 2 epochs" in done.stdout
        assert "8 of 8 trials complete" in done.stdout
        other = run("demo", "--raw", raw, "--out", out, "--trials", "9", "--epochs", "2")
        assert other.returncode == 2
    finally:
        from search.database.embedded import EmbeddedServer

        EmbeddedServer(out / "database").stop()


@pytest.mark.parametrize("format", ["csv", "json"])
def test_programs_get_whole_numbers(run: Run, finished: str, database: str, format: str) -> None:
    shown = run("trials", finished, "--storage", database, "--format", format, "--limit", "1")
    listed = json.loads(shown.stdout) if format == "json" else rows(shown.stdout)
    assert str(listed[0]["flops"]).isdigit()
    assert datetime.fromisoformat(listed[0]["finished"]).utcoffset() == timedelta(0)
