"""Metrics as Prometheus reads them, of a worker at work and of a database."""

from __future__ import annotations

import json
import re
import urllib.request
from pathlib import Path

import pytest
from processes import slow_trainer
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine
from test_dashboard_guard import serving

from search.database.storage import Storage
from search.errors import StudyError
from search.events import text_log
from search.prometheus import StudyCollector, counting, serve_worker
from search.trials.queue import Queue, WorkerName
from search.worker import run_worker

BOARD = json.loads((Path(__file__).parents[2] / "docs" / "grafana-board.json").read_text())


def fetch(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
        return answer.read().decode()


def samples(page: str) -> dict[tuple[str, str], float]:
    """Values by name and labels, `le` and `study` left out."""
    found = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if k not in ("le", "study")}
            found[sample.name, ",".join(labels.values())] = sample.value
    return found


@pytest.fixture
def worked(make_study, store) -> tuple[object, dict[tuple[str, str], float]]:
    """A study that a worker with metrics has trained: five trials complete, one fails."""
    from search.training.train import Diverged

    study = make_study()
    inner, calls = slow_trainer(0.05), []

    def train(*rest, **named):
        calls.append(1)
        if len(calls) == 2:
            raise Diverged("nan")
        if len(calls) == 3:
            raise OSError("no disk")
        return inner(*rest, **named)

    registry = CollectorRegistry()
    server = serve_worker(registry, "0")
    said: list[str] = []
    log = counting(text_log(said.append), registry)
    assert run_worker(study.name, study.storage, store, "cpu", train=train, log=log) == 0
    assert fetch(server.server_port, "/healthz") == "ok"
    page = samples(fetch(server.server_port, "/metrics"))
    server.shutdown()
    server.server_close()
    assert said[-1].startswith("nothing left"), "what is counted is said as before"
    return study, page


def test_a_workers_metrics(worked):
    _, page = worked
    assert page["ecgscale_attempts_total", "complete"] == 5
    assert page["ecgscale_attempts_total", "failed"] == 1
    assert page["ecgscale_attempts_total", "fault"] == 1
    assert page["ecgscale_attempts_total", "error"] == 0
    assert page["ecgscale_failures_total", "diverged"] == 1
    assert page["ecgscale_failures_total", "OSError"] == 1
    assert page["ecgscale_epochs_total", ""] == 15
    assert page["ecgscale_trial_seconds_count", ""] == 5
    assert page["ecgscale_trial_seconds_sum", ""] == pytest.approx(0.25)
    assert page["ecgscale_records_per_second", ""] == 100
    assert page["ecgscale_database_waits_total", ""] == 0
    assert page["ecgscale_gpu_memory_bytes", ""] == 0


def test_a_databases_metrics_and_the_board(worked, make_study, own_storage):
    study, page = worked
    with serving(study.storage) as port:
        text = fetch(port, "/metrics")
    mine = "\n".join(line for line in text.splitlines() if study.name in line)
    state = dict(re.findall(r'ecgscale_trials\{state="(\w+)",study="[^"]*"\} (\S+)', mine))
    state |= dict(re.findall(r'ecgscale_trials\{study="[^"]*",state="(\w+)"\} (\S+)', mine))
    assert {k: float(v) for k, v in state.items()} == {
        "complete": 5.0,
        "running": 0.0,
        "waiting": 0.0,
        "pruned": 0.0,
        "failed": 1.0,
    }
    busy = make_study()
    Queue(busy.storage, busy.study_id).claim(WorkerName("w", "h", "cpu"))
    names = {family.name for family in StudyCollector(study.storage).collect()}
    known = names | {name for name, _ in page} | {"ecgscale_trial_seconds_bucket"}
    asked = set(re.findall(r"ecgscale_\w+", json.dumps(BOARD["panels"])))
    assert asked <= known, asked - known
    assert len(asked) >= 12


def test_without_a_database_only_that_is_told():
    away = Storage(create_engine("postgresql+psycopg2://me@127.0.0.1:1/x"))
    (up,) = StudyCollector(away).collect()
    assert up.samples[0].value == 0


@pytest.mark.parametrize("where", ["words", "127.0.0.1:", "127.0.0.1:99999", "203.0.113.1:9"])
def test_an_address_that_cannot_be_is_refused(where: str):
    with pytest.raises(StudyError, match="--metrics"):
        serve_worker(CollectorRegistry(), where)
