"""Logins of a shared server that may do what they need and no more: workers and readers."""

from __future__ import annotations

import re
from typing import Literal, cast, get_args

from psycopg2.extensions import connection as PsycopgConnection
from psycopg2.extensions import encrypt_password
from sqlalchemy import Connection, text

from search.database.schema import ADVISORY_LOCK, require_schema
from search.database.storage import Storage
from search.errors import StudyError

Access = Literal["worker", "reader"]
LOGIN = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# A worker changes trials that are planned; it neither plans, deletes, nor touches definitions.
WORKER_GRANTS = {
    "trials": "UPDATE",
    "trial_values": "INSERT",
    "trial_intermediate_values": "INSERT, UPDATE, DELETE",
    "trial_user_attributes": "INSERT, UPDATE",
    "study_user_attributes": "INSERT",  # the precision, which the first worker settles
    "ecgscale_leases": "INSERT, UPDATE",
    "ecgscale_class_scores": "INSERT",
    "ecgscale_test_records": "INSERT",
    "ecgscale_test_outputs": "INSERT",
}
SERIALS = {
    "trial_values": "trial_value_id",
    "trial_intermediate_values": "trial_intermediate_value_id",
    "trial_user_attributes": "trial_user_attribute_id",
    "study_user_attributes": "study_user_attribute_id",
}


def grant_access(storage: Storage, login: str, access: Access, *, password: str | None) -> None:
    """Make a login, or change its password, and let it work or read; needs the owner's rights.

    A reader (dashboard, analysis, BI tools) reads everything and writes nothing. The password
    leaves this process hashed; None keeps the one there is, or leaves the login without.
    """
    if access not in get_args(Access):
        raise StudyError(f"expected worker or reader, got {access!r}")
    if not LOGIN.fullmatch(login) or login.startswith("pg_"):  # roles of PostgreSQL's own
        raise StudyError(
            "expected a login of at most 63 small letters, digits and '_', not pg_…, got "
            f"{login[:80]!r}: choose another"
        )
    require_schema(storage)
    with storage.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        known = text("SELECT rolsuper FROM pg_roles WHERE rolname = :login")
        found = connection.scalar(known, {"login": login})
        if found:
            raise StudyError(f"expected a login without superuser rights, got {login}")
        if found is None:
            connection.exec_driver_sql(f'CREATE ROLE "{login}" LOGIN')
        if password is not None:
            connection.exec_driver_sql(
                f"ALTER ROLE \"{login}\" PASSWORD '{_hashed(connection, login, password)}'"
            )
        _grant(connection, login, access)


def _grant(connection: Connection, login: str, access: Access) -> None:
    database = connection.scalar(text("SELECT current_database()"))
    schema = connection.scalar(text("SELECT current_schema()"))
    run = connection.exec_driver_sql
    run(f'REVOKE ALL ON ALL TABLES IN SCHEMA "{schema}" FROM "{login}"')
    run(f'REVOKE ALL ON ALL SEQUENCES IN SCHEMA "{schema}" FROM "{login}"')
    run(f'GRANT CONNECT ON DATABASE "{database}" TO "{login}"')
    run(f'GRANT USAGE ON SCHEMA "{schema}" TO "{login}"')
    run(f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO "{login}"')
    # The view is made anew with every study; so are its rights.
    run(f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT SELECT ON TABLES TO "{login}"')
    if access == "worker":
        for table, rights in WORKER_GRANTS.items():
            run(f'GRANT {rights} ON {table} TO "{login}"')
        for table, column in SERIALS.items():
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(:t, :c)"), {"t": table, "c": column}
            )
            run(f'GRANT USAGE ON SEQUENCE {sequence} TO "{login}"')


def _hashed(connection: Connection, login: str, password: str) -> str:
    """Hash a password here, so that it is in no log of the server."""
    raw = cast(PsycopgConnection, connection.connection.driver_connection)
    return str(encrypt_password(password, login, scope=raw, algorithm="scram-sha-256"))
