"""Download of open ECG data sets from PhysioNet: resumed, verified, over several connections."""

from __future__ import annotations

import hashlib
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from data_pipeline.errors import DataError

CHALLENGE_2021_URL = "https://physionet.org/files/challenge-2021/1.0.3/"
PTB_XL_URL = "https://physionet.org/files/ptb-xl/1.0.3/"
SUMS = "SHA256SUMS.txt"
_CONNECT_S, _READ_S = 5.0, 30.0
_ATTEMPTS = 8
_CHUNK = 1 << 16
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Download:
    """What a download did: files in all, those fetched now, and bytes that came over the wire."""

    files: int
    fetched: int
    received_bytes: int


class _NotThere(Exception):
    """The server answers that it does not have the file; asking again is of no use."""


def download_challenge(
    out: Path,
    *,
    records: int | None = None,
    base_url: str = CHALLENGE_2021_URL,
    connections: int = 8,
    progress: Progress | None = None,
) -> Download:
    """Download the records of the PhysioNet/CinC Challenge 2021, or `records` of them.

    A part is drawn evenly from all databases and from all over each of them.
    """
    return _download(out, base_url, records, connections, progress, _challenge_records)


def download_ptb_xl(
    out: Path,
    *,
    records: int | None = None,
    base_url: str = PTB_XL_URL,
    connections: int = 8,
    progress: Progress | None = None,
) -> Download:
    """Download PTB-XL with its tables; its records at 500 Hz, or `records` of them."""
    return _download(out, base_url, records, connections, progress, _ptb_xl_records)


def _challenge_records(names: list[str]) -> tuple[list[str], dict[str, list[list[str]]]]:
    """Return files that are always wanted, and by database the files of every record."""
    kept = [n for n in names if n.startswith("training/") and n.endswith((".hea", ".mat"))]
    return [], _by_database(kept, lambda path: path.parts[1])


def _ptb_xl_records(names: list[str]) -> tuple[list[str], dict[str, list[list[str]]]]:
    tables = [n for n in names if n in {"ptbxl_database.csv", "scp_statements.csv"}]
    kept = [n for n in names if n.startswith("records500/")]
    return tables, _by_database(kept, lambda path: path.parts[0])


def _by_database(
    names: list[str], database: Callable[[PurePosixPath], str]
) -> dict[str, list[list[str]]]:
    records: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name in sorted(names):
        path = PurePosixPath(name)
        records[database(path)][str(path.with_suffix(""))].append(name)
    return {key: list(files.values()) for key, files in sorted(records.items())}


def _evenly(databases: dict[str, list[list[str]]], count: int) -> list[list[str]]:
    """Take turns among the databases; within one, take records at equal distances."""
    shares = dict.fromkeys(databases, 0)
    left = min(count, sum(len(files) for files in databases.values()))
    while left:
        for name, files in databases.items():
            if left and shares[name] < len(files):
                shares[name] += 1
                left -= 1
    chosen = []
    for name, files in databases.items():
        chosen += [files[i * len(files) // shares[name]] for i in range(shares[name])]
    return chosen


def _download(
    out: Path,
    base_url: str,
    records: int | None,
    connections: int,
    progress: Progress | None,
    select: Callable[[list[str]], tuple[list[str], dict[str, list[list[str]]]]],
) -> Download:
    if (records is not None and records < 1) or connections < 1:
        raise DataError(
            f"Expected at least one record and one connection, but got {records} and {connections}."
        )
    out, base_url = Path(out), base_url.rstrip("/") + "/"
    client = _Client(base_url)
    sums = _read_sums(client, base_url)
    tables, databases = select(sorted(sums))
    everything = sum(len(files) for files in databases.values())
    chosen = _evenly(databases, everything if records is None else records)
    wanted = tables + [name for files in chosen for name in files]
    if not wanted:
        raise DataError(f"Expected records listed in {base_url}{SUMS}, but found none.")
    fetched = done = 0
    try:
        out.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(connections) as pool:
            futures = [pool.submit(_fetch, client, name, out / name, sums[name]) for name in wanted]
            try:
                for future in as_completed(futures):
                    fetched += future.result()
                    done += 1
                    if progress is not None:
                        progress(done, len(wanted))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except OSError as error:
        raise DataError(f"Expected to write to {out}, but that failed: {error}.") from error
    return Download(len(wanted), fetched, client.received)


def _read_sums(client: _Client, base_url: str) -> Mapping[str, str]:
    """Fetch the list of files with their SHA-256; fail at once where there is no network."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            listing = Path(scratch) / SUMS
            _complete(client, SUMS, listing, patient=False)
            text = listing.read_text("utf-8", errors="replace")
    except requests.ConnectionError as error:
        raise DataError(
            f"Expected an answer from {base_url}, but there is none; check the network, "
            "or use records that you have."
        ) from error
    except (requests.RequestException, _NotThere) as error:
        raise DataError(
            f"Expected a list of files at {base_url}{SUMS}, but got: {error}."
        ) from error
    sums = {}
    for line in text.splitlines():
        digest, _, name = line.strip().partition(" ")
        name = name.strip().removeprefix("*")
        path = PurePosixPath(name)
        if len(digest) == 64 and name and not path.is_absolute() and ".." not in path.parts:
            sums[name] = digest.lower()
    return sums


def _fetch(client: _Client, name: str, path: Path, sha256: str) -> bool:
    """Have one file at `path`; return whether it had to be fetched.

    What arrived before a connection broke stays in a .part file, from which the next attempt
    or the next run goes on.
    """
    if path.is_file() and _digest(path) == sha256:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for _ in range(_ATTEMPTS):
        try:
            _complete(client, name, part, patient=True)
        except _NotThere as error:
            raise DataError(f"Expected {name} on the server, but got {error}.") from error
        except requests.RequestException as error:
            raise DataError(
                f"Expected {name}, but the server gave up {_ATTEMPTS} times in a row "
                f"({type(error).__name__}); run the same command again, and it goes on there."
            ) from error
        if _digest(part) == sha256:
            part.replace(path)
            return True
        # Either what lay there was of another file, or the server sent something wrong.
        part.unlink()
    raise DataError(
        f"Expected {name} with the SHA-256 {sha256[:12]}..., but {_ATTEMPTS} times got other "
        "bytes; try later, or from another server."
    )


def _complete(client: _Client, name: str, part: Path, *, patient: bool) -> None:
    """Bring `part` to its full length; only attempts that bring nothing new count as failed."""
    failures, size = 0, -1
    while True:
        try:
            client.append(name, part)
            return
        except requests.RequestException as error:
            before, size = size, part.stat().st_size if part.exists() else 0
            failures = 0 if size > before >= 0 else failures + 1
            if failures == _ATTEMPTS or (not patient and _unreachable(error)):
                raise
            time.sleep(min(0.05 * 2**failures, 10.0))


def _unreachable(error: requests.RequestException) -> bool:
    """Whether no connection came about at all, which is how a missing network looks."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Client:
    """One HTTP session per thread, and a count of the bytes that came."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._local = threading.local()
        self._lock = threading.Lock()
        self.received = 0

    def _get(self, name: str, start: int) -> requests.Response:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        session: requests.Session = self._local.session
        response = session.get(
            self._base_url + quote(name),
            headers=headers,
            stream=True,
            timeout=(_CONNECT_S, _READ_S),
        )
        if response.status_code in {400, 401, 403, 404, 410}:
            response.close()
            raise _NotThere(f"HTTP status {response.status_code}")
        return response

    def append(self, name: str, part: Path) -> None:
        """Add what is missing to `part`, from its end on, where the server can do that."""
        start = part.stat().st_size if part.exists() else 0
        with self._get(name, start) as response:
            if response.status_code == 416:
                # Nothing follows: the file is whole, or longer than it should be.
                return
            response.raise_for_status()
            resumed = response.status_code == 206 and _resumes_at(response, start)
            if start and response.status_code == 206 and not resumed:
                part.unlink()
                raise requests.ConnectionError("the server sent another range")
            with part.open("ab" if resumed else "wb") as stream:
                # Unlike iter_content, read1 hands over what came just before a break.
                while chunk := _read(response):
                    stream.write(chunk)
                    with self._lock:
                        self.received += len(chunk)


def _read(response: requests.Response) -> bytes:
    try:
        return bytes(response.raw.read1(_CHUNK))
    except HTTPError as error:
        raise requests.ConnectionError(error) from error


def _resumes_at(response: requests.Response, start: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
