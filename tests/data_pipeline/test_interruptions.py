"""A preparation that is killed, run twice at once or short of disk never leaves half a store."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import DataError, PrepareOptions, Store, open_store, prepare_store
from tests.data_pipeline.files import AF, SINUS, ecg_like, write_record

PREPARE = """
import sys
from pathlib import Path
from data_pipeline import DataError, PrepareOptions, prepare_store
def main():
    try:
        prepare_store(Path(sys.argv[1]), Path(sys.argv[2]), PrepareOptions(), jobs=int(sys.argv[3]))
    except DataError as error:
        print(error)
        sys.exit(2)
if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("many") / "raw"
    rng = np.random.default_rng(0)
    for i in range(330):
        write_record(raw, f"A{i:05d}", dx=AF if i % 3 else SINUS, signals=ecg_like(rng, 2000))
    return raw


def start(raw: Path, out: Path, jobs: int = 1, **options: object) -> subprocess.Popen[str]:
    script = out.parent / "prepare_it.py"
    script.write_text(PREPARE)
    command = [sys.executable, str(script), str(raw), str(out), str(jobs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload,no-any-return]


def wait_for(pattern: str, folder: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not list(folder.rglob(pattern)):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        time.sleep(0.002)


def files_of(store: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in store.iterdir()}


@pytest.fixture(scope="module")
def undisturbed(raw: Path) -> Store:
    return prepare_store(raw, raw.parent / "undisturbed", PrepareOptions())


@pytest.mark.parametrize(
    ("jobs", "moment"), [(1, "000000.npy"), (2, "000001.json"), (1, "signals.npy")]
)
def test_killed_anywhere_it_goes_on_to_the_same_bytes(
    raw: Path, undisturbed: Store, tmp_path: Path, jobs: int, moment: str
) -> None:
    out = tmp_path / "out" / "store"
    out.parent.mkdir()
    process = start(raw, out, jobs)
    wait_for(moment, out.parent, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    if not out.exists():
        with pytest.raises(DataError, match="there is nothing"):
            open_store(out)
    kept = {p: p.stat().st_mtime_ns for p in out.parent.rglob("*.json") if p.parent.name != "store"}
    resumed = prepare_store(raw, out, PrepareOptions())
    assert files_of(resumed.path) == files_of(undisturbed.path)
    assert kept or moment == "000000.npy"
    assert sorted(p.name for p in out.parent.iterdir()) == ["prepare_it.py", "store"]


def test_workers_end_with_their_killed_parent(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    process = start(raw, out, jobs=2, start_new_session=True)
    wait_for("000000.json", tmp_path, process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("processes are left over")


def test_only_one_process_prepares_a_store(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    process = start(raw, out)
    wait_for("000000.json", tmp_path, process)
    process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(DataError, match="Another process is preparing"):
            prepare_store(raw, out, PrepareOptions())
    finally:
        process.send_signal(signal.SIGCONT)
    assert process.wait() == 0
    open_store(out).verify()


def test_two_at_once_leave_one_good_store(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    processes = [start(raw, out) for _ in range(2)]
    outputs = [process.communicate()[0] for process in processes]
    assert sorted(process.returncode for process in processes)[0] == 0
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0 or output.startswith("Another process is preparing")
    open_store(out).verify()


def test_other_options_start_afresh(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    process = start(raw, out)
    wait_for("000001.json", tmp_path, process)
    process.kill()
    process.wait()
    store = prepare_store(raw, out, PrepareOptions(seconds=5))
    assert store.samples == 500
    assert store.manifest["content"]["options"]["seconds"] == 5
    assert len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_is_told_and_leaves_no_store(raw: Path, tmp_path: Path) -> None:
    def limit() -> None:
        # A file that may not grow is the nearest to a full disk that needs no rights.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    out = tmp_path / "store"
    process = start(raw, out, preexec_fn=limit)
    output = process.communicate()[0]
    assert process.returncode == 2
    assert "Expected" in output
    assert "Traceback" not in output
    assert not out.exists()
    prepare_store(raw, out, PrepareOptions()).verify()
