"""Serve optuna-dashboard for the studies of one database, with notes on studies and trials."""

from __future__ import annotations

import ipaddress
import socketserver
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from ecgscale.dashboard_guard import Guard
from search.errors import StudyError

if TYPE_CHECKING:
    from search.database.storage import Storage


class _ThreadingServer(socketserver.ThreadingMixIn, WSGIServer):
    """Answer requests side by side: one slow study must not block the page."""

    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal for what the user asked; the page polls every few seconds."""


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def make_dashboard(
    storage: Storage,
    host: str,
    port: int,
    *,
    hosts: Sequence[str] = (),
    password: str | None = None,
) -> WSGIServer:
    """Bind optuna-dashboard, guarded, to an address without serving yet; port 0 picks a free one.

    Raises:
        StudyError: the address cannot be bound.
    """
    from optuna_dashboard import wsgi

    inner = wsgi(storage.optuna())
    guard = Guard(inner, storage, hosts=hosts, password=password)
    try:
        return make_server(
            host, port, guard, server_class=_ThreadingServer, handler_class=_QuietHandler
        )
    except OSError as error:
        raise StudyError(
            f"The dashboard expected a free address, but {host}:{port} cannot be used "
            f"({error.strerror or error}); choose another one with --port or --host."
        ) from None


def complete_notes(storage: Storage) -> tuple[list[str], dict[str, str]]:
    """Write the notes that studies of an older ecgscale lack.

    A login that may only read leaves them without. Returns the names of the studies that got
    theirs, and those that cannot be read, each with the reason; they are skipped.
    """
    from search.reading.notes import add_study_note, add_trial_notes, has_trial_notes, study_note
    from search.study import readable_studies
    from search.trials.stored import planned_trials

    noted: list[str] = []
    studies, unreadable = readable_studies(storage)
    for study in studies:
        try:
            with storage.begin() as connection:
                if has_trial_notes(connection, study.study_id):
                    continue
                add_study_note(connection, study.study_id, study_note(study.definition, study.data))
                trials = planned_trials(connection, study.study_id)
                add_trial_notes(connection, study.study_id, trials, study.shape)
        except StudyError:
            break
        noted.append(study.name)
    return noted, unreadable
