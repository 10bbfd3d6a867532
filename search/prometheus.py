"""Prometheus metrics: of a worker, counted from its events, and of the studies in a database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text

from search.database.storage import Storage
from search.errors import StudyError
from search.events import Event, Log
from search.reading.status import count_trials

# What became of an attempt, by the event that tells it.
OUTCOMES = {
    "trial_complete": "complete",
    "trial_pruned": "pruned",
    "trial_failed": "failed",
    "trial_error": "error",
    "machine_fault": "fault",
    "trial_handed_back": "handed_back",
    "trial_lost": "lost",
}
SECONDS = (10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400)
FAILED = """
SELECT s.study_name, split_part(a.value_json::json #>> '{}', ':', 1) AS reason, count(*) AS number
FROM trials t JOIN studies s USING (study_id)
JOIN trial_user_attributes a ON a.trial_id = t.trial_id AND a.key = 'failure'
WHERE t.state = 'FAIL' GROUP BY 1, 2
"""
HELD = """
SELECT s.study_name, count(*) AS workers, max(extract(epoch FROM
    clock_timestamp() - e.heartbeat_at))::float8 AS silent
FROM trials t JOIN studies s USING (study_id) JOIN ecgscale_leases e USING (trial_id)
WHERE t.state = 'RUNNING' GROUP BY 1
"""

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


def counting(log: Log, registry: CollectorRegistry, device: str = "cpu") -> Log:
    """Return a log that also counts events, as metrics of one worker."""
    outcomes = Counter(
        "ecgscale_attempts", "Attempts at trials by outcome", ["outcome"], registry=registry
    )
    failures = Counter("ecgscale_failures", "Failures by kind", ["reason"], registry=registry)
    epochs = Counter("ecgscale_epochs", "Epochs trained", registry=registry)
    waits = Counter("ecgscale_database_waits", "Waits for the database", registry=registry)
    hangs = Counter("ecgscale_hangs", "Steps that did not end", registry=registry)
    seconds = Histogram(
        "ecgscale_trial_seconds", "Seconds per complete trial", buckets=SECONDS, registry=registry
    )
    speed = Gauge(
        "ecgscale_records_per_second", "Training speed of the last trial", registry=registry
    )
    last = Gauge("ecgscale_last_event_seconds", "Unix time of the last event", registry=registry)
    memory = Gauge("ecgscale_gpu_memory_bytes", "GPU memory in use by tensors", registry=registry)
    memory.set_function(lambda: _gpu_memory(device))
    for outcome in OUTCOMES.values():
        outcomes.labels(outcome)

    def count(event: Event) -> None:
        last.set_to_current_time()
        if event.name in OUTCOMES:
            outcomes.labels(OUTCOMES[event.name]).inc()
        if event.name in ("trial_failed", "trial_error", "machine_fault"):
            failures.labels(str(event.values.get("reason", "")).partition(":")[0]).inc()
        elif event.name == "trial_complete":
            seconds.observe(event.values["seconds"])
            speed.set(event.values["records_per_second"])
        elif event.name == "epoch":
            epochs.inc()
        elif event.name == "database_away":
            waits.inc()
        elif event.name == "worker_hangs":
            hangs.inc()
        log(event)

    return count


class StudyCollector(Collector):
    """The studies of a database, counted anew whenever somebody asks."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; without a database only that it is away."""
        up = GaugeMetricFamily("ecgscale_database_up", "Whether the database answers")
        try:
            counted, unreadable = count_trials(self._storage)
            with self._storage.connect() as connection:
                failed = connection.execute(text(FAILED)).all()
                held = connection.execute(text(HELD)).all()
        except StudyError:
            up.add_metric([], 0)
            yield up
            return
        up.add_metric([], 1)
        trials = GaugeMetricFamily("ecgscale_trials", "Trials by state", labels=["study", "state"])
        for study in counted:
            for state in ("complete", "running", "waiting", "pruned", "failed"):
                trials.add_metric([study["study"], state], study.get(state, 0))
        reasons = GaugeMetricFamily(
            "ecgscale_failed_trials", "Failed trials by reason", labels=["study", "reason"]
        )
        for row in failed:
            reasons.add_metric([row.study_name, row.reason], row.number)
        workers = GaugeMetricFamily(
            "ecgscale_workers", "Workers that hold a trial", labels=["study"]
        )
        silent = GaugeMetricFamily(
            "ecgscale_oldest_heartbeat_seconds", "Age of the oldest heartbeat", labels=["study"]
        )
        for row in held:
            workers.add_metric([row.study_name], row.workers)
            silent.add_metric([row.study_name], row.silent)
        broken = GaugeMetricFamily("ecgscale_unreadable_studies", "Studies that cannot be read")
        broken.add_metric([], len(unreadable))
        yield from (up, trials, reasons, workers, silent, broken)


def study_metrics(storage: Storage) -> Application:
    """Return the page of a database's metrics."""
    registry = CollectorRegistry()
    registry.register(StudyCollector(storage))
    application: Application = make_wsgi_app(registry)
    return application


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep the worker's log for the worker."""


def serve_worker(registry: CollectorRegistry, where: str) -> WSGIServer:
    """Serve /metrics and /healthz from a thread on [HOST:]PORT, by default for this machine only.

    Whoever hangs within Python's lock answers no more; a step that hangs elsewhere ends the
    process by itself.
    """
    host, _, port = where.rpartition(":")
    page: Application = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") == "/healthz":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return [b"ok"]
        return page(environ, start_response)

    try:
        server = make_server(host or "127.0.0.1", int(port), answer, handler_class=_Quiet)
    except (OSError, ValueError, OverflowError) as error:
        raise StudyError(
            f"expected --metrics as a free PORT or HOST:PORT of this machine, got {where!r}: "
            f"{error}; choose another"
        ) from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _gpu_memory(device: str) -> float:
    if not device.startswith("cuda"):
        return 0.0
    import torch

    return float(torch.cuda.memory_allocated(device))
