"""Everything that can happen to workers and their database, at random, on a real PostgreSQL."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import nullcontext, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from conftest import define
from disks import small_disk
from processes import expected, start_worker

from data_pipeline import Store
from search.database.storage import Storage
from search.reading.records import read_class_scores, read_curves, read_trials
from search.reading.status import read_status
from search.study import create_study

GRACE_SECONDS = 2.0


@pytest.mark.parametrize(
    ("trials", "workers", "seed"),
    [(10, 4, 0)] + [pytest.param(60, 6, seed, marks=pytest.mark.slow) for seed in range(1, 11)],
)
def test_exactly_the_planned_trials_complete(
    own_storage: Storage, store: Store, tmp_path: Path, trials: int, workers: int, seed: int
):
    definition = define(
        seed=seed,
        sample={"architectures": trials - 2, "flops": [1e6, 1e8], "bins": 2},
        replicates={"architectures": 1, "seeds": 1},
        controls={"shuffled_labels": 1},
    )
    study = create_study(definition, store, own_storage)
    planned = read_trials(study.name, own_storage)
    log = tmp_path / "log"
    rng = random.Random(seed)
    # The disk of some is full, or /dev/null where none can be mounted.
    with small_disk(tmp_path / "full", 4) if os.geteuid() == 0 else nullcontext(Path(os.devnull)):
        disks = [tmp_path / "checkpoints", tmp_path / "full"]
        crew = Crew(own_storage, study.name, store.path, disks, log)
        crew.hire(hangs=True)
        for _ in range(workers):
            crew.hire()
        faults, restarts = strike_until_done(crew, workers, rng, log)

    frame = read_trials(study.name, own_storage)
    assert list(frame["trial"]) == list(range(trials)), log.read_text()
    assert set(frame["state"]) == {"complete"}, log.read_text()
    for column in ("role", "seed", "architecture_hash", "architecture", "flops", "depth"):
        assert list(frame[column]) == list(planned[column])
    wanted = [expected(*p) for p in zip(frame["architecture_hash"], frame["seed"], strict=True)]
    assert list(frame["macro_f1"]) == wanted
    curves = read_curves(study.name, own_storage).groupby("trial")["epoch"].apply(list)
    assert all(epochs == [1, 2, 3] for epochs in curves)
    assert len(curves) == trials
    assert len(read_class_scores(study.name, own_storage)) == 2 * trials
    assert read_status(study.name, own_storage).done
    assert len(study.optuna().get_trials(deepcopy=False)) == trials
    with own_storage.connect() as connection:
        counted = connection.exec_driver_sql("SELECT sum(errors), sum(faults) FROM ecgscale_leases")
        assert tuple(counted.one()) == (0, 0), "nothing of it was a trial's own error"
    assert "no step has ended for" in log.read_text()
    assert restarts == 2
    assert faults >= 3


def strike_until_done(crew: Crew, workers: int, rng: random.Random, log: Path) -> tuple[int, int]:
    """Let everything happen until the study is done; return how many faults and restarts."""
    started, faults, restarts = time.monotonic(), 0, 0
    while crew.at_work(workers):
        assert time.monotonic() - started < 240, log.read_text()
        time.sleep(rng.uniform(0.5, 1.5))
        crew.strike(rng.choice(["kill", "kill", "term", "pause"]), rng)
        faults += 1
        if restarts < 2 and faults % 3 == 0:
            crew.restart_database(kill=restarts == 1)
            restarts += 1
    return faults, restarts


class Crew:
    """Workers that are replaced when they fall."""

    def __init__(self, storage: Storage, study: str, store: Path, disks: list[Path], log: Path):
        self.storage, self.study, self.store = storage, study, store
        self.disks, self.log, self.hired = disks, log, 0
        self.processes: list[BaseProcess] = []
        self.paused: dict[int, float] = {}
        self.going_home = False
        self.hung: BaseProcess | None = None

    def hire(self, *, hangs: bool = False) -> None:
        self.hired += 1
        worker = start_worker(
            self.storage.label,
            self.study,
            self.store,
            seconds=None if hangs else 0.7,
            grace_seconds=GRACE_SECONDS,
            patience_seconds=1.0 if hangs else 600.0,
            checkpoints=self.disks[self.hired % len(self.disks)],
            log=self.log,
        )
        if hangs:
            self.hung = worker  # struck by nobody
        self.processes.append(worker)

    def at_work(self, wanted: int) -> bool:
        """Wake the paused when their time has come, replace the fallen; False when all is done."""
        for pid, until in list(self.paused.items()):
            if time.monotonic() > until:
                del self.paused[pid]
                with suppress(ProcessLookupError):  # it was at its end when it was paused
                    os.kill(pid, signal.SIGCONT)
        for process in list(self.processes):
            if process.exitcode is None:
                continue
            self.processes.remove(process)
            fallen = (75, -signal.SIGKILL, -signal.SIGTERM)  # -SIGTERM: struck before it was up
            assert process.exitcode in (0, *fallen), self.log.read_text()
            if process.exitcode == 0:
                self.going_home = True
        while not self.going_home and len(self.processes) < wanted:
            self.hire()
        return bool(self.processes)

    def strike(self, how: str, rng: random.Random) -> None:
        able = [
            p
            for p in self.processes
            if p.pid not in self.paused and p.exitcode is None and p is not self.hung
        ]
        if not able:
            return
        pid = rng.choice(able).pid
        assert pid is not None
        number = {"pause": signal.SIGSTOP, "kill": signal.SIGKILL, "term": signal.SIGTERM}[how]
        with suppress(ProcessLookupError):  # it has just come to its end
            os.kill(pid, number)
            if how == "pause":
                self.paused[pid] = time.monotonic() + GRACE_SECONDS + 2.0

    def restart_database(self, *, kill: bool) -> None:
        server = self.storage.server
        assert server is not None
        if not kill:
            server.stop()
        elif (master := server._postmaster()) is not None:
            os.kill(master.pid, signal.SIGKILL)
        time.sleep(0.5)
        server.start()
