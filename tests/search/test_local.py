from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from search.errors import StudyError
from search.launchers.gpus import Gpu
from search.launchers.local import Slot, launch_local, plan_slots
from search.reading.records import read_trials


def test_slots_share_gpus_and_cores_out():
    slots = plan_slots(gpus=[Gpu("0"), Gpu("3")], per_gpu=2, cores=range(9))
    assert [slot.gpu for slot in slots] == ["0", "3", "0", "3"]
    assert [slot.cores for slot in slots] == [(0, 1), (2, 3), (4, 5), (6, 7)]
    assert slots[3].environment["CUDA_VISIBLE_DEVICES"] == "3"
    assert slots[3].environment["OMP_NUM_THREADS"] == "2"


def test_slots_on_the_processor():
    slots = plan_slots(cores=[2, 5])
    assert [(slot.gpu, slot.cores) for slot in slots] == [(None, (2,)), (None, (5,))]
    assert slots[0].environment["CUDA_VISIBLE_DEVICES"] == ""
    crowded = plan_slots(workers=3, cores=[0, 1])
    assert [slot.cores for slot in crowded] == [(0,), (1,), (0,)]
    assert not any(slot.pinned for slot in crowded)
    assert len(plan_slots(workers=1, cores=[0, 1])[0].cores) == 2
    with pytest.raises(StudyError):
        plan_slots(per_gpu=0)


def test_fewer_workers_than_places_use_all_gpus_and_more_are_refused():
    slots = plan_slots(gpus=[Gpu("0"), Gpu("1"), Gpu("2")], per_gpu=2, workers=4, cores=range(8))
    assert [slot.gpu for slot in slots] == ["0", "1", "2", "0"]
    with pytest.raises(StudyError, match="at most 2 workers, 1 on each GPU, got 3"):
        plan_slots(gpus=[Gpu("0"), Gpu("1")], workers=3)


def shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def slots(count: int) -> tuple[Slot, ...]:
    return tuple(Slot(number, None, (0,), pinned=False) for number in range(count))


def test_dead_workers_are_replaced(make_study, tmp_path: Path):
    study = make_study()
    born = tmp_path / "born"
    script = f'echo "$OMP_NUM_THREADS $ECGSCALE_STORAGE" >> {born}; test $(wc -l < {born}) -ge 4'
    said: list[str] = []
    code = launch_local(
        study.name, study.storage, shell(script), slots(1), logs=tmp_path / "logs", say=said.append
    )
    assert code == 0
    assert born.read_text().splitlines() == [f"1 {study.storage.label}"] * 4
    assert said == ["worker 0 ended with 1; starting another"] * 3


def test_wrong_set_up_ends_all_with_the_workers_words(make_study, tmp_path: Path):
    study = make_study()
    script = 'test "$OMP_NUM_THREADS" = 2 && exec sleep 100; echo "expected this, got that"; exit 2'
    two = (Slot(0, None, (0, 1), pinned=False), Slot(1, None, (0,), pinned=False))
    started = time.monotonic()
    with pytest.raises(StudyError, match="expected this, got that"):
        launch_local(study.name, study.storage, shell(script), two, logs=tmp_path)
    assert time.monotonic() - started < 30
    assert not [c for c in psutil.Process().children() if "sleep" in c.cmdline()]


def test_workers_that_always_die_end_it(make_study, tmp_path: Path):
    study = make_study()
    with pytest.raises(StudyError, match="5 in a row"):
        launch_local(
            study.name, study.storage, shell("exit 9"), slots(1), logs=tmp_path, say=lambda _: None
        )


def test_progress_is_told(make_study, tmp_path: Path):
    study = make_study()
    seen: list[int] = []
    launch_local(
        *(study.name, study.storage, shell("sleep 1"), slots(1)),
        logs=tmp_path,
        every_seconds=0.3,
        on_status=lambda status: seen.append(status.waiting),
    )
    assert seen
    assert set(seen) == {6}


LAUNCH = """
import sys
from pathlib import Path
from search.launchers.local import launch_local, plan_slots, worker_command
from search.database.storage import open_storage
where, study, data, logs = sys.argv[1:]
command = worker_command(study, Path(data), Path(logs) / "kept")
sys.exit(launch_local(study, open_storage(where), command, plan_slots(workers=2), logs=Path(logs)))
"""


def launch(study, store, logs: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", LAUNCH, study.storage.label, study.name, str(store.path)]
    return subprocess.Popen([*command, str(logs)])


def running(study) -> bool:
    return "running" in set(read_trials(study.name, study.storage)["state"])


def wait_for(condition, seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_go_with_their_launcher_and_another_completes(
    make_study, store, tmp_path: Path, number: int
):
    """The real command and the real training, told to stop or left alone half-way."""
    study = make_study(
        sample={"architectures": 3, "flops": [1e6, 1e7], "bins": 1},
        recipe={"epochs": 10, "batch_size": 8},
    )
    launcher = launch(study, store, tmp_path / "logs")
    wait_for(lambda: running(study))
    workers = psutil.Process(launcher.pid).children()
    assert len(workers) == 2
    assert not any(study.storage.label in " ".join(worker.cmdline()) for worker in workers)
    os.kill(launcher.pid, number)
    assert launcher.wait(90) == (75 if number == signal.SIGTERM else -9)
    psutil.wait_procs(workers, timeout=60)
    assert not any(worker.is_running() for worker in workers)
    assert not running(study)
    assert launch(study, store, tmp_path / "logs").wait(250) == 0
    assert set(read_trials(study.name, study.storage)["state"]) == {"complete"}
