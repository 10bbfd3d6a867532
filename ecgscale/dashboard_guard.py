"""What stands before optuna-dashboard: whom it answers, and how our studies are renamed."""

from __future__ import annotations

import base64
import hmac
import io
import ipaddress
import json
import platform
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import text

from search.errors import StudyError
from search.prometheus import study_metrics

if TYPE_CHECKING:
    from search.database.storage import Storage

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
RENAME = re.compile(r"/api/studies/(\d+)/rename/?")
STUDY = re.compile(r"/api/studies/(\d+)/?")
READS = ("GET", "HEAD", "OPTIONS")
LONGEST_BODY = 10_000_000


class Guard:
    """A WSGI application around the dashboard's.

    It answers requests for known hosts only, so that no page of the web reaches it by a name of its
    own that resolves to this machine (DNS rebinding); writes only from its own pages (Origin); and
    asks for the password, if there is one. Known are this machine's names, addresses in digits,
    which no such page can have, and `hosts`, such as the name of a proxy before it.
    """

    def __init__(
        self,
        inner: Application,
        storage: Storage,
        *,
        hosts: Iterable[str] = (),
        password: str | None = None,
    ) -> None:
        self._inner, self._storage, self._password = inner, storage, password
        self._metrics = study_metrics(storage)
        self._trusted = {host.lower() for host in hosts}
        self._hosts = {"localhost", platform.node().lower()} | self._trusted

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        host = environ.get("HTTP_HOST", "")
        if not self._known(host):
            return _answer(
                start_response,
                "403 Forbidden",
                f"The dashboard does not answer for {host!r}: give --allow-host to let it.",
            )
        if method not in READS and not self._own_page(environ, host):
            return _answer(start_response, "403 Forbidden", "Another site's page may not write.")
        if path == "/healthz":
            return self._health(start_response)
        if self._password is not None and not self._knows_password(environ):
            asks = ("WWW-Authenticate", 'Basic realm="ecgscale", charset="UTF-8"')
            return _answer(start_response, "401 Unauthorized", "A password is needed.", asks)
        if path == "/metrics":
            return self._metrics(environ, start_response)
        for pattern, wanted, act in (
            (RENAME, "POST", self._rename),
            (STUDY, "DELETE", self._delete),
        ):
            match = pattern.fullmatch(path)
            if match and method == wanted and (name := self._ours(int(match[1]))) is not None:
                return act(name, int(match[1]), environ, start_response)
        return self._inner(environ, start_response)

    def _known(self, host: str) -> bool:
        name = _host_name(host)
        return name in self._hosts or _is_address(name)

    def _own_page(self, environ: dict[str, Any], host: str) -> bool:
        """Say whether a write comes from a page of ours, or from no browser at all."""
        origin = environ.get("HTTP_ORIGIN")
        if origin is None:
            return environ.get("HTTP_SEC_FETCH_SITE") in (None, "same-origin", "none")
        page = origin.partition("://")[2].lower()
        return page == host.lower() or _host_name(page) in self._trusted

    def _knows_password(self, environ: dict[str, Any]) -> bool:
        assert self._password is not None
        kind, _, encoded = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        try:
            given = base64.b64decode(encoded, validate=True).partition(b":")[2]
        except ValueError:
            return False
        return kind.lower() == "basic" and hmac.compare_digest(given, self._password.encode())

    def _health(self, start_response: Any) -> Iterable[bytes]:
        try:
            with self._storage.connect() as connection:
                connection.execute(text("SELECT 1"))
        except StudyError:
            return _answer(start_response, "503 Service Unavailable", "The database is away.")
        return _answer(start_response, "200 OK", "ok")

    def _ours(self, study_id: int) -> str | None:
        """Return the name of a study of ours; others are the dashboard's own business."""
        statement = text(
            "SELECT study_name FROM studies JOIN study_user_attributes a USING (study_id) "
            "WHERE study_id = :study AND a.key = 'uid'"
        )
        with self._storage.connect() as connection:
            name: str | None = connection.scalar(statement, {"study": study_id})
        return name

    def _rename(
        self, name: str, study_id: int, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """Rename in place: the dashboard would copy what Optuna knows, and delete the study."""
        from optuna_dashboard._serializer import serialize_frozen_study
        from optuna_dashboard._storage import get_study

        from search.manage import rename_study

        try:
            length = min(int(environ.get("CONTENT_LENGTH") or 0), LONGEST_BODY)
            new = json.loads(environ["wsgi.input"].read(length))["study_name"]
            if not isinstance(new, str):
                raise TypeError(f"expected a text as study_name, got {new!r}")
            rename_study(name, new, self._storage)
        except (ValueError, TypeError, LookupError) as error:  # StudyError, too
            return _answer_json(start_response, "400 Bad Request", {"reason": str(error)})
        study = get_study(self._storage.optuna(), study_id)
        assert study is not None
        return _answer_json(start_response, "201 Created", serialize_frozen_study(study))

    def _delete(
        self, name: str, study_id: int, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        """Delete at once: Optuna would read and delete trial by trial."""
        from search.manage import delete_study

        try:
            delete_study(name, self._storage)
        except StudyError as error:
            return _answer_json(start_response, "403 Forbidden", {"reason": str(error)})
        return _answer_json(start_response, "204 No Content", None)


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _answer(
    start_response: Any,
    status: str,
    words: str,
    *headers: tuple[str, str],
    kind: str = "text/plain",
) -> Iterable[bytes]:
    content = words.encode()
    length = ("Content-Length", str(len(content)))
    start_response(status, [("Content-Type", f"{kind}; charset=utf-8"), length, *headers])
    return io.BytesIO(content)


def _answer_json(start_response: Any, status: str, value: Any) -> Iterable[bytes]:
    words = "" if value is None else json.dumps(value)
    return _answer(start_response, status, words, kind="application/json")
