"""`refine` on the published study: what it plans, and that it waits for what it planned."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pytest

from tests.ecgscale.conftest import Run

STUDY = Path(__file__).parents[2] / "studies/ecg-cnn-2320/study.jsonl.gz"


@pytest.mark.slow
def test_a_round_is_planned_from_the_trials(run: Run, database: str) -> None:
    where = ("--storage", database)
    assert run("load", STUDY, *where).returncode == 0
    options = ("--networks", "4", "--candidates", "2000", "--budget", "30M", "--budget", "100M")
    shown = run("refine", "ecg-cnn-2320", *options, "--dry-run", *where)
    assert shown.returncode == 0, shown.stderr
    planned = run("refine", "ecg-cnn-2320", *options, *where)
    assert planned.returncode == 0, planned.stderr
    assert "4 further trials, 660 now" in planned.stdout
    listed = run("trials", "ecg-cnn-2320", "--format", "csv", *where).stdout
    trials = pd.read_csv(io.StringIO(listed))
    new = trials[trials["role"] == "refine"]
    assert set(new["state"]) == {"waiting"}
    assert not set(new["architecture_hash"]) & set(trials.drop(new.index)["architecture_hash"])
    assert (new["flops"] <= 1e8).all()
    assert (new["flops"] <= 3e7).sum() >= 2
    assert all(hash_[:8] in shown.stdout for hash_ in new["architecture_hash"])
    again = run("refine", "ecg-cnn-2320", *options, *where)
    assert again.returncode == 2
    assert "4 trials left" in again.stderr
    beyond = run("refine", "ecg-cnn-2320", "--unfinished", "--budget", "1G", *where)
    assert beyond.returncode == 2
    assert "give --budget" in beyond.stderr
