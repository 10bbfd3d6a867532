from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from search.database.schema import (
    OPTUNA_VERSION,
    init_db,
    optuna_version,
    require_schema,
    schema_version,
)
from search.database.storage import IDLE_IN_TRANSACTION, Storage, open_storage
from search.errors import StudyError
from search.study import create_study, open_study


@pytest.fixture
def database(storage: Storage) -> str:
    """A fresh database on the same server, by URL; dropped never: the server goes at the end."""
    name = f"db{time.monotonic_ns()}"
    with storage.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(
            text(f"CREATE DATABASE {name}")
        )
    return storage.engine.url.set(database=name).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ("postgresql://me:secret@127.0.0.1:1/x", "Connection refused"),
        ("postgresql://me:secret@no-host.invalid/x", "translate host name"),
        ("postgresql:///x?host=/nonexistent&password=secret", "No such file"),
        ("sqlite:///secret", "expected a PostgreSQL URL"),
        ("secret", "expected --storage"),
        ("postgresql://me:sec@ret@127.0.0.1/x", "%40"),
        ("postgresql://me:secret@127.0.0.1:port/x", "expected --storage"),
    ],
)
def test_wrong_storage_is_one_sentence_without_password(where: str, says: str):
    with pytest.raises(StudyError, match=says) as caught:
        open_storage(where)
    told = str(caught.value)
    assert "\n" not in told
    assert "secret" not in told
    assert "ret@" not in told


def test_silent_server_is_given_up_after_a_while():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(StudyError, match="expected a PostgreSQL that answers"):
            open_storage(f"postgresql://me@127.0.0.1:{port}/x?connect_timeout=2")


def test_patient_opening_waits_for_a_restart(own_storage: Storage):
    url = own_storage.engine.url.render_as_string()
    own_storage.server.stop()
    with pytest.raises(StudyError):
        open_storage(url)
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(open_storage, url, patience_seconds=30.0)
        time.sleep(1.0)
        own_storage.server.start()
        require_schema(opened.result())
        opened.result().engine.dispose()


def test_password_shows_nowhere(storage: Storage):
    url = storage.engine.url.set(password="secret", username="ecgscale")
    opened = open_storage(url.render_as_string(hide_password=False))
    assert "secret" not in repr(opened)
    assert "secret" not in opened.label
    assert "secret" in opened.url
    opened.engine.dispose()


def test_password_from_a_file(storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    secret = tmp_path / "password"
    secret.write_text("secret\n")
    monkeypatch.setenv("ECGSCALE_PASSWORD_FILE", str(secret))
    opened = open_storage(storage.engine.url.render_as_string())
    assert opened.engine.url.password == "secret"
    opened.engine.dispose()
    monkeypatch.setenv("ECGSCALE_PASSWORD_FILE", str(tmp_path / "none"))
    with pytest.raises(StudyError, match="ECGSCALE_PASSWORD_FILE"):
        open_storage(storage.engine.url.render_as_string())


def test_default_storage_is_the_variable(storage: Storage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ECGSCALE_STORAGE", storage.label)
    opened = open_storage()
    assert opened.server == storage.server
    opened.engine.dispose()


def test_url_without_tables_asks_for_init_db(database: str, store):
    from conftest import define

    opened = open_storage(database)
    for act in (
        lambda: require_schema(opened),
        lambda: open_study("any", opened),
        lambda: create_study(define(), store, opened),
    ):
        with pytest.raises(StudyError, match="ecgscale init-db"):
            act()
    init_db(opened)
    assert create_study(define(), store, opened).planned == 6
    opened.engine.dispose()


def test_init_db_by_many_at_once(database: str):
    def make(_: int) -> None:
        opened = open_storage(database)
        init_db(opened)
        require_schema(opened)
        opened.engine.dispose()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make, range(8)))
    with create_engine(database).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ecgscale_schema")) == 1
        assert connection.scalar(text("SELECT count(*) FROM version_info")) == 1


def test_interrupted_init_db_is_completed(database: str, monkeypatch: pytest.MonkeyPatch):
    opened = open_storage(database)
    opened.optuna(create_tables=True)  # and then the power failed
    with pytest.raises(StudyError, match="init-db"):
        require_schema(opened)
    init_db(opened)
    require_schema(opened)
    opened.engine.dispose()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE ecgscale_schema SET version = 99", "version 99"),
        ("UPDATE alembic_version SET version_num = 'v9.1.0.a'", "v9.1.0.a"),
    ],
)
def test_tables_of_a_newer_version_are_refused_and_kept(database: str, change: str, words: str):
    opened = open_storage(database)
    init_db(opened)
    with opened.begin() as connection:
        connection.execute(text(change))
    for act in (require_schema, init_db):
        with pytest.raises(StudyError, match=rf"{words}.*newer ecgscale"):
            act(opened)
    with opened.connect() as connection:
        found = schema_version(connection), optuna_version(connection)
    assert words.removeprefix("version ") in map(str, found)
    opened.engine.dispose()


def tables(storage: Storage) -> list[tuple[object, ...]]:
    """Every column and index of the database, but not the order of columns."""
    with storage.connect() as connection:
        columns = connection.execute(
            text(
                "SELECT table_name, column_name, data_type, is_nullable, column_default "
                "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
            )
        ).all()
        indexes = connection.execute(
            text("SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'")
        ).all()
    return [*map(tuple, columns), *sorted(map(tuple, indexes))]


@pytest.mark.parametrize("version", [1, 2])
def test_every_published_version_is_upgraded(database: str, version: int):
    """The files hold what each version added, as it wrote it before there were migrations."""
    opened = open_storage(database)
    opened.optuna(create_tables=True)
    folder = Path(__file__).parent / "schemas"
    published = "".join((folder / f"v{n}.sql").read_text() for n in range(1, version + 1))
    with opened.begin() as connection:
        for statement in published.split(";\n"):
            if statement.strip():
                connection.execute(text(statement))
        connection.execute(
            text("INSERT INTO studies (study_name) VALUES ('kept')"),
        )
        connection.execute(
            text("INSERT INTO trials (study_id, number, state) VALUES (1, 0, 'FAIL')")
        )
        connection.execute(
            text(
                "INSERT INTO ecgscale_leases "
                "(trial_id, token, worker, host, device, claimed_at, heartbeat_at, errors) "
                "VALUES (1, 'token', 'w', 'h', 'cpu', now(), now(), 3)"
            )
        )
    with pytest.raises(StudyError, match=r"init-db.*upgrade"):
        require_schema(opened)
    for _ in range(2):
        init_db(opened)
        require_schema(opened)
    with opened.connect() as connection:
        kept = connection.execute(text("SELECT errors, faults, lease_seconds FROM ecgscale_leases"))
        assert kept.one() == (3, 0, 180.0)
    upgraded = tables(opened)
    with opened.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    init_db(opened)
    assert tables(opened) == upgraded, "upgraded or made anew, the tables are the same"
    opened.engine.dispose()


def test_optunas_version_is_the_installed_ones(database: str):
    opened = open_storage(database)
    assert opened.optuna(create_tables=True).get_head_version() == OPTUNA_VERSION
    opened.engine.dispose()


def test_patience_starts_a_dead_embedded_server(own_storage: Storage):
    own_storage.server.stop()

    def ask() -> int:
        with own_storage.engine.connect() as connection:
            return connection.scalar(text("SELECT 3"))

    with pytest.raises(OperationalError):
        ask()
    said: list[str] = []
    assert own_storage.patiently(ask, say=said.append) == 3
    assert len(said) == 1
    assert "waiting for it" in said[0]


def test_patience_has_an_end_and_no_mercy_for_mistakes(storage: Storage):
    lonely = Storage(create_engine("postgresql+psycopg2://me:secret@127.0.0.1:1/x"))

    def ask() -> None:
        with lonely.engine.connect():
            pass

    with pytest.raises(StudyError, match="Connection refused"):
        lonely.patiently(ask, seconds=0.5)

    def mistake() -> None:
        with storage.engine.connect() as connection:
            connection.execute(text("SELECT * FROM no_such_table"))

    with pytest.raises(ProgrammingError):
        storage.patiently(mistake)


def test_patience_at_the_start_is_told():
    said: list[str] = []
    with pytest.raises(StudyError, match="answers at"):
        open_storage(
            "postgresql://me:secret-word@127.0.0.1:1/x", patience_seconds=0.3, say=said.append
        )
    (told,) = said
    assert "waiting for it" in told
    assert "secret-word" not in told


def test_a_worker_takes_at_most_two_connections(storage: Storage):
    opened = open_storage(storage.label)
    pool = opened.engine.pool
    assert pool.size() + pool._max_overflow == 2
    opened.engine.dispose()
    assert os.environ.get("PGPASSWORD") is None


def test_a_silent_clients_locks_do_not_stay_for_ever(storage: Storage):
    with storage.connect() as connection:
        limit = connection.scalar(text("SHOW idle_in_transaction_session_timeout"))
    assert limit == IDLE_IN_TRANSACTION


@pytest.mark.parametrize("option", ["pgbouncer=true", "a=1&a=2", "sslmodus=require"])
def test_options_that_the_driver_does_not_know_are_named(option: str):
    with pytest.raises(StudyError, match="libpq"):
        open_storage(f"postgresql://u:secret-word@127.0.0.1:1/d?{option}")


def test_known_options_go_to_the_driver():
    with pytest.raises(StudyError, match="invalid sslmode value"):
        open_storage("postgresql://u@127.0.0.1:1/d?sslmode=maybe&application_name=x")


def test_a_database_that_does_not_hold_all_texts_is_refused(storage: Storage):
    engine = storage.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE narrow ENCODING 'SQL_ASCII' TEMPLATE template0"))
    url = storage.engine.url.set(database="narrow").render_as_string()
    narrow = open_storage(url)
    with pytest.raises(StudyError, match="UTF8, got SQL_ASCII"):
        init_db(narrow)
    narrow.engine.dispose()
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE narrow"))
