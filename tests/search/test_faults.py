"""Faults of the machine: no trial pays for a full, vanished or frozen disk, or for lost memory."""

from __future__ import annotations

import errno
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from disks import frozen_disk, needs_root, small_disk
from processes import slow_trainer
from sqlalchemy import text

import search.worker
from search import attempt
from search.reading.records import read_trials
from search.study import Study
from search.training import device, disk, train
from search.training.train import train_one
from search.trials.queue import Queue, WorkerName
from search.worker import WorkerOptions, run_worker

ONE = {"architectures": 1, "flops": [1e6, 1e7], "bins": 1}
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search.worker, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(train, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(attempt, "SECONDS_BETWEEN_TRIES", 0.2)


def work(study: Study, store, said: list[str] | None = None, train: Any = None, **options: Any):
    said = [] if said is None else said
    chosen = WorkerOptions(**options)
    return run_worker(
        *(study.name, study.storage, store, "cpu"), options=chosen, train=train, say=said.append
    )


def counts(study: Study) -> tuple[int, int, int]:
    """Errors, faults and losses of all trials together."""
    with study.storage.connect() as connection:
        row = connection.execute(
            text(
                "SELECT coalesce(sum(errors), 0), coalesce(sum(faults), 0), "
                "coalesce(sum(losses), 0) FROM ecgscale_leases JOIN trials USING (trial_id) "
                "WHERE study_id = :study"
            ),
            {"study": study.study_id},
        ).one()
    return tuple(int(value) for value in row)  # type: ignore[return-value]


@pytest.fixture
def trained(make_study) -> Study:
    return make_study(sample=ONE, recipe={"epochs": 3, "batch_size": 8})


def stop_in_epoch(number: int):
    """Train, and be told to stop in an epoch."""

    def train(*rest: Any, on_epoch: Any, **named: Any) -> Any:
        def tell(epoch: int, value: float) -> None:
            on_epoch(epoch, value)
            if epoch + 1 == number:
                os.kill(os.getpid(), signal.SIGTERM)

        return train_one(*rest, on_epoch=tell, **named)

    return train


@needs_root
def test_a_full_disk_costs_no_trial(trained: Study, store, tmp_path: Path):
    said: list[str] = []
    with small_disk(tmp_path / "full", 64) as folder:
        assert work(trained, store, said, checkpoints=folder) == 0
        assert not list(folder.rglob("*checkpoint*")), "nothing half-written is left"
    warned = [words for words in said if "no checkpoint can be written" in words]
    assert len(warned) == 1, said
    assert "No space left on device" in warned[0]
    assert list(read_trials(trained.name, trained.storage)["state"]) == ["complete"]
    assert counts(trained) == (0, 0, 0)


@needs_root
@pytest.mark.parametrize("fault", ["full", "frozen", "vanished"])
def test_told_to_stop_without_a_checkpoint_the_trial_is_handed_back(
    trained: Study, store, tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.5)
    said: list[str] = []
    stopping = stop_in_epoch(1)
    if fault == "full":
        with small_disk(tmp_path / "disk", 64) as folder:
            assert work(trained, store, said, stopping, checkpoints=folder) == 75
    elif fault == "frozen":
        with frozen_disk(tmp_path / "disk") as folder:
            assert work(trained, store, said, stopping, checkpoints=folder) == 75
    else:
        (tmp_path / "disk").write_text("a file where the folder was")
        assert work(trained, store, said, stopping, checkpoints=tmp_path / "disk") == 75
    assert "trial 0: handed back" in said
    assert sum("no checkpoint can be written" in words for words in said) == 1
    assert list(read_trials(trained.name, trained.storage)["state"]) == ["waiting"]
    assert work(trained, store, checkpoints=tmp_path / "other") == 0
    assert list(read_trials(trained.name, trained.storage)["state"]) == ["complete"]
    assert counts(trained) == (0, 0, 0)


@needs_root
def test_a_frozen_disk_holds_nobody_up(
    trained: Study, store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(disk, "PATIENCE_SECONDS", 0.5)
    with frozen_disk(tmp_path / "frozen") as folder:
        assert work(trained, store, checkpoints=folder) == 0
    assert list(read_trials(trained.name, trained.storage)["state"]) == ["complete"]


@needs_root
def test_a_network_waits_for_room(trained: Study, store, tmp_path: Path):
    with small_disk(tmp_path / "networks", 8192) as folder:
        ballast = folder / "ballast"
        ballast.write_bytes(b"\0" * 8_380_000)
        said: list[str] = []

        def say(words: str) -> None:
            said.append(words)
            if "no network can be kept" in words:
                threading.Timer(0.5, ballast.unlink).start()

        options = WorkerOptions(weights=folder)
        name, storage = trained.name, trained.storage
        assert run_worker(name, storage, store, "cpu", options=options, say=say) == 0
        assert len(list(folder.rglob("0.safetensors"))) == 1
    assert sum("no network can be kept" in words for words in said) == 1, said
    assert list(read_trials(trained.name, trained.storage)["state"]) == ["complete"]
    assert counts(trained) == (0, 0, 0)


def test_faults_of_the_machine_are_no_errors_of_the_trial(make_study, store):
    study = make_study(sample=ONE)
    left = [
        OSError(errno.EIO, "Input/output error"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        MemoryError("of others"),
        torch.OutOfMemoryError("of others"),
    ]
    inner = slow_trainer(0.01)

    def train(*rest: Any, **named: Any) -> Any:
        if left:
            raise left.pop()
        return inner(*rest, **named)

    codes = [work(study, store, train=train)]
    while codes[-1]:  # a broken GPU ends the process
        codes.append(work(study, store, train=train))
    assert codes == [75, 0]
    assert list(read_trials(study.name, study.storage)["state"]) == ["complete"]
    assert counts(study) == (0, 4, 0)


def test_a_network_too_large_for_the_device_is_an_error(
    make_study, store, monkeypatch: pytest.MonkeyPatch
):
    study = make_study(sample=ONE)
    monkeypatch.setattr(device, "total_memory_bytes", lambda _: 1000)

    def train(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert work(study, store, train=train) == 0
    (failure,) = read_trials(study.name, study.storage)["failure"]
    assert failure == "error: OutOfMemoryError: CUDA out of memory"
    assert counts(study) == (3, 0, 0)


def test_a_trial_that_breaks_every_machine_ends(make_study):
    study = make_study(sample=ONE)
    queue = Queue(study.storage, study.study_id)
    who = WorkerName("w", "h", "cpu")
    limit = queue.limits.faults
    became = [queue.fault(queue.claim(who), "RuntimeError: CUDA error") for _ in range(limit)]
    assert became == ["again"] * (limit - 1) + ["failed"]
    (failure,) = read_trials(study.name, study.storage)["failure"]
    assert failure == "machine: RuntimeError: CUDA error"


def test_failed_trials_get_another_go(make_study, store):
    study = make_study()
    queue = Queue(study.storage, study.study_id)
    who = WorkerName("w", "h", "cpu")
    for reason in ("diverged: nan", "error: ValueError: x", "time limit: 3 s"):
        claim = queue.claim(who)
        queue.report(claim, 1, 0.5)
        assert queue.fail(claim, reason, {"host": "h"})
    limited = Queue(study.storage, study.study_id, replace(queue.limits, errors=1))
    assert limited.error(queue.claim(who), "KeyError: 'y'") == "failed"
    assert queue.retry(1) == [1]
    assert queue.retry(1) == [], "it waits already"
    assert queue.retry() == [0, 2, 3]
    assert queue.retry() == []
    frame = read_trials(study.name, study.storage)
    assert list(frame["state"]) == ["waiting"] * 6
    assert frame["failure"].isna().all()
    assert work(study, store, train=slow_trainer(0.01)) == 0
    assert set(read_trials(study.name, study.storage)["state"]) == {"complete"}
    recorded = [trial.user_attrs.get("earlier_failures") for trial in study.optuna().trials]
    assert [row and row[0]["failure"] for row in recorded] == [
        *("diverged: nan", "error: ValueError: x", "time limit: 3 s", "error: KeyError: 'y'"),
        *(None, None),
    ]
    assert all(row[0]["retried"] and row[0]["finished"] for row in recorded[:4])
    assert counts(study) == (0, 0, 0)
