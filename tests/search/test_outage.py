"""Who starts or looks while the database is away waits for it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import define
from processes import slow_trainer

from search.database.storage import Storage, Unreachable, open_storage
from search.launchers.local import Slot, launch_local
from search.reading.records import read_trials
from search.reading.status import read_status
from search.study import create_study
from search.worker import run_worker


@pytest.fixture
def own_storage(database: Storage) -> Iterator[Storage]:
    """A running server that a test may stop."""
    yield database
    database.server.start()
    database.engine.dispose()


@pytest.fixture
def by_url(own_storage: Storage) -> Storage:
    """The same database as a server of somebody else: nobody here can start it."""
    return open_storage(own_storage.engine.url.render_as_string())


def test_worker_that_starts_in_an_outage_waits(own_storage: Storage, by_url: Storage, store):
    study = create_study(define(), store, own_storage)
    own_storage.server.stop()
    back = threading.Timer(1.5, own_storage.server.start)
    back.start()
    said: list[str] = []
    code = run_worker(study.name, by_url, store, "cpu", train=slow_trainer(0.01), say=said.append)
    back.join()
    assert code == 0
    assert "waiting for it" in said[0]
    assert set(read_trials(study.name, own_storage)["state"]) == {"complete"}


def test_worker_that_starts_in_an_outage_can_be_stopped(
    own_storage: Storage, by_url: Storage, store
):
    study = create_study(define(), store, own_storage)
    own_storage.server.stop()
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM)).start()
    started = time.monotonic()
    assert run_worker(study.name, by_url, store, "cpu", say=lambda _: None) == 75
    assert time.monotonic() - started < 15


def test_local_launcher_outlives_a_restart(
    own_storage: Storage, by_url: Storage, store, tmp_path: Path
):
    study = create_study(define(), store, own_storage)
    own_storage.server.stop()
    back = threading.Timer(1.5, own_storage.server.start)
    back.start()
    said: list[str] = []
    seen: list[int] = []
    code = launch_local(
        *(study.name, by_url, ["/bin/sh", "-c", "sleep 4"]),
        [Slot(0, None, (0,), pinned=False)],
        logs=tmp_path,
        every_seconds=0.3,
        on_status=lambda status: seen.append(status.waiting),
        say=said.append,
    )
    back.join()
    assert code == 0
    assert set(seen) == {6}
    assert any("waiting for it" in words for words in said)


def test_a_look_is_no_crash(own_storage: Storage, by_url: Storage, store):
    study = create_study(define(), store, own_storage)
    own_storage.server.stop()
    with pytest.raises(Unreachable, match="answers"):
        read_status(study.name, by_url)
    with pytest.raises(Unreachable):
        by_url.patiently(lambda: read_status(study.name, by_url), seconds=0.3)
    own_storage.server.start()
    assert by_url.patiently(lambda: read_status(study.name, by_url), seconds=20).waiting == 6
