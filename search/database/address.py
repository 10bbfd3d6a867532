"""The address of a database as other programs want it, without its password."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from urllib.parse import urlencode

from search.database.listen import EVERYWHERE, LOGIN, PGPASS
from search.database.storage import Storage, without_password


@dataclass(frozen=True, slots=True)
class Address:
    """How programs reach a database.

    psql: a URL of libpq, for psql, psycopg and R. sqlalchemy: for SQLAlchemy and pandas. host,
    port, database and user are fields of forms, as in Grafana; host and jdbc, for DBeaver, are
    None where only a socket of this machine is there. password says where the password is.
    """

    psql: str
    sqlalchemy: str
    jdbc: str | None
    host: str | None
    port: int
    database: str
    user: str
    password: str


def address_of(storage: Storage) -> Address:
    """Describe how a storage is reached from outside of ecgscale."""
    url = without_password(storage.engine.url)
    server = storage.server
    if server is None:
        host, port, user = url.host, url.port or 5432, url.username or ""
        password = "the one that you have; put it into ~/.pgpass, or into $PGPASSWORD"
    elif (listens := server.listens()) is not None:
        host, port, user = listens[0], listens[1], LOGIN
        host = platform.node() if host in EVERYWHERE else host
        password = f"in {server.folder / PGPASS}: set PGPASSFILE to it; by the socket none"
    else:
        host, port, user = None, 5432, url.username or ""
        password = "none: the socket knows who you are"
    options = dict(url.query) if server is None else {}
    jdbc = f"jdbc:postgresql://{host}:{port}/{url.database}?user={user}" if host else None
    if jdbc and "sslmode" in options:
        jdbc += "&" + urlencode({"sslmode": options["sslmode"]})
    return Address(
        psql=url.set(drivername="postgresql").render_as_string(),
        sqlalchemy=url.set(drivername="postgresql+psycopg2").render_as_string(),
        jdbc=jdbc,
        host=host,
        port=port,
        database=url.database or "",
        user=user,
        password=password,
    )
