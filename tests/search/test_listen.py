"""The embedded database opened to other machines: asked over a real network address."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
from conftest import define
from processes import slow_trainer
from sqlalchemy import text

from search.database.embedded import EmbeddedServer
from search.database.listen import LOGIN, PGPASS, Address, close, listen
from search.database.storage import Storage, open_storage
from search.errors import StudyError
from search.reading.records import read_trials
from search.study import create_study
from search.worker import run_worker


@pytest.fixture
def own_storage(database: Storage) -> Iterator[Storage]:
    """A closed database, as a test may expect it; it is closed again afterwards."""
    yield database
    close(database.server)
    (database.server.folder / PGPASS).unlink(missing_ok=True)
    database.engine.dispose()


@pytest.fixture
def address() -> str:
    """An IPv4 address of this machine that other machines could use."""
    for found in psutil.net_if_addrs().values():
        for one in found:
            if one.family == socket.AF_INET and not one.address.startswith("127."):
                return str(one.address)
    pytest.skip("this machine has no address but the loopback's")


@pytest.fixture
def port() -> int:
    with socket.create_server(("", 0)) as free:
        return int(free.getsockname()[1])


def knock(address: str, port: int, **how) -> str:
    """Connect by TCP; return the refusal, or the name under which the server knows us."""
    given = {"user": LOGIN, "dbname": "postgres", "connect_timeout": 5, **how}
    try:
        connection = psycopg2.connect(host=address, port=port, **given)
    except psycopg2.OperationalError as error:
        return str(error)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user || ' ' || host(inet_server_addr())")
        (name,) = cursor.fetchone()
    connection.close()
    return name


def password_of(pgpass: Path) -> str:
    return pgpass.read_text().strip().rsplit(":", 1)[1]


def test_password_opens_and_nothing_else(own_storage: Storage, address: str, port: int):
    assert "refused" in knock(address, port)
    found = listen(own_storage, Address("*", port))
    assert found.pgpass.stat().st_mode & 0o777 == 0o600
    password = password_of(found.pgpass)
    assert password not in found.url
    assert len(password) >= 24
    assert knock(address, port, password=password) == f"{LOGIN} {address}"
    assert knock(address, port, passfile=str(found.pgpass)) == f"{LOGIN} {address}"
    assert "no password supplied" in knock(address, port, passfile="/nonexistent")
    assert "authentication failed" in knock(address, port, password="wrong")
    assert "pg_hba.conf" in knock(address, port, user="ecgscale", password=password)
    assert "authentication failed" in knock("127.0.0.1", port, password="wrong")


def test_worker_elsewhere_needs_the_url_and_the_file(
    own_storage: Storage, store, address: str, port: int, monkeypatch: pytest.MonkeyPatch
):
    study = create_study(define(), store, own_storage)
    found = listen(own_storage, Address(address, port))
    assert found.url == f"postgresql://{LOGIN}@{address}:{port}/postgres"
    with pytest.raises(StudyError, match="no password supplied"):
        open_storage(found.url)
    monkeypatch.setenv("PGPASSFILE", str(found.pgpass))
    far = open_storage(found.url)
    assert run_worker(study.name, far, store, "cpu", train=slow_trainer(0.01), say=print) == 0
    assert set(read_trials(study.name, own_storage)["state"]) == {"complete"}
    with pytest.raises(StudyError, match="permission denied"):
        create_study(define(), store, far)
    far.engine.dispose()


def test_opening_again_keeps_the_password_and_closing_closes(
    own_storage: Storage, address: str, port: int
):
    server = own_storage.server
    first = listen(own_storage, Address("*", port))
    password = password_of(first.pgpass)
    process = psutil.Process(server._postmaster().pid)
    assert password_of(listen(own_storage, Address("*", port)).pgpass) == password
    assert process.is_running(), "nothing changed: no restart"
    server.stop()
    server.start()
    assert knock(address, port, password=password) == f"{LOGIN} {address}"
    assert close(server)
    assert "refused" in knock(address, port, password=password)
    assert not close(server)
    with own_storage.connect() as connection:  # the engine's address is the same all the time
        assert connection.scalar(text("SELECT 1")) == 1


def test_engines_of_other_processes_keep_working(own_storage: Storage, address: str, port: int):
    other = open_storage(own_storage.label)
    with other.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
    before = own_storage.server.start()
    listen(own_storage, Address(address, port))
    assert own_storage.server.start() == before

    def ask() -> int:
        with other.connect() as connection:
            return connection.scalar(text("SELECT 2"))

    assert other.patiently(ask, seconds=20) == 2
    other.engine.dispose()


def test_given_password_is_taken(
    own_storage: Storage, address: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    odd = "o:d\\d 'pass\"word"
    monkeypatch.setenv("PGPASSWORD", odd)
    found = listen(own_storage, Address("*", port))
    monkeypatch.delenv("PGPASSWORD")
    assert knock(address, port, password=odd) == f"{LOGIN} {address}"
    assert knock(address, port, passfile=str(found.pgpass)) == f"{LOGIN} {address}"
    listen(own_storage, Address("*", port))
    assert knock(address, port, password=odd) == f"{LOGIN} {address}", "kept, colons and all"
    secret = tmp_path / "secret"
    secret.write_text("another\n")
    monkeypatch.setenv("ECGSCALE_PASSWORD_FILE", str(secret))
    listen(own_storage, Address("*", port))
    assert knock(address, port, password="another") == f"{LOGIN} {address}"
    assert "authentication failed" in knock(address, port, password=odd)


def test_taken_port_changes_nothing(own_storage: Storage):
    with socket.create_server(("", 0)) as taken:
        with pytest.raises(StudyError, match="free address"):
            listen(own_storage, Address("*", taken.getsockname()[1]))
        assert own_storage.server.listens() is None
        assert own_storage.server.running()
        with own_storage.connect() as connection:
            assert connection.scalar(text("SELECT 1")) == 1


def test_port_taken_later_is_told_with_the_way_out(folder: Path, address: str, port: int):
    opened = open_storage(f"embedded:{folder}")
    listen(opened, Address(address, port))
    opened.engine.dispose()
    opened.server.stop()
    with socket.create_server((address, port)), pytest.raises(StudyError, match="--listen off"):
        opened.server.start(seconds=1.0)
    server = EmbeddedServer(folder)
    assert close(server)
    server.start()
    assert server.running()


def test_only_the_embedded_database_is_opened(storage: Storage):
    by_url = open_storage(storage.engine.url.render_as_string())
    with pytest.raises(StudyError, match="embedded"):
        listen(by_url, Address("*", 5432))
    by_url.engine.dispose()


@pytest.mark.parametrize(
    ("text_", "host", "port"),
    [("*", "*", 5432), ("node-1.lan:5433", "node-1.lan", 5433), ("[::]:99", "::", 99)],
)
def test_addresses(text_: str, host: str, port: int):
    assert Address.parse(text_) == Address(host, port)


@pytest.mark.parametrize("text_", ["", "a b", "host:", "host:0", "host:70000", "::1", "'", "$(x)"])
def test_odd_addresses_are_refused(text_: str):
    with pytest.raises(StudyError, match="HOST:PORT"):
        Address.parse(text_)
