"""Status on a real PostgreSQL: who works, at what speed, how long it will still take."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import text

from search.reading.records import read_trials
from search.reading.status import read_status
from search.study import Study
from search.trials.queue import Queue, WorkerName

SECONDS_PER_ACTIVATION = 1e-4


def finish(study: Study, queue: Queue, who: WorkerName, slower: float = 1.0) -> None:
    claim = queue.claim(who)
    assert claim is not None
    activations = read_trials(study.name, study.storage)["activations"][claim.number]
    facts = {"device": who.device, "seconds": slower * SECONDS_PER_ACTIVATION * float(activations)}
    assert queue.finish(claim, 0.5, {**facts, "records_per_second": 7.0 / slower}, [0.5], [])


@pytest.fixture
def study(make_study) -> Study:
    return make_study(sample={"architectures": 20, "flops": [1e5, 1e7], "bins": 2})


def test_time_left_is_the_predicted_cost_of_what_is_open(study: Study):
    queue = Queue(study.storage, study.study_id)
    fast, slow = WorkerName("a:1", "a", "GPU A"), WorkerName("b:1", "b", "GPU B")
    assert read_status(study.name, study.storage).time_left is None
    for _ in range(6):
        finish(study, queue, fast)
        finish(study, queue, slow, slower=4.0)
    resting = read_status(study.name, study.storage)
    assert resting.seconds_left is None
    assert resting.time_left.workers == 0
    queue.claim(slow)
    now = read_status(study.name, study.storage)
    frame = read_trials(study.name, study.storage)
    open_ = frame[frame["state"].isin(["waiting", "running"])]
    exact = 4.0 * SECONDS_PER_ACTIVATION * open_["activations"].sum()
    assert now.seconds_left == pytest.approx(exact, rel=0.02)
    assert now.time_left.fitted_trials == 6
    (worker,) = now.workers
    assert (worker.host, worker.device, worker.trial) == ("b", "GPU B", 12)
    assert worker.records_per_second == pytest.approx(1.75)
    assert not worker.silent
    queue.claim(fast)
    assert read_status(study.name, study.storage).seconds_left < exact / 2


def test_worker_that_fell_silent_is_told_and_not_counted_on(study: Study):
    queue = Queue(study.storage, study.study_id)
    who = WorkerName("a:1", "a", "cpu")
    for _ in range(10):
        finish(study, queue, who)
    queue.claim(who)
    with study.storage.begin() as connection:
        connection.execute(
            text(
                "UPDATE ecgscale_leases e SET heartbeat_at = heartbeat_at - interval '1 hour' "
                "FROM trials t WHERE t.trial_id = e.trial_id AND t.study_id = :study"
            ),
            {"study": study.study_id},
        )
    now = read_status(study.name, study.storage)
    assert now.workers[0].silent
    assert now.seconds_left is None
    assert now.time_left.worker_seconds > 0


def test_first_forecast_comes_from_epochs(study: Study):
    queue = Queue(study.storage, study.study_id)
    claim = queue.claim(WorkerName("a:1", "a", "cpu"))
    assert read_status(study.name, study.storage).time_left is None
    queue.report(claim, 1, 0.1)
    now = read_status(study.name, study.storage)
    assert now.time_left.fitted_trials == 1
    assert now.seconds_left > 0


def test_status_is_json(study: Study):
    queue = Queue(study.storage, study.study_id)
    finish(study, queue, WorkerName("a:1", "a", "cpu"))
    queue.claim(WorkerName("a:1", "a", "cpu"))
    told = json.loads(json.dumps(read_status(study.name, study.storage).to_dict()))
    assert (told["planned"], told["complete"], told["running"], told["waiting"]) == (20, 1, 1, 18)
    assert told["done"] is False
    assert told["time_left"]["fitted_trials"] == 1
    assert told["workers"][0]["device"] == "cpu"
