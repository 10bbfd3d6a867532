from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import define
from processes import expected, slow_trainer, start_worker
from sqlalchemy import text

from search.database.storage import Storage
from search.errors import StudyError
from search.machine import choose_device
from search.reading.records import read_class_scores, read_curves, read_trials
from search.study import create_study
from search.trials.queue import Limits, Queue, WorkerName
from search.worker import ERRORS_IN_A_ROW, WorkerOptions, run_worker

QUICK = WorkerOptions(limits=Limits(grace_seconds=2.0))


def assert_all_as_planned(study, count: int) -> None:
    """Every planned trial complete once with its own score, and no other row."""
    frame = read_trials(study.name, study.storage)
    assert list(frame["trial"]) == list(range(count))
    assert set(frame["state"]) == {"complete"}
    wanted = [
        expected(*pair) for pair in zip(frame["architecture_hash"], frame["seed"], strict=True)
    ]
    assert list(frame["macro_f1"]) == wanted
    curves = read_curves(study.name, study.storage)
    assert (curves.groupby("trial").size() == 3).all()
    assert len(read_class_scores(study.name, study.storage)) == 2 * count


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def test_worker_runs_all_trials(make_study, store):
    study = make_study(controls={"shuffled_labels": 1})
    said: list[str] = []
    code = run_worker(
        study.name,
        study.storage,
        store,
        "cpu",
        options=QUICK,
        train=slow_trainer(0.05),
        say=said.append,
    )
    assert code == 0
    assert_all_as_planned(study, 7)
    frame = read_trials(study.name, study.storage)
    assert set(frame["data_hash"]) == {store.hash}
    assert set(frame["recipe_hash"]) == {study.definition.recipe.hash}
    assert frame["device"].str.startswith("cpu").all()
    assert frame["git_commit"].notna().all()
    assert said[-1] == f"nothing left to do in {study.name}"
    assert (
        run_worker(study.name, study.storage, store, "cpu", train=slow_trainer(9), say=said.append)
        == 0
    )


def test_real_training_through_the_queue(make_study, store):
    torch.set_num_threads(1)
    study = make_study(
        sample={"architectures": 2, "flops": [1e6, 1e7], "bins": 1},
        controls={"shuffled_labels": 1},
        recipe={"epochs": 2, "batch_size": 8},
    )
    assert run_worker(study.name, study.storage, store, "cpu", say=lambda _: None) == 0
    frame = read_trials(study.name, study.storage)
    assert set(frame["state"]) == {"complete"}, list(frame["failure"])
    curves = read_curves(study.name, study.storage)
    last = curves[curves["epoch"] == 2].set_index("trial")["macro_f1"]
    np.testing.assert_array_equal(last, frame["macro_f1"])
    assert len(read_class_scores(study.name, study.storage)) == 3 * 26
    assert (frame["records_per_second"] > 0).all()


def test_control_trains_on_shuffled_labels(make_study, store):
    study = make_study(
        sample={"architectures": 1, "flops": [1e6, 1e7], "bins": 1}, controls={"shuffled_labels": 1}
    )
    labels, validation = [], []
    inner = slow_trainer(0.01)

    def spy(architecture, train, valid, recipe, seed, **rest):
        labels.append(train.labels.numpy().copy())
        validation.append(valid.labels.numpy().copy())
        return inner(architecture, train, valid, recipe, seed, **rest)

    run_worker(study.name, study.storage, store, "cpu", train=spy, say=lambda _: None)
    plain, shuffled = labels
    np.testing.assert_array_equal(plain, store.labels[store.rows("train")])
    assert not np.array_equal(plain, shuffled)
    np.testing.assert_array_equal(np.sort(plain.sum(axis=1)), np.sort(shuffled.sum(axis=1)))
    np.testing.assert_array_equal(plain.sum(axis=0), shuffled.sum(axis=0))
    np.testing.assert_array_equal(*validation)


def test_store_of_another_hash_is_refused(make_study, store, other_store):
    study = make_study()
    with pytest.raises(StudyError) as caught:
        run_worker(study.name, study.storage, other_store, "cpu", train=slow_trainer(0))
    assert store.hash in str(caught.value)
    assert other_store.hash in str(caught.value)
    assert set(read_trials(study.name, study.storage)["state"]) == {"waiting"}


def test_diverged_trial_is_kept_with_its_reason(make_study, store):
    from search.training.train import Diverged

    study = make_study()
    inner = slow_trainer(0.01)
    bad = read_trials(study.name, study.storage)["architecture_hash"][2]

    def train(architecture, *rest, **named):
        if architecture.hash == bad:
            raise Diverged("loss is nan in epoch 1")
        return inner(architecture, *rest, **named)

    assert run_worker(study.name, study.storage, store, "cpu", train=train, say=lambda _: None) == 0
    frame = read_trials(study.name, study.storage)
    assert list(frame["state"]) == ["complete"] * 2 + ["failed"] + ["complete"] * 3
    assert frame["failure"][2] == "diverged: loss is nan in epoch 1"


def test_error_is_retried_and_then_kept(make_study, store):
    study = make_study()
    inner = slow_trainer(0.01)
    hashes = list(read_trials(study.name, study.storage)["architecture_hash"])
    tries = dict.fromkeys(hashes, 0)

    def train(architecture, *rest, **named):
        tries[architecture.hash] += 1
        if architecture.hash == hashes[0] or (
            architecture.hash == hashes[1] and tries[hashes[1]] == 1
        ):
            raise ValueError("no such layer")
        return inner(architecture, *rest, **named)

    assert run_worker(study.name, study.storage, store, "cpu", train=train, say=lambda _: None) == 0
    frame = read_trials(study.name, study.storage)
    assert list(frame["state"]) == ["failed"] + ["complete"] * 5
    assert frame["failure"][0] == "error: ValueError: no such layer"
    assert [tries[name] for name in hashes] == [3, 2, 1, 1, 1, 1]


def test_worker_on_which_nothing_works_stops_itself(make_study, store):
    study = make_study(sample={"architectures": 12, "flops": [1e6, 1e7], "bins": 1})

    def train(*_, **__):
        raise RuntimeError("no driver")

    with pytest.raises(StudyError, match=r"errors in a row.*no driver"):
        run_worker(study.name, study.storage, store, "cpu", train=train, say=lambda _: None)
    assert set(read_trials(study.name, study.storage)["state"]) == {"waiting"}
    with study.storage.connect() as connection:
        tried = connection.scalar(
            text(
                "SELECT count(*) FROM ecgscale_leases JOIN trials USING (trial_id) "
                "WHERE study_id = :study"
            ),
            {"study": study.study_id},
        )
    assert tried == ERRORS_IN_A_ROW


def test_a_worker_whose_gpu_broke_ends_at_once(make_study, store):
    """Its next trials would fail, too; a new process may find the GPU in order."""
    study = make_study(sample={"architectures": 2, "flops": [1e6, 1e7], "bins": 1})

    def train(*_, **__):
        raise RuntimeError("CUDA error: device-side assert")

    for _ in range(4):
        assert (
            run_worker(study.name, study.storage, store, "cpu", train=train, say=lambda _: None)
            == 75
        )
    assert set(read_trials(study.name, study.storage)["state"]) == {"waiting"}


def test_trial_over_the_time_limit_fails(make_study, store, tmp_path: Path):
    study = make_study(sample={"architectures": 1, "flops": [1e6, 1e7], "bins": 1})
    options = WorkerOptions(trial_seconds=0.2, checkpoints=tmp_path)
    code = run_worker(
        study.name,
        study.storage,
        store,
        "cpu",
        options=options,
        train=slow_trainer(60),
        say=lambda _: None,
    )
    assert code == 0
    assert read_trials(study.name, study.storage)["failure"][0].startswith("time limit: 0.2 s")
    assert not list(tmp_path.rglob("*.checkpoint"))  # nobody goes on with it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_signal_hands_the_trial_back_and_another_goes_on(
    make_study, store, tmp_path: Path, number: int
):
    study = make_study(sample={"architectures": 1, "flops": [1e6, 1e7], "bins": 1})
    where, log = study.storage.label, tmp_path / "log"
    worker = start_worker(
        where, study.name, store.path, seconds=6, checkpoints=tmp_path / "kept", log=log
    )
    wait_for(lambda: len(read_curves(study.name, study.storage)) == 1)
    os.kill(worker.pid, number)
    worker.join(20)
    assert worker.exitcode == 75, log.read_text()
    frame = read_trials(study.name, study.storage)
    assert list(frame["state"]) == ["waiting"]
    assert len(list((tmp_path / "kept").rglob("0.checkpoint"))) == 1
    options = WorkerOptions(checkpoints=tmp_path / "kept")
    run_worker(
        study.name,
        study.storage,
        store,
        "cpu",
        options=options,
        train=slow_trainer(0.1),
        say=lambda _: None,
    )
    assert_all_as_planned(study, 1)
    # The trainer says in its speed at which epoch it resumed.
    assert read_trials(study.name, study.storage)["records_per_second"][0] == 101.0
    assert not list((tmp_path / "kept").rglob("*.checkpoint"))


def test_killed_worker_is_replaced(make_study, store, tmp_path: Path):
    study = make_study(sample={"architectures": 2, "flops": [1e6, 1e7], "bins": 1})
    where = study.storage.label
    victim = start_worker(where, study.name, store.path, seconds=60, grace_seconds=1.0)
    wait_for(lambda: "running" in set(read_trials(study.name, study.storage)["state"]))
    os.kill(victim.pid, signal.SIGKILL)
    victim.join()
    options = WorkerOptions(limits=Limits(grace_seconds=1.0))
    said: list[str] = []
    code = run_worker(
        study.name,
        study.storage,
        store,
        "cpu",
        options=options,
        train=slow_trainer(0.1),
        say=said.append,
    )
    assert code == 0
    assert_all_as_planned(study, 2)
    assert "trial 0: sample, attempt 2" in said


def pause(process: BaseProcess, storage: Storage) -> None:
    """Stop a process between its transactions: within one it holds rows that nobody else gets."""
    within = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
    )
    while True:
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.05)
        with storage.connect() as connection:
            if not connection.scalar(within):
                return
        os.kill(process.pid, signal.SIGCONT)
        time.sleep(0.05)


def test_paused_worker_drops_its_result(make_study, store, tmp_path: Path):
    study = make_study(sample={"architectures": 1, "flops": [1e6, 1e7], "bins": 1})
    where, log = study.storage.label, tmp_path / "log"
    kept = tmp_path / "kept"
    paused = start_worker(
        where, study.name, store.path, seconds=5, grace_seconds=1.0, log=log, checkpoints=kept
    )
    wait_for(lambda: "running" in set(read_trials(study.name, study.storage)["state"]))
    pause(paused, study.storage)
    options = WorkerOptions(limits=Limits(grace_seconds=1.0))
    run_worker(
        study.name,
        study.storage,
        store,
        "cpu",
        options=options,
        train=slow_trainer(0.1),
        say=lambda _: None,
    )
    finished = read_trials(study.name, study.storage)["finished"][0]
    of_heir = kept / f"{study.name}-{study.uid[:8]}" / "0.checkpoint"
    of_heir.parent.mkdir(parents=True, exist_ok=True)
    of_heir.write_text("2")
    os.kill(paused.pid, signal.SIGCONT)
    paused.join(20)
    assert paused.exitcode == 0, log.read_text()
    assert "another worker has it, result dropped" in log.read_text()
    assert of_heir.read_text() == "2"
    assert_all_as_planned(study, 1)
    assert read_trials(study.name, study.storage)["finished"][0] == finished


def test_database_restarted_under_a_worker(own_storage: Storage, store):
    study = create_study(define(), store, own_storage)
    result: list[int] = []

    def work() -> None:
        result.append(
            run_worker(
                study.name,
                own_storage,
                store,
                "cpu",
                options=QUICK,
                train=slow_trainer(1.0),
                say=print,
            )
        )

    thread = threading.Thread(target=work)
    thread.start()
    server = own_storage.server
    for kill in (False, True):
        time.sleep(1.5)
        wait_for(server._postmaster)  # the worker starts it again
        if kill:
            os.kill(server._postmaster().pid, signal.SIGKILL)
        else:
            server.stop()
    thread.join(60)
    assert result == [0]
    assert_all_as_planned(study, 6)


def test_worker_waits_for_the_last_trials_of_others(make_study, store):
    study = make_study(sample={"architectures": 1, "flops": [1e6, 1e7], "bins": 1})
    queue = Queue(study.storage, study.study_id)
    other = queue.claim(WorkerName("other", "there", "cpu"))
    leave = WorkerOptions(wait=False)
    assert (
        run_worker(study.name, study.storage, store, "cpu", options=leave, say=lambda _: None) == 0
    )
    result: list[int] = []
    stay = threading.Thread(
        target=lambda: result.append(
            run_worker(study.name, study.storage, store, "cpu", options=QUICK, say=lambda _: None)
        )
    )
    stay.start()
    time.sleep(1.0)
    assert not result
    assert queue.finish(other, 0.5, {}, [0.5], [])
    stay.join(10)
    assert result == [0]


def test_unknown_device_is_refused():
    assert choose_device("cpu") == "cpu"
    for wrong in ("tpu!", "cuda:99x", "meta"):
        with pytest.raises(StudyError, match="expected a device"):
            choose_device(wrong)
