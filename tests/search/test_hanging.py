"""A worker that lives but makes no progress loses its trial, and ends."""

from __future__ import annotations

import time
from multiprocessing.process import BaseProcess
from pathlib import Path

from conftest import define
from processes import slow_trainer, start_worker

from search.reading.records import read_trials
from search.reading.status import read_status
from search.study import create_study
from search.trials.queue import Limits, Queue, WorkerName
from search.worker import WorkerOptions, run_worker

ONE = {"architectures": 1, "flops": [1e6, 1e7], "bins": 1}
WHO = WorkerName("here:1", "here", "cpu")


def start_hanging(study, store, log: Path, **limits: float) -> BaseProcess:
    """Start a worker in which the second step never ends."""
    where = study.storage.label, study.name, store.path
    return start_worker(*where, seconds=None, patience_seconds=1.0, log=log, **limits)


def work(study, store, train, **limits: float) -> list[str]:
    """Do all the work there is; return what the worker said."""
    said: list[str] = []
    options = WorkerOptions(limits=Limits(**limits))
    where = study.name, study.storage, store, "cpu"
    assert run_worker(*where, options=options, train=train, say=said.append) == 0
    return said


def wait_for_running(study) -> None:
    deadline = time.monotonic() + 60
    while "running" not in set(read_trials(study.name, study.storage)["state"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_another_worker_takes_the_trial_of_one_that_hangs(make_study, store, tmp_path: Path):
    study, log = make_study(sample=ONE), tmp_path / "log"
    hung = start_hanging(study, store, log, grace_seconds=2.0)
    wait_for_running(study)
    work(study, store, slow_trainer(0.1), grace_seconds=2.0)
    frame = read_trials(study.name, study.storage)
    assert list(frame["state"]) == ["complete"]
    hung.join(30)
    assert hung.exitcode == 75, log.read_text()
    assert "no step has ended for" in log.read_text()
    assert list(read_trials(study.name, study.storage)["finished"]) == list(frame["finished"])


def test_alone_it_hands_the_trial_back(make_study, store, tmp_path: Path):
    study, log = make_study(sample=ONE), tmp_path / "log"
    hung = start_hanging(study, store, log, grace_seconds=1.0)
    hung.join(60)
    assert hung.exitcode == 75
    assert "handed back; this process ends" in log.read_text()
    assert list(read_trials(study.name, study.storage)["state"]) == ["waiting"]


def test_the_time_limit_fires_inside_a_hung_call(make_study, store, tmp_path: Path):
    study, log = make_study(sample=ONE), tmp_path / "log"
    hung = start_hanging(study, store, log, trial_seconds=2.0)
    hung.join(60)
    assert hung.exitcode == 75, log.read_text()
    (failure,) = read_trials(study.name, study.storage)["failure"]
    assert failure.startswith("time limit: 2 s were not enough (no step has ended for")


def test_a_long_first_step_is_waited_for(make_study, store):
    """Compilation and tuning take longer than any other step."""
    study = make_study(sample=ONE)
    inner = slow_trainer(0.1)

    def train(*rest, **named):
        time.sleep(1.6)  # more than the patience, less than three times as much
        return inner(*rest, **named)

    said = work(study, store, train, grace_seconds=0.6, patience_seconds=0.8)
    assert read_trials(study.name, study.storage)["state"][0] == "complete", said


def test_each_lease_has_its_own_length(make_study):
    study = make_study(sample=ONE)
    patient = Queue(study.storage, study.study_id, Limits(grace_seconds=600))
    hasty = Queue(study.storage, study.study_id, Limits(grace_seconds=0.1))
    assert patient.claim(WHO)
    time.sleep(0.3)
    assert hasty.claim(WHO) is None, "the lease lasts as long as its holder said"
    (worker,) = read_status(study.name, study.storage).workers
    assert worker.lease_seconds == 600
    assert not worker.silent


def test_a_database_that_restarts_often_does_not_block_take_overs(own_storage, store):
    study = create_study(define(sample=ONE), store, own_storage)
    queue = Queue(own_storage, study.study_id, Limits(grace_seconds=6.0))
    assert queue.claim(WHO)
    deadline = time.monotonic() + 60
    taken = None
    while taken is None:  # a restart every four seconds, within every lease
        assert time.monotonic() < deadline, "nobody ever takes it over"
        own_storage.engine.dispose()
        own_storage.server.stop()
        own_storage.server.start()
        time.sleep(3.5)
        taken = own_storage.patiently(lambda: queue.claim(WHO))
    assert taken.claims == 2
