"""Studies renamed and deleted, here and by other programs, while workers run."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import optuna
import pytest
from processes import slow_trainer
from sqlalchemy import text

from search.errors import StudyError
from search.manage import delete_study, rename_study, running_workers
from search.reading.records import read_definition, read_trials
from search.reading.status import count_trials, read_status
from search.study import open_study, readable_studies, study_names
from search.trials.queue import Limits, Queue, WorkerName
from search.worker import WorkerOptions, run_worker

WHO = WorkerName("here:1", "here", "cpu")
ONE = {"architectures": 1, "flops": [1e6, 1e7], "bins": 1}


def at_work(study, store, seconds: float, **options) -> tuple[threading.Thread, list[object]]:
    """Start a worker; its exit code or error comes into the list."""
    came: list[object] = []

    def work() -> None:
        try:
            came.append(
                run_worker(
                    *(study.name, study.storage, store, "cpu"),
                    options=WorkerOptions(**options),
                    train=slow_trainer(seconds),
                    say=lambda _: None,
                )
            )
        except StudyError as error:
            came.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 30
    while not read_status(study.name, study.storage).running:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return thread, came


def test_a_study_is_renamed_under_its_worker(make_study, store, tmp_path: Path):
    study = make_study(sample={**ONE, "architectures": 2})
    new = f"{study.name}-new"
    thread, came = at_work(study, store, 1.0, checkpoints=tmp_path)
    rename_study(study.name, new, study.storage)
    thread.join(60)
    assert came == [0]
    renamed = open_study(new, study.storage)
    assert (renamed.name, renamed.definition.name, renamed.uid) == (new, new, study.uid)
    assert renamed.folder == study.folder, "checkpoints and networks are found again"
    assert read_definition(new, study.storage)["name"] == new
    assert set(read_trials(new, study.storage)["state"]) == {"complete"}
    with pytest.raises(StudyError, match=f"it is called {new} now"):
        open_study(study.name, study.storage)
    rename_study(new, f"{new}er", study.storage)
    assert open_study(f"{new}er", study.storage).folder == study.folder


def test_names_that_cannot_be(make_study):
    one, two = make_study(), make_study()
    for wrong, words in ((two.name, "exists already"), ("a b", "letters"), ("x" * 101, "letters")):
        with pytest.raises(StudyError, match=words):
            rename_study(one.name, wrong, one.storage)
    with pytest.raises(StudyError, match="check the name"):
        rename_study("nothing", "new", one.storage)
    assert {one.name, two.name} <= set(study_names(one.storage))


def test_a_deleted_study_takes_everything_along(make_study, store):
    study, other = make_study(), make_study()
    queue = Queue(study.storage, study.study_id)
    classes = [{"class": "AF", "positives": 1, "f1": 0.5, "auroc": 0.5, "auprc": 0.1}]
    queue.finish(queue.claim(WHO), 0.5, {"macro_auroc": 0.7}, [0.5], classes)
    queue.claim(WHO)
    assert running_workers(study.name, study.storage) == 1
    assert delete_study(study.name, study.storage) == 6
    assert study.name not in study_names(study.storage)
    with study.storage.connect() as connection:
        tables = connection.scalars(
            text(
                "SELECT table_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND column_name = 'trial_id'"
            )
        ).all()
        assert len(tables) >= 8
        for table in tables:
            orphans = f"{table} x LEFT JOIN trials t USING (trial_id) WHERE t.trial_id IS NULL"
            assert connection.scalar(text(f"SELECT count(*) FROM {orphans}")) == 0, table
    assert len(read_trials(other.name, other.storage)) == 6


def test_a_worker_whose_study_is_gone_says_so(make_study, store):
    study = make_study(sample=ONE)
    thread, came = at_work(study, store, 30.0, limits=Limits(grace_seconds=1.0))
    delete_study(study.name, study.storage)
    thread.join(30)
    (error,) = came
    assert isinstance(error, StudyError)
    assert "got none any more" in str(error)


def test_trials_that_run_without_a_lease_are_taken_over(make_study, store):
    """As another program's copy of a study has them."""
    study = make_study(sample={**ONE, "architectures": 3})
    queue = Queue(study.storage, study.study_id, Limits(grace_seconds=1.0))
    first = queue.claim(WHO)
    queue.claim(WHO)
    with study.storage.begin() as connection:
        gone = text("DELETE FROM ecgscale_leases WHERE trial_id = :trial")
        connection.execute(gone, {"trial": first.trial_id})
        never = text("UPDATE trials SET datetime_start = NULL WHERE trial_id = :trial")
        connection.execute(never, {"trial": first.trial_id})
    assert not queue.finish(first, 0.9, {}, [0.9], []), "whoever held it has lost it"
    limits = Limits(grace_seconds=1.0)
    code = run_worker(
        *(study.name, study.storage, store, "cpu"),
        options=WorkerOptions(limits=limits),
        train=slow_trainer(0.05),
        say=lambda _: None,
    )
    assert code == 0
    assert set(read_trials(study.name, study.storage)["state"]) == {"complete"}


def test_an_unreadable_study_is_skipped_and_named(make_study):
    good, newer, broken = make_study(), make_study(), make_study()
    change = text(
        "UPDATE study_user_attributes SET value_json = :value "
        "WHERE study_id = :study AND key = :key"
    )
    with good.storage.begin() as connection:
        wings = '{"name": "x", "wings": 2}'
        values = {"study": newer.study_id, "key": "definition", "value": wings}
        connection.execute(change, values)
        values = {"study": broken.study_id, "key": "factors", "value": "[3]"}
        connection.execute(change, values)
    studies, unreadable = readable_studies(good.storage)
    assert good.name in {study.name for study in studies}
    assert {newer.name, broken.name} <= set(unreadable)
    assert "wings" in unreadable[newer.name]
    counted, named = count_trials(good.storage)
    assert named == unreadable
    mine = next(row for row in counted if row["study"] == good.name)
    assert mine == {"study": good.name, "planned": 6, "complete": 0, "running": 0} | {
        "waiting": 6,
        "pruned": 0,
        "failed": 0,
    }
    make_study()  # the view is made anew in spite of them
    for study in (newer, broken):
        with pytest.raises(StudyError, match="newer ecgscale may have made it"):
            open_study(study.name, study.storage)
        assert delete_study(study.name, study.storage) == 6
    with pytest.raises(StudyError, match="check the name"):
        delete_study(newer.name, good.storage)


def test_studies_of_others_are_left_alone(storage):
    optuna.create_study(study_name="theirs", storage=storage.optuna())
    for act in (
        lambda: delete_study("theirs", storage),
        lambda: rename_study("theirs", "ours", storage),
    ):
        with pytest.raises(StudyError, match="of ecgscale called theirs"):
            act()
    optuna.delete_study(study_name="theirs", storage=storage.optuna())
