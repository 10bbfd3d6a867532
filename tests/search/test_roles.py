from __future__ import annotations

import optuna
import pytest
from conftest import define
from processes import slow_trainer
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from search.database.roles import grant_access
from search.database.storage import Storage, open_storage
from search.errors import StudyError
from search.reading.records import read_trials
from search.reading.status import read_status
from search.study import Study, create_study
from search.worker import run_worker

PASSWORD = "pass'word \"%"
WRITES = (
    "UPDATE studies SET study_name = 'mine'",
    "DELETE FROM trials",
    "INSERT INTO trials (number, study_id, state) VALUES (99, 1, 'WAITING')",
    "UPDATE study_user_attributes SET value_json = '1'",
    "UPDATE trial_params SET param_value = 0",
    "UPDATE trial_values SET value = 1",
    "CREATE TABLE mine (x int)",
    "DROP VIEW ecgscale_trials",
)


@pytest.fixture
def study(own_storage: Storage, store) -> Study:
    """A study on a server that asks for passwords."""
    server = own_storage.server
    hba = server.data / "pg_hba.conf"
    hba.write_text("local all crew,guest scram-sha-256\n" + hba.read_text())
    with own_storage.begin() as connection:
        connection.execute(text("SELECT pg_reload_conf()"))
    study = create_study(define(), store, own_storage)
    grant_access(own_storage, "crew", "worker", password=PASSWORD)
    grant_access(own_storage, "guest", "reader", password=PASSWORD)
    return study


def opened(study: Study, login: str, password: str = PASSWORD) -> Storage:
    url = study.storage.engine.url.set(username=login, password=password)
    return open_storage(url.render_as_string(hide_password=False))


def refuses(storage: Storage, statement: str) -> bool:
    with storage.engine.connect() as connection:
        try:
            connection.execute(text(statement))
        except ProgrammingError as error:
            return "permission denied" in str(error) or "must be owner" in str(error)
        return False


def test_worker_works_and_does_nothing_else(study: Study, store):
    crew = opened(study, "crew")
    code = run_worker(study.name, crew, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    assert code == 0
    assert set(read_trials(study.name, crew)["state"]) == {"complete"}
    assert [write for write in WRITES if not refuses(crew, write)] == []
    with pytest.raises(StudyError, match="permission denied"):
        create_study(define(), store, crew)
    crew.engine.dispose()


def test_reader_reads_and_writes_nothing(study: Study, store):
    guest = opened(study, "guest")
    assert read_status(study.name, guest).waiting == 6
    loaded = optuna.load_study(study_name=study.name, storage=guest.optuna())
    assert len(loaded.trials) == 6
    assert [write for write in WRITES if not refuses(guest, write)] == []
    assert refuses(guest, "UPDATE trials SET state = 'FAIL'")
    with pytest.raises(StudyError, match="permission denied"):
        run_worker(study.name, guest, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    # A view that a later study makes anew can be read as well.
    create_study(define(), store, study.storage)
    with guest.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ecgscale_trials")) == 12
    guest.engine.dispose()


def test_a_worker_can_be_made_a_reader_and_passwords_change(study: Study):
    grant_access(study.storage, "crew", "reader", password="new")
    with pytest.raises(StudyError) as caught:
        opened(study, "crew")
    assert PASSWORD not in str(caught.value)
    crew = opened(study, "crew", "new")
    assert refuses(crew, "UPDATE trials SET state = 'FAIL'")
    crew.engine.dispose()
    grant_access(study.storage, "crew", "reader", password=None)
    opened(study, "crew", "new").engine.dispose()


def test_password_reaches_the_server_hashed(study: Study):
    with study.storage.connect() as connection:
        kept = connection.scalar(text("SELECT rolpassword FROM pg_authid WHERE rolname = 'crew'"))
    assert kept.startswith("SCRAM-SHA-256$")


@pytest.mark.parametrize("login", ["", "a b", 'a"; DROP TABLE trials; --', "x" * 64, "Öl"])
def test_odd_logins_are_refused(storage: Storage, login: str):
    with pytest.raises(StudyError, match="expected a login"):
        grant_access(storage, login, "reader", password=None)


def test_superuser_is_not_touched(storage: Storage):
    with pytest.raises(StudyError, match="superuser"):
        grant_access(storage, "ecgscale", "reader", password=None)
    with pytest.raises(StudyError, match="worker or reader"):
        grant_access(storage, "someone", "owner", password=None)  # type: ignore[arg-type]
