"""PostgreSQL on a disk that is full: it stops, workers wait, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import define
from disks import needs_root, small_disk
from processes import start_worker
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from data_pipeline import Store
from search.database.storage import Storage, open_storage
from search.reading.records import read_trials
from search.study import create_study


@pytest.fixture
def crammed(folder: Path) -> Iterator[Storage]:
    """A PostgreSQL on a disk of 160 MB."""
    with small_disk(folder / "disk", 160_000) as disk:
        opened = open_storage(f"embedded:{disk / 'db'}")
        yield opened
        opened.engine.dispose()
        assert opened.server is not None
        opened.server.stop()


def fill(storage: Storage, file: Path) -> None:
    """Take the rest of the disk, and write until PostgreSQL finds no room for its log."""
    with suppress(OSError), file.open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(100_000))
    assert shutil.disk_usage(file).free < 100_000
    with pytest.raises(DBAPIError):
        _write_on(storage.engine.execution_options(isolation_level="AUTOCOMMIT"))


def _write_on(engine: Engine) -> None:
    with engine.connect() as connection:
        for _ in range(50):
            connection.execute(text("SELECT pg_logical_emit_message(false, 'x', 'x')"))
            connection.execute(text("SELECT pg_switch_wal()"))


@needs_root
@pytest.mark.slow
def test_workers_wait_for_room_and_lose_nothing(crammed: Storage, store: Store, tmp_path: Path):
    study = create_study(define(), store, crammed)
    log = tmp_path / "log"
    filler = crammed.server.folder.parent / "filler"
    worker = start_worker(crammed.label, study.name, store.path, seconds=0.5, log=log)
    while not log.exists() or "macro" not in log.read_text():
        worker.join(0.1)
        assert worker.is_alive()
    fill(crammed, filler)
    worker.join(4)
    assert worker.is_alive(), log.read_text()
    assert "waiting for it" in log.read_text()
    filler.unlink()
    worker.join(90)
    assert worker.exitcode == 0, log.read_text()
    trials = crammed.patiently(lambda: read_trials(study.name, crammed), seconds=20)
    assert list(trials["state"]) == ["complete"] * 6
    assert trials["failure"].isna().all()
    with crammed.connect() as connection:
        counted = connection.execute(text("SELECT errors FROM ecgscale_leases")).scalars()
        assert set(counted) == {0}, "no attempt of a trial is spent on it"
