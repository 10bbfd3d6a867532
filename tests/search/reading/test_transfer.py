from __future__ import annotations

import gzip
import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
from processes import slow_trainer
from sqlalchemy import text

from search.database.schema import init_db
from search.database.storage import Storage, open_storage
from search.errors import StudyError
from search.reading.records import read_class_scores, read_curves, read_definition, read_trials
from search.reading.transfer import dump_study, load_study
from search.study import study_names
from search.trials.queue import Queue, WorkerName
from search.worker import run_worker


@pytest.fixture
def elsewhere(storage: Storage):
    with storage.engine.connect() as connection:
        connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("DROP DATABASE IF EXISTS elsewhere WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE elsewhere"))
    url = storage.engine.url.set(database="elsewhere")
    opened = open_storage(url.render_as_string(hide_password=False))
    init_db(opened)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def half_done(make_study, store):
    """Three trials complete, one failed, one running, one waiting; a note and a figure's place."""
    study = make_study()
    queue = Queue(study.storage, study.study_id)
    who = WorkerName("w", "h", "cpu")
    for score in (0.1, 1 / 3, 0.7):
        claim = queue.claim(who)
        queue.finish(
            claim,
            score,
            {"macro_auroc": score, "ece": float("nan"), "host": "käse"},
            [0.1, float("nan"), score],
            [{"class": "AF", "positives": 2, "f1": score, "auroc": None, "auprc": 0.1}],
        )
    queue.fail(queue.claim(who), 'diverged: "nan"')
    queue.claim(who)
    seen = study.optuna()
    trial = seen.get_trials(deepcopy=False)[2]
    seen._storage.set_study_system_attr(study.study_id, f"dashboard:{trial._trial_id}:note_ver", 1)
    return study


def test_study_travels_as_one_file(half_done, elsewhere: Storage, tmp_path: Path, store):
    path = tmp_path / "study.ecgscale"
    assert dump_study(half_done.name, half_done.storage, path) == 6
    assert list(tmp_path.iterdir()) == [path]
    loaded = load_study(path, elsewhere)
    assert study_names(elsewhere) == [half_done.name]
    assert loaded.definition == half_done.definition
    assert loaded.uid == half_done.uid
    here, there = (read_trials(half_done.name, where) for where in (half_done.storage, elsewhere))
    assert list(here["state"]) == ["complete"] * 3 + ["failed", "running", "waiting"]
    assert list(there["state"]) == ["complete"] * 3 + ["failed", "waiting", "waiting"]
    rest = [column for column in here.columns if column not in ("state", "started")]
    pd.testing.assert_frame_equal(here[rest], there[rest])
    for read in (read_curves, read_class_scores):
        pd.testing.assert_frame_equal(
            read(half_done.name, half_done.storage), read(half_done.name, elsewhere)
        )
    assert read_definition(half_done.name, elsewhere) == read_definition(
        half_done.name, half_done.storage
    )
    seen = loaded.optuna()
    assert seen.metric_names == ["macro_f1"]
    note = f"dashboard:{seen.trials[2]._trial_id}:note_ver"
    assert seen._storage.get_study_system_attrs(loaded.study_id)[note] == 1
    for a, b in zip(half_done.optuna().trials, seen.trials, strict=True):
        assert (a.params, a.distributions, a.user_attrs) == (
            b.params,
            b.distributions,
            b.user_attrs,
        )
        assert a.state is b.state or a.state is optuna.trial.TrialState.RUNNING
    # And it goes on where it is now.
    assert (
        run_worker(
            half_done.name, elsewhere, store, "cpu", train=slow_trainer(0.01), say=lambda _: None
        )
        == 0
    )
    assert list(read_trials(half_done.name, elsewhere)["state"]).count("complete") == 5


def test_name_taken_and_another_name(half_done, tmp_path: Path):
    path = tmp_path / "study"
    dump_study(half_done.name, half_done.storage, path)
    with pytest.raises(StudyError, match="exists already"):
        load_study(path, half_done.storage)
    with pytest.raises(StudyError, match="letters"):
        load_study(path, half_done.storage, name="a b")
    copy = load_study(path, half_done.storage, name=f"{half_done.name}-copy")
    assert copy.definition.name == copy.name
    with half_done.storage.connect() as connection:
        count = text("SELECT count(*) FROM ecgscale_trials WHERE study = :name")
        assert connection.scalar(count, {"name": copy.name}) == 6


def test_damaged_files_are_refused_and_leave_nothing(half_done, elsewhere: Storage, tmp_path: Path):
    path = tmp_path / "study"
    dump_study(half_done.name, half_done.storage, path)
    whole = path.read_bytes()
    header = json.loads(gzip.decompress(whole).splitlines()[0])
    damaged = {
        "cut": whole[: len(whole) // 2],
        "text": b"hello",
        "empty": gzip.compress(b""),
        "other": gzip.compress(b'{"format": "x"}\n'),
        "newer": gzip.compress(json.dumps(header | {"version": 99}).encode()),
    }
    for name, content in damaged.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(StudyError, match="ecgscale"):
            load_study(tmp_path / name, elsewhere)
    with pytest.raises(StudyError, match="No such file"):
        load_study(tmp_path / "none", elsewhere)
    with pytest.raises(StudyError, match="can be written"):
        dump_study(half_done.name, half_done.storage, tmp_path / "no" / "folder")
    assert study_names(elsewhere) == []
