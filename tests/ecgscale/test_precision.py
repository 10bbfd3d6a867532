"""Two workers of different ability on one study, the second a process that has no bf16."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from data_pipeline import open_store
from search.database.storage import open_storage
from search.training import device
from search.worker import WorkerOptions, run_worker
from tests.ecgscale.conftest import Run

DEFINITION = """
name = "two-kinds"
[sample]
architectures = 2
flops = ["1.6M", "3M"]
bins = 1
[recipe]
epochs = 1
"""


def test_the_second_refuses_what_it_could_only_emulate(
    run: Run, store: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.toml").write_text(DEFINITION, encoding="utf-8")
    where = ("--storage", database)
    created = run("create", tmp_path / "study.toml", "--data", store, *where)
    assert created.returncode == 0, created.stderr
    with monkeypatch.context() as patch:
        patch.setattr(device, "fast_precision", lambda _: "bf16")
        options = WorkerOptions(wait=False)
        opened = open_storage(database)
        assert run_worker("two-kinds", opened, open_store(store), "cpu", options=options) == 0
    assert run("extend", "two-kinds", "--controls", "1", *where).returncode == 0

    without = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    second = run("worker", "two-kinds", "--data", store, *where, **without)
    assert second.returncode == 2
    assert "instructions for bf16, in which study two-kinds trains" in second.stderr
    assert "--emulate" in second.stderr
    assert re.search(r"precision +bf16", run("status", "two-kinds", *where).stdout)
    third = run("worker", "two-kinds", "--data", store, *where, "--emulate", **without)
    assert third.returncode == 0, third.stderr
    shown = run("trials", "two-kinds", *where, "--format", "csv").stdout
    assert [row["precision"] for row in csv.DictReader(io.StringIO(shown))] == ["bf16"] * 3
