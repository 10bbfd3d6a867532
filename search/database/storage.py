"""Where studies live: a PostgreSQL by URL, or the embedded one of this machine."""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs
from psycopg2 import ProgrammingError
from psycopg2.extensions import make_dsn
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from search.database.embedded import EmbeddedServer
from search.database.schema import init_db
from search.errors import NotYet, StudyError
from search.secret_file import read_secret

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

VARIABLE = "ECGSCALE_STORAGE"
EMBEDDED = "embedded"
PASSWORD_FILE = "ECGSCALE_PASSWORD_FILE"
# A worker holds one connection, two for a moment: hundreds of workers share one server.
POOL = {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}
CONNECT = {
    "application_name": "ecgscale",
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}

# Longer than anything we compute within a transaction.
IDLE_IN_TRANSACTION = "10min"

Result = TypeVar("Result")


class Unreachable(NotYet):
    """The database does not answer now; it may later."""


@dataclass(frozen=True, slots=True)
class Storage:
    """An opened database; its password never shows."""

    engine: Engine = field(repr=False)
    server: EmbeddedServer | None = None

    @property
    def label(self) -> str:
        """Name for messages, without the password."""
        if self.server is not None:
            return f"embedded:{self.server.folder}"
        return self.engine.url.set(drivername="postgresql", query={}).render_as_string(
            hide_password=True
        )

    @property
    def url(self) -> str:
        """Full SQLAlchemy URL, password included: for other programs, never for a message."""
        return self.engine.url.render_as_string(hide_password=False)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open a connection; an unreachable database is a StudyError."""
        try:
            with self.engine.connect() as connection:
                yield connection
        except DBAPIError as error:
            if not is_outage(error) and not _is_forbidden(error):
                raise
            raise self._refused(error) from None

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a connection with a transaction that commits at the end."""
        with self.connect() as connection, connection.begin():
            yield connection

    def patiently(
        self,
        action: Callable[[], Result],
        *,
        stop: threading.Event | None = None,
        say: Callable[[str], None] | None = None,
        seconds: float = float("inf"),
    ) -> Result:
        """Repeat an action until the database answers; an embedded server is started again.

        Gives up with a StudyError after `seconds`, or `seconds` counted from `stop`.
        """
        wait, deadline = 0.2, time.monotonic() + seconds
        while True:
            try:
                return action()
            except (DBAPIError, Unreachable) as error:
                if isinstance(error, DBAPIError):
                    if not is_outage(error) and not _is_forbidden(error):
                        raise
                    refused, reason = self._refused(error), first_line(error)
                else:
                    refused, reason = error, str(error)
                over = time.monotonic() > deadline or (stop is not None and stop.is_set())
                if over or not isinstance(refused, Unreachable):
                    raise refused from None
                if wait == 0.2 and say:
                    say(f"the database is away ({reason}); waiting for it")
            self.revive()
            pause = wait * random.uniform(0.5, 1.0)
            if stop is not None:
                stop.wait(pause)
            else:
                time.sleep(pause)
            wait = min(2 * wait, 10.0)

    def revive(self) -> None:
        """Start the embedded server if it died; a server by URL is another's business."""
        if self.server is not None:
            try:
                self.server.start()
            except StudyError:
                return

    def optuna(self, *, create_tables: bool = False) -> RDBStorage:
        """Open Optuna's view of the same database; its tables are made or upgraded on request."""
        from optuna.storages import RDBStorage

        try:
            opened = RDBStorage(
                self.url,
                engine_kwargs={**POOL, "connect_args": _connect_args(self.engine.url)},
                skip_table_creation=not create_tables,
                skip_compatibility_check=create_tables,
            )
            if create_tables and opened.get_current_version() != opened.get_head_version():
                logging.disable(logging.INFO)  # its migrations turn their own log on
                opened.upgrade()
                logging.disable(logging.NOTSET)
            return opened
        except RuntimeError as error:
            raise StudyError(f"Optuna does not read the tables in {self.label}: {error}") from None
        except OperationalError as error:
            raise self._refused(error) from None

    def _refused(self, error: DBAPIError) -> StudyError:
        if _is_forbidden(error):
            return StudyError(
                f"expected a login that may do this in {self.label}, got: {first_line(error)}; "
                "use the owner's login, or ask the owner for the right"
            )
        return Unreachable(
            f"expected a PostgreSQL that answers at {self.label}, got: {first_line(error)}; "
            "check the address in --storage and that the server runs"
        )


def open_storage(
    where: str | None = None,
    *,
    patience_seconds: float = 0.0,
    say: Callable[[str], None] | None = None,
) -> Storage:
    """Open a database by URL, "embedded" or "embedded:DIR"; by default $ECGSCALE_STORAGE.

    It may take `patience_seconds` to answer: it may be about to restart. `say` is told of a wait.
    """
    where = chosen_storage(where)
    if is_embedded(where):
        server = embedded_server(where)
        storage = Storage(_engine(server.start()), server)
        storage.patiently(lambda: init_db(storage), seconds=patience_seconds, say=say)
        return storage
    storage = Storage(_engine(_parse(where)))
    storage.patiently(storage.engine.connect, seconds=patience_seconds, say=say).close()
    return storage


def when_there(
    action: Callable[[], Result], seconds: float, say: Callable[[str], None] | None = None
) -> Result:
    """Repeat an action until others have made what it needs: database, tables, study.

    Raises what it raises after `seconds`.
    """
    deadline, told = time.monotonic() + seconds, False
    while True:
        try:
            return action()
        except NotYet as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            if say and not told:
                say(f"{error}; waiting for it, at most {seconds:g} s")
                told = True
            time.sleep(min(left, random.uniform(1.0, 3.0)))


def without_password(url: URL) -> URL:
    """Return a URL as it may be shown; `URL.set` cannot take a password away."""
    return URL.create(
        url.drivername, url.username, None, url.host, url.port, url.database, url.query
    )


def chosen_storage(where: str | None) -> str:
    """Return what was asked for, else $ECGSCALE_STORAGE, else the embedded database.

    An empty option is refused: a variable that was forgotten must not mean another database.
    """
    chosen = (os.environ.get(VARIABLE) or EMBEDDED) if where is None else where
    if chosen in ("", f"{EMBEDDED}:"):
        raise StudyError(
            "expected --storage as postgresql://USER@HOST/DATABASE, 'embedded' or "
            f"'embedded:DIR', got {chosen!r}: leave it out, or complete it"
        )
    return chosen


def is_embedded(where: str) -> bool:
    """Tell "embedded" and "embedded:DIR" from a URL."""
    return where == EMBEDDED or where.startswith(f"{EMBEDDED}:")


def embedded_server(where: str | None = None) -> EmbeddedServer:
    """Return the embedded server that `where` means, running or not."""
    where = chosen_storage(where)
    if not is_embedded(where):
        raise StudyError(
            f"expected the embedded database ('{EMBEDDED}' or '{EMBEDDED}:DIR'), got a server by "
            "URL: whoever runs that server starts and stops it"
        )
    folder = where.partition(":")[2] or platformdirs.user_data_dir("ecgscale", appauthor=False)
    return EmbeddedServer(Path(folder).expanduser().absolute())


def is_outage(error: DBAPIError) -> bool:
    """Tell a database that is away, restarting or full from a mistake of ours."""
    read_only = getattr(error.orig, "pgcode", None) == "25006"  # failed over to a standby
    return isinstance(error, OperationalError | InterfaceError) or (
        error.connection_invalidated or read_only
    )


def _is_forbidden(error: DBAPIError) -> bool:
    return getattr(error.orig, "pgcode", None) == "42501"


def first_line(error: DBAPIError) -> str:
    """Return the driver's own words in one line."""
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return lines[0] if lines else type(error.orig).__name__


def _parse(where: str) -> URL:
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        # Not quoted: it may hold a password.
        raise StudyError(
            "expected --storage as postgresql://USER@HOST/DATABASE, 'embedded' or "
            "'embedded:DIR', got something else"
        ) from None
    dialect = url.drivername.partition("+")[0]
    if dialect not in ("postgresql", "postgres"):
        raise StudyError(
            f"expected a PostgreSQL URL in --storage, got one of {dialect}: give "
            "postgresql://USER@HOST/DATABASE, 'embedded' or 'embedded:DIR'"
        )
    if "@" in (url.host or ""):
        raise StudyError(
            "expected one '@' in the URL of --storage, got more: "
            "write an '@' in the password as %40"
        )
    _require_known_options(url)
    url = url.set(drivername="postgresql+psycopg2")
    secret = os.environ.get(PASSWORD_FILE)
    if url.password is None and secret:
        what = f"the database's password, as ${PASSWORD_FILE} says,"
        url = url.set(password=read_secret(Path(secret), what))
    return url


def _require_known_options(url: URL) -> None:
    for key in url.query:
        try:
            make_dsn(**{key: "0"})
        except (ProgrammingError, TypeError):  # libpq knows none of the name
            raise StudyError(
                f"expected options that PostgreSQL's libpq has in the URL of --storage, such as "
                f"sslmode, got {key!r}: remove it"
            ) from None


def _engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args=_connect_args(url), **POOL)
    event.listen(engine, "connect", _limit_idle_transactions)
    return engine


def _limit_idle_transactions(connection: Any, _: Any) -> None:
    """Let go of the rows that a client locked and then went silent, suspended for instance.

    Nobody could take over its trial before. Set by a statement: poolers refuse start-up options.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_IN_TRANSACTION}'")
    connection.commit()


def _connect_args(url: URL) -> dict[str, str]:
    return {key: value for key, value in CONNECT.items() if key not in url.query}
