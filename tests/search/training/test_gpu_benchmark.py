"""The benchmark for GPUs passes through every part before it is tried on a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).parents[3]


def test_every_part_of_the_gpu_benchmark_runs_dry(tmp_path: Path) -> None:
    script = TOP / "tests" / "benchmarks" / "train_gpu.py"
    told = subprocess.run(
        [sys.executable, str(script), "--dry-run", "--json", str(tmp_path / "rows.jsonl")],
        env=os.environ | {"PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    parts = [row["part"] for row in rows if "part" in row]
    assert parts == ["graphs", "steps", "workers", "trials"]
    (graph,) = (row for row in rows if "graph_equals_eager" in row)
    assert graph["repeats"]
    assert graph["graph_equals_eager"]
    assert graph["resumes"]
    assert {row["choice"] for row in rows if "choice" in row} == {"as it is", "contiguous", "fp32"}
    (shared,) = (row["records_per_second"] for row in rows if "mps" in row)
    assert min(shared.values()) > 0
    assert all(row["study_hours"] > 0 for row in rows if "study_hours" in row)
