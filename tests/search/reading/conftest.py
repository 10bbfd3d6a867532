from __future__ import annotations

import pytest
from sqlalchemy import text

from search.database.schema import init_db
from search.database.storage import Storage, open_storage
from search.trials.queue import Queue, WorkerName


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
