"""The database's password on its way to workers: in a file, never in environment or argv."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from search.database.storage import (
    EMBEDDED,
    PASSWORD_FILE,
    VARIABLE,
    Storage,
    is_embedded,
    without_password,
)
from search.errors import StudyError

PLAIN_PASSWORD = "PGPASSWORD"


@contextmanager
def worker_environment(storage: Storage) -> Iterator[dict[str, str]]:
    """Return this process's environment as workers of this machine get it.

    The password lies in a file that only this user reads, as long as the context lasts.
    """
    environment = {key: value for key, value in os.environ.items() if key != PLAIN_PASSWORD}
    if storage.server is not None:
        yield environment | {VARIABLE: storage.label}
        return
    url = storage.engine.url
    environment[VARIABLE] = without_password(url).render_as_string()
    password = url.password or os.environ.get(PLAIN_PASSWORD)
    if password is None:
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="ecgscale-") as folder:  # of mode 700
        file = Path(folder) / "password"
        file.touch(mode=0o600)
        file.write_text(f"{password}\n", encoding="utf-8")
        yield environment | {PASSWORD_FILE: str(file)}


def require_password_file(where: str | None, *, seen: str, disk: str = "the shared disk") -> None:
    """Refuse a password in the command line or the environment of a worker; `seen` says why."""
    where = where or os.environ.get(VARIABLE) or EMBEDDED
    if is_embedded(where):
        return
    try:
        in_url = make_url(where).password is not None
    except (ArgumentError, ValueError):  # told by whoever opens it
        in_url = False
    if in_url or PLAIN_PASSWORD in os.environ:
        place = "the URL of the storage" if in_url else f"${PLAIN_PASSWORD}"
        raise StudyError(
            f"expected no password in {place}, {seen}: put it into a file on {disk} "
            f"(chmod 600), and that file's path into ${PASSWORD_FILE}"
        )
