"""How far a study is: counts, failures by reason, rate, time left, workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from sqlalchemy import Row, text

from search.database.schema import require_schema
from search.database.storage import Storage
from search.errors import StudyError
from search.precision import read_precision
from search.reading.time_left import Busy, TimeLeft, Work, forecast
from search.study import Study, open_study, readable_studies

COUNTS = """
SELECT count(*) FILTER (WHERE state = 'COMPLETE') AS complete,
    count(*) FILTER (WHERE state = 'RUNNING') AS running,
    count(*) FILTER (WHERE state = 'WAITING') AS waiting,
    count(*) FILTER (WHERE state = 'PRUNED') AS pruned,
    count(*) FILTER (WHERE state = 'FAIL') AS failed
FROM trials WHERE study_id = :study
"""
ALL_COUNTS = COUNTS.replace("SELECT", "SELECT study_id,").replace(
    "WHERE study_id = :study", "GROUP BY study_id"
)
# The rate is that of the last hour, or since the first start where that is shorter.
RATE = """
SELECT count(*) AS ended, extract(epoch FROM timezone('utc', clock_timestamp()) - greatest(
    min(first), timezone('utc', clock_timestamp()) - interval '1 hour')) AS seconds
FROM (SELECT datetime_complete, min(datetime_start) OVER () AS first FROM trials
      WHERE study_id = :study AND datetime_complete IS NOT NULL) AS t
WHERE datetime_complete > timezone('utc', clock_timestamp()) - interval '1 hour'
"""
FAILURES = """
SELECT split_part(a.value_json::json #>> '{}', ':', 1) AS reason, count(*) AS number
FROM trials t JOIN trial_user_attributes a ON a.trial_id = t.trial_id AND a.key = 'failure'
WHERE t.study_id = :study AND t.state = 'FAIL' GROUP BY 1 ORDER BY 2 DESC, 1
"""
WORKERS = """
SELECT e.worker, e.host, e.device, t.number AS trial, e.claims,
    extract(epoch FROM clock_timestamp() - e.claimed_at)::float8 AS seconds,
    extract(epoch FROM clock_timestamp() - e.heartbeat_at)::float8 AS silent_seconds,
    e.lease_seconds,
    coalesce((SELECT max(step) FROM trial_intermediate_values i WHERE i.trial_id = t.trial_id), 0)
        AS epochs
FROM trials t JOIN ecgscale_leases e USING (trial_id)
WHERE t.study_id = :study AND t.state = 'RUNNING' ORDER BY t.number
"""
# Of the last trials only: a long study is not read from its beginning at every look.
LAST = """
WITH last AS MATERIALIZED (
    SELECT trial_id, datetime_complete FROM trials
    WHERE study_id = :study AND state = 'COMPLETE'
    ORDER BY datetime_complete DESC LIMIT 500
)
SELECT e.worker, max(a.value_json) FILTER (WHERE a.key = 'device') AS device, {numbers}
FROM last JOIN trial_user_attributes a USING (trial_id)
LEFT JOIN ecgscale_leases e USING (trial_id)
WHERE a.key IN ('device', {keys})
GROUP BY trial_id, e.worker, datetime_complete ORDER BY datetime_complete DESC
"""
OPEN = """
SELECT t.number AS trial, t.state::text AS state, {numbers}
FROM trials t JOIN trial_user_attributes a USING (trial_id)
WHERE t.study_id = :study AND t.state IN ('WAITING', 'RUNNING') AND a.key IN ({keys})
GROUP BY t.number, t.state ORDER BY t.number
"""
COSTS = ("activations", "flops")


def _with_numbers(statement: str, names: tuple[str, ...]) -> str:
    value = "max(nullif(a.value_json, 'null')) FILTER (WHERE a.key = '{0}')::float8 AS {0}"
    numbers = ", ".join(value.format(name) for name in names)
    return statement.format(numbers=numbers, keys=", ".join(f"'{name}'" for name in names))


LAST = _with_numbers(LAST, (*COSTS, "seconds", "records_per_second"))
OPEN = _with_numbers(OPEN, COSTS)


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker with a trial in hand; `records_per_second` is that of its last complete trial."""

    worker: str
    host: str
    device: str
    trial: int
    epochs: int
    seconds: float
    silent_seconds: float
    records_per_second: float | None
    lease_seconds: float = 180.0

    @property
    def silent(self) -> bool:
        """Whether its lease is so old that another worker may take the trial."""
        return self.silent_seconds > self.lease_seconds


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """Progress of one study.

    The rate is None before anything ended, `time_left` while there is nothing to forecast from,
    the precision of training before the first worker settled it.
    """

    name: str
    planned: int
    complete: int
    running: int
    waiting: int
    pruned: int
    failed: int
    failures: dict[str, int]
    epochs: int
    precision: str | None
    trials_per_hour: float | None
    time_left: TimeLeft | None
    workers: tuple[RunningWorker, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.running + self.waiting == 0

    @property
    def seconds_left(self) -> float | None:
        """When the last trial will end; None while nothing runs or is known."""
        return self.time_left.seconds if self.time_left and not self.done else None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain data, for JSON."""
        return {**asdict(self), "done": self.done, "seconds_left": self.seconds_left}


def require_finished(study: Study, unfinished: bool) -> None:
    """Refuse to choose from a study's scores while planned trials are left, unless `unfinished`."""
    status = read_status(study.name, study.storage)
    if not (status.done or unfinished):
        raise StudyError(
            f"expected {study.name} to be finished, got {status.waiting + status.running} trials "
            "left: run its workers, or choose from what there is with --unfinished"
        )


def read_status(study_name: str, storage: Storage) -> StudyStatus:
    """Read how far a study is."""
    study = open_study(study_name, storage)
    values = {"study": study.study_id}
    with storage.connect() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        counts = connection.execute(text(COUNTS), values).one()
        ended, seconds = connection.execute(text(RATE), values).one()
        failures = connection.execute(text(FAILURES), values).all()
        rows = connection.execute(text(WORKERS), values).all()
        last = connection.execute(text(LAST), values).all()
        open_rows = connection.execute(text(OPEN), values).all()
        precision = read_precision(connection, study)
    speeds: dict[str, float | None] = {}
    for row in last:
        speeds.setdefault(row.worker, row.records_per_second)
    workers = tuple(
        RunningWorker(
            worker=row.worker,
            host=row.host,
            device=row.device,
            trial=row.trial,
            epochs=row.epochs,
            seconds=row.seconds,
            silent_seconds=row.silent_seconds,
            records_per_second=speeds.get(row.worker),
            lease_seconds=row.lease_seconds,
        )
        for row in rows
    )
    return StudyStatus(
        name=study_name,
        planned=study.planned,
        complete=counts.complete,
        running=counts.running,
        waiting=counts.waiting,
        pruned=counts.pruned,
        failed=counts.failed,
        failures={row.reason: row.number for row in failures},
        epochs=study.definition.recipe.epochs,
        precision=precision,
        trials_per_hour=3600.0 * ended / float(seconds) if ended and seconds else None,
        time_left=_time_left(study, rows, last, open_rows),
        workers=workers,
    )


def count_trials(storage: Storage) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Count the trials of every study by state; and say which studies cannot be read, and why."""
    require_schema(storage)
    studies, unreadable = readable_studies(storage)
    with storage.connect() as connection:
        rows = connection.execute(text(ALL_COUNTS)).mappings().all()
    counts = {row["study_id"]: {k: v for k, v in row.items() if k != "study_id"} for row in rows}
    return [
        {"study": study.name, "planned": study.planned, **counts.get(study.study_id, {})}
        for study in studies
    ], unreadable


def _time_left(
    study: Study,
    running: Sequence[Row[Any]],
    last: Sequence[Row[Any]],
    open_rows: Sequence[Row[Any]],
) -> TimeLeft | None:
    epochs = study.definition.recipe.epochs
    passes = float(epochs * study.data["splits"]["train"])
    waits = [row for row in open_rows if row.state == "WAITING"]
    runs = [row for row in open_rows if row.state == "RUNNING"]
    place = {row.trial: i for i, row in enumerate(runs)}
    live = [row for row in running if row.silent_seconds <= row.lease_seconds]
    timed = [row for row in last if row.seconds and row.seconds > 0]
    finished = _work(timed, passes, [row.seconds for row in timed])
    if not timed:
        # Nothing is done: go by the epochs of trials that run since their beginning.
        begun = {row.trial: row for row in live if row.epochs and row.claims == 1}
        rows = [row for row in runs if row.trial in begun]
        seconds = [begun[r.trial].seconds * epochs / (begun[r.trial].epochs + 0.5) for r in rows]
        finished = _work(rows, passes, seconds, [begun[row.trial].device for row in rows])
    busy = [
        Busy(
            device=row.device,
            row=place[row.trial],
            seconds=row.seconds,
            share_done=min(row.epochs / epochs, 1.0),
            share_at_most=min((row.epochs + 1) / epochs, 1.0),
        )
        for row in live
    ]
    return forecast(finished, _work(waits, passes), _work(runs, passes), busy)


def _work(
    rows: Sequence[Row[Any]],
    passes: float,
    seconds: Sequence[float] = (),
    devices: Sequence[str] | None = None,
) -> Work:
    names = devices or [json.loads(row.device) if "device" in row._fields else "" for row in rows]
    return Work(
        device=names,
        activations=np.array([row.activations for row in rows], dtype=np.float64),
        flops=np.array([row.flops for row in rows], dtype=np.float64),
        passes=np.full(len(rows), passes),
        seconds=np.array(seconds or [np.nan] * len(rows), dtype=np.float64),
    )
