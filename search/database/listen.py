"""Opening the embedded PostgreSQL to other machines, with a password, and closing it again.

Only logins made for it get in by network, never the owner: over the socket of this machine the
owner needs no password and may do everything, so over a network it may do nothing.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from search.database.embedded import PORT, EmbeddedServer
from search.database.roles import grant_access
from search.database.storage import PASSWORD_FILE, Storage
from search.errors import StudyError
from search.secret_file import read_secret

LOGIN = "ecgscale_worker"
DATABASE = "postgres"
PGPASS = "pgpass"
ADDRESS = re.compile(r"(?P<host>\*|\[[0-9a-fA-F:]+\]|[A-Za-z0-9][A-Za-z0-9.-]*)(:(?P<port>\d+))?")
EVERYWHERE = {"*", "0.0.0.0", "::"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a name or address of this machine, or "*", and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, where: str) -> Address:
        """Read HOST or HOST:PORT; an IPv6 address stands in brackets."""
        match = ADDRESS.fullmatch(where)
        port = int(match["port"] or PORT) if match else 0
        if match is None or not 0 < port < 65536:
            raise StudyError(
                f"expected --listen as HOST or HOST:PORT, such as '*' or 10.0.0.5:5433, got {where}"
            )
        return cls(match["host"].strip("[]"), port)

    def require_free(self) -> None:
        """Refuse an address that is not this machine's, or a port that is taken."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("" if self.host == "*" else self.host, self.port))
        except OSError as error:
            raise StudyError(
                f"expected a free address of this machine, got {self.host}:{self.port}: "
                f"{error.strerror}; choose another with --listen HOST:PORT"
            ) from None


@dataclass(frozen=True, slots=True)
class Listening:
    """How other machines reach the database; `pgpass` is the file with the password."""

    url: str
    pgpass: Path


def listen(storage: Storage, address: Address) -> Listening:
    """Open an embedded database to other machines; may be repeated, also with another address.

    The login has a worker's rights. Its password is that of the file $ECGSCALE_PASSWORD_FILE or of
    $PGPASSWORD; without them the one of last time, or a new one. The server restarts: workers wait.
    """
    server = storage.server
    if server is None:
        raise StudyError(
            f"expected the embedded database for --listen, got {storage.label}: whoever runs that "
            "server decides where it listens"
        )
    pgpass = server.folder / PGPASS
    grant_access(storage, LOGIN, "worker", password=_password(pgpass, address.port))
    if server.listens() != (address.host, address.port):
        server.stop()
        try:
            address.require_free()
            server.set_listening((address.host, address.port))
        finally:
            storage.engine.dispose()
            server.start()
    host = platform.node() if address.host in EVERYWHERE else address.host
    url = URL.create("postgresql", LOGIN, host=host, port=address.port, database=DATABASE)
    return Listening(url.render_as_string(), pgpass)


def close(server: EmbeddedServer) -> bool:
    """Close an embedded database to other machines; return whether it was open."""
    if server.listens() is None:
        return False
    running = server.stop()
    server.set_listening(None)
    if running:
        server.start()
    return True


def _password(pgpass: Path, port: int) -> str:
    """Return the password, and keep it in a file as libpq reads it, for nobody else's eyes."""
    password = _given() or _kept(pgpass) or secrets.token_urlsafe(24)
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    fresh = pgpass.with_name(f"{pgpass.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"*:{port}:{DATABASE}:{LOGIN}:{escaped}\n")
    fresh.replace(pgpass)
    return password


def _given() -> str | None:
    place = os.environ.get(PASSWORD_FILE)
    if not place:
        return os.environ.get("PGPASSWORD")
    return read_secret(Path(place), f"the password, as ${PASSWORD_FILE} says,")


def _kept(pgpass: Path) -> str | None:
    try:
        line = pgpass.read_text(encoding="utf-8").rstrip("\n")
    except OSError:
        return None
    kept = re.split(r"(?<!\\):", line, maxsplit=4)[-1]
    return re.sub(r"\\(.)", r"\1", kept)
