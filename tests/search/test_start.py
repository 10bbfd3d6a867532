"""Start in any order, and with no secret where others see it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import define

from data_pipeline import Store
from search.database.schema import init_db, require_schema
from search.database.storage import Storage, open_storage, when_there
from search.errors import NotYet, StudyError
from search.launchers.local import Slot, launch_local
from search.launchers.secret import require_password_file, worker_environment
from search.reading.records import read_trials
from search.study import create_study, open_study

SMALL = {
    "sample": {"architectures": 1, "flops": [1e6, 1e7], "bins": 1},
    "recipe": {"epochs": 1, "batch_size": 16},
}


@pytest.fixture
def by_password(own_storage: Storage) -> Storage:
    """The same database for a login that needs its password."""
    server = own_storage.server
    hba = server.data / "pg_hba.conf"
    hba.write_text("local all crew scram-sha-256\n" + hba.read_text())
    from search.database.roles import grant_access

    grant_access(own_storage, "crew", "worker", password="secret-word")
    with own_storage.begin() as connection:
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    url = own_storage.engine.url.set(username="crew", password="secret-word")
    return open_storage(url.render_as_string(hide_password=False), patience_seconds=10)


@pytest.mark.slow
def test_a_worker_started_first_waits_for_database_tables_and_study(
    own_storage: Storage, store: Store
):
    where = own_storage.engine.url.render_as_string()
    with own_storage.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    own_storage.engine.dispose()
    own_storage.server.stop()
    definition = define(**SMALL)
    command = [sys.executable, "-m", "ecgscale", "worker", definition.name, "--data", store.path]
    worker = subprocess.Popen(
        [*map(str, command), "--storage", where, "--start-within", "120"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    time.sleep(6.0)
    own_storage.server.start()
    time.sleep(3.0)
    init_db(own_storage)
    time.sleep(3.0)
    assert worker.poll() is None
    create_study(definition, store, own_storage)
    _, said = worker.communicate(timeout=120)
    assert worker.returncode == 0, said
    assert "waiting for it" in said
    assert set(read_trials(definition.name, own_storage)["state"]) == {"complete"}


def test_patience_ends_and_is_for_what_may_still_come(storage: Storage, make_study):
    said: list[str] = []
    started = time.monotonic()
    with pytest.raises(NotYet, match="expected a study called none-yet"):
        when_there(lambda: open_study("none-yet", storage), 0.5, said.append)
    assert 0.5 <= time.monotonic() - started < 5
    assert len(said) == 1
    assert "at most 0.5 s" in said[0]
    calls: list[int] = []

    def mistake() -> None:
        calls.append(1)
        raise StudyError("another's study")

    with pytest.raises(StudyError, match="another's"):
        when_there(mistake, 60)
    assert calls == [1]
    study = make_study()
    assert when_there(lambda: open_study(study.name, storage), 0).uid == study.uid


def test_tables_made_meanwhile_are_found(own_storage: Storage):
    with own_storage.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    threading.Timer(1.5, init_db, (own_storage,)).start()
    by_url = open_storage(own_storage.engine.url.render_as_string())
    when_there(lambda: require_schema(by_url), 60)


def test_no_password_in_a_workers_environment(
    own_storage: Storage,
    by_password: Storage,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    study = create_study(define(), store, own_storage)
    monkeypatch.setenv("PGPASSWORD", "secret-word")
    out = tmp_path / "environment"
    # What every other process of this user can read of a worker, and what the worker can open.
    script = (
        f"tr '\\0' '\\n' < /proc/$$/environ > {out}; stat -c %a $ECGSCALE_PASSWORD_FILE >> {out}; "
        f"{sys.executable} -c 'from search.database.storage import open_storage; "
        f'open_storage().connect().__enter__(); print("reached")\' >> {out}'
    )
    launch_local(
        *(study.name, by_password, ["/bin/sh", "-c", script]),
        [Slot(0, None, (0,), pinned=False)],
        logs=tmp_path,
    )
    told = out.read_text()
    assert "secret-word" not in told
    assert told.splitlines()[-2:] == ["600", "reached"]
    (path,) = (line for line in told.splitlines() if line.startswith("ECGSCALE_PASSWORD_FILE="))
    assert not Path(path.partition("=")[2]).exists(), "it goes with the launcher"


def test_an_embedded_database_has_no_password(storage: Storage):
    with worker_environment(storage) as environment:
        assert environment["ECGSCALE_STORAGE"] == storage.label
        assert "ECGSCALE_PASSWORD_FILE" not in environment


def test_a_batch_system_gets_no_password(monkeypatch: pytest.MonkeyPatch):
    for name in ("PGPASSWORD", "ECGSCALE_STORAGE"):
        monkeypatch.delenv(name, raising=False)
    for fine in (None, "embedded", "postgresql://me@host/db"):
        require_password_file(fine, seen="kept")
    secret = "postgresql://me:secret-word@host/db"
    with pytest.raises(StudyError, match="URL of the storage, kept") as caught:
        require_password_file(secret, seen="kept")
    assert "secret-word" not in str(caught.value)
    monkeypatch.setenv("PGPASSWORD", "secret-word")
    with pytest.raises(StudyError, match="PGPASSWORD"):
        require_password_file("postgresql://me@host/db", seen="kept")
    monkeypatch.delenv("PGPASSWORD")
    monkeypatch.setenv("ECGSCALE_STORAGE", secret)
    with pytest.raises(StudyError, match="ECGSCALE_PASSWORD_FILE"):
        require_password_file(None, seen="kept")


def test_the_commands_defaults_are_those_of_the_queue():
    from ecgscale.worker_options import LEASE_SECONDS, PATIENCE_SECONDS
    from search.trials.queue import Limits

    assert Limits() == Limits(grace_seconds=LEASE_SECONDS, patience_seconds=PATIENCE_SECONDS)


def test_every_launcher_passes_leases_on():
    from ecgscale.worker_options import WorkerArguments

    assert WorkerArguments().options() == ()
    asked = WorkerArguments(lease_seconds=30, patience_seconds=90.5, trial_seconds=7)
    told = ("--lease-seconds=30", "--patience-seconds=90.5", "--trial-seconds=7")
    assert asked.options() == told
