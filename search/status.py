"""How far a study is: counts, failures by reason, rate, time left, workers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text

from search.database.storage import Storage
from search.study import open_study

COUNTS = """
SELECT count(*) FILTER (WHERE state = 'COMPLETE') AS complete,
    count(*) FILTER (WHERE state = 'RUNNING') AS running,
    count(*) FILTER (WHERE state = 'WAITING') AS waiting,
    count(*) FILTER (WHERE state = 'FAIL') AS failed
FROM trials WHERE study_id = :study
"""
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
SELECT e.worker, e.host, e.device, t.number AS trial,
    extract(epoch FROM clock_timestamp() - e.claimed_at) AS seconds,
    extract(epoch FROM clock_timestamp() - e.heartbeat_at) AS silent_seconds,
    (SELECT max(step) FROM trial_intermediate_values i WHERE i.trial_id = t.trial_id) AS epochs
FROM trials t JOIN ecgscale_leases e USING (trial_id)
WHERE t.study_id = :study AND t.state = 'RUNNING' ORDER BY e.worker
"""
SPEEDS = """
SELECT DISTINCT ON (e.worker) e.worker, (a.value_json)::float8 AS speed
FROM trials t JOIN ecgscale_leases e USING (trial_id)
JOIN trial_user_attributes a ON a.trial_id = t.trial_id AND a.key = 'records_per_second'
WHERE t.study_id = :study AND t.state = 'COMPLETE' AND a.value_json <> 'null'
ORDER BY e.worker, t.datetime_complete DESC
"""


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


@dataclass(frozen=True, slots=True)
class StudyStatus:
    """Progress of one study; rate and time left are None before anything ended."""

    name: str
    planned: int
    complete: int
    running: int
    waiting: int
    failed: int
    failures: dict[str, int]
    trials_per_hour: float | None
    seconds_left: float | None
    workers: tuple[RunningWorker, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return self.running + self.waiting == 0


def read_status(study_name: str, storage: Storage) -> StudyStatus:
    """Read how far a study is."""
    study = open_study(study_name, storage)
    values = {"study": study.study_id}
    with storage.connect() as connection:
        counts = connection.execute(text(COUNTS), values).one()
        ended, seconds = connection.execute(text(RATE), values).one()
        failures = connection.execute(text(FAILURES), values).all()
        rows = connection.execute(text(WORKERS), values).all()
        speeds = {row.worker: row.speed for row in connection.execute(text(SPEEDS), values)}
    rate = 3600.0 * ended / float(seconds) if ended and seconds else None
    left = counts.running + counts.waiting
    return StudyStatus(
        name=study_name,
        planned=study.planned,
        complete=counts.complete,
        running=counts.running,
        waiting=counts.waiting,
        failed=counts.failed,
        failures={row.reason: row.number for row in failures},
        trials_per_hour=rate,
        seconds_left=3600.0 * left / rate if rate else None,
        workers=tuple(
            RunningWorker(
                worker=row.worker,
                host=row.host,
                device=row.device,
                trial=row.trial,
                epochs=row.epochs or 0,
                seconds=float(row.seconds),
                silent_seconds=float(row.silent_seconds),
                records_per_second=speeds.get(row.worker),
            )
            for row in rows
        ),
    )
