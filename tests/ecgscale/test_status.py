"""`status` and the logs of workers, as a user runs them."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ecgscale.output import counted, rate
from ecgscale.status_view import StatusView, line, time_left
from search.reading.status import RunningWorker, StudyStatus
from search.reading.time_left import TimeLeft
from tests.ecgscale.conftest import Run


def a_status(**changes) -> StudyStatus:
    worker = RunningWorker("node1:42", "node1", "NVIDIA H100", 7, 3, 125.0, 2.0, 5120.0)
    status = StudyStatus(
        name="tiny",
        planned=20,
        complete=5,
        running=1,
        waiting=13,
        pruned=0,
        failed=1,
        failures={"diverged": 1},
        epochs=10,
        precision="fp32",
        trials_per_hour=41.5,
        time_left=TimeLeft(3700.0, 3700.0, 1, 5, 0.12),
        workers=(worker,),
    )
    return replace(status, **changes)


def test_time_left_says_what_it_rests_on():
    assert time_left(a_status()) == (
        "about 1 h 01 min with 1 worker "
        "(predicted cost of 14 open trials, fitted to 5 trials, typically 12% off)"
    )
    resting = a_status(time_left=TimeLeft(None, 60.0, 0, 1, None), workers=())
    assert time_left(resting) == (
        "no worker runs; one alone would take 1 min 00 s "
        "(predicted cost of 14 open trials, fitted to 1 trial)"
    )
    assert "not known" in time_left(a_status(time_left=None))


def test_plain_lines_have_an_interval_and_a_last_one(capsys: pytest.CaptureFixture[str]):
    done = a_status(complete=19, running=0, waiting=0, workers=())
    with StatusView(interval_seconds=60.0) as view:
        for status in (a_status(), a_status(complete=6), done, done):
            view(status)
    said = capsys.readouterr().out.splitlines()
    assert said == [line(a_status()), line(done)]
    assert said[0] == (
        "tiny: 5 of 20 complete, 1 running, 13 waiting, 1 failed (1 × diverged), "
        "42 trials/h, about 1 h 01 min left"
    )


def test_numbers_are_for_people() -> None:
    assert [counted(n, "trial") for n in (0, 1, 3990)] == ["0 trials", "1 trial", "3,990 trials"]
    assert [rate(n) for n in (3990.4, 10, 4.25)] == [
        "3,990 trials/h",
        "10 trials/h",
        "4.2 trials/h",
    ]
    assert "3,990 trials/h" in line(a_status(trials_per_hour=3990.4))


def test_status_as_json(run: Run, finished: str, database: str) -> None:
    told = json.loads(run("status", finished, "--storage", database, "--json").stdout)
    assert told["done"] is True
    assert (told["planned"], told["complete"]) == (10, 10)
    assert told["failures"] == {}


def test_watching_a_finished_study_ends(run: Run, finished: str, database: str) -> None:
    watched = run("status", finished, "--storage", database, "--watch")
    assert watched.returncode == 0
    assert watched.stdout == f"{finished}: 10 of 10 complete, 0 running, 0 waiting\n"


def test_live_page_on_a_terminal(finished: str, database: str) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ecgscale", "status", finished, "--watch"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    done = subprocess.run(
        [*command, "--storage", database], stdout=theirs, env=environment, timeout=120, check=True
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65536):
            shown += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert done.returncode == 0
    assert b"\x1b[" in shown
    text = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown).decode()
    assert re.search(r"complete\s+10", text)
    assert "━" in text


def test_workers_log_as_json_and_need_not_wait(
    run: Run, definition: Path, store: Path, database: str, tmp_path: Path
) -> None:
    path = tmp_path / "logged.toml"
    path.write_text(definition.read_text().replace('"tiny"', '"logged"'))
    created = run("create", path, "--data", store, "--storage", database, "--long-first")
    assert created.returncode == 0, created.stderr
    at_work = ("--data", store, "--storage", database, "--log", "json", "--no-wait")
    worked = run("worker", "logged", *at_work)
    assert worked.returncode == 0, worked.stderr
    events = [json.loads(text) for text in worked.stdout.splitlines()]
    assert [event["event"] for event in events][-1] == "worker_done"
    complete = [event for event in events if event["event"] == "trial_complete"]
    assert [event["trial"] for event in complete] == list(range(10))
    assert {event["study"] for event in events} == {"logged"}
    assert len({event["worker"] for event in events}) == 1
    assert all(event["records_per_second"] > 0 for event in complete)


def test_refused_worker_says_so_in_json_and_in_a_sentence(
    run: Run, finished: str, other_store: Path, database: str
) -> None:
    done = run("worker", finished, "--data", other_store, "--storage", database, "--log=json")
    assert done.returncode == 2
    event = json.loads(done.stdout)
    assert event["event"] == "worker_refused"
    assert event["message"] in done.stderr


def test_launcher_passes_the_log_on(run: Run, store: Path, database: str, tmp_path: Path) -> None:
    path = tmp_path / "launched.toml"
    sample = 'architectures = 2\nflops = ["1.6M", "3M"]\nbins = 1'
    path.write_text(f"[sample]\n{sample}\n[recipe]\nepochs = 1\n")
    run("create", path, "--data", store, "--storage", database)
    options = ("--data", store, "--storage", database, "--logs", tmp_path, "--workers", 2)
    done = run("launch", "local", "launched", *options, "--log", "json")
    assert done.returncode == 0, done.stderr
    assert "of 2 complete" in done.stderr
    lines = (tmp_path / "worker-0.log").read_text().splitlines()
    assert {json.loads(text)["study"] for text in lines} == {"launched"}
