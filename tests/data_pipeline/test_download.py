"""Download against a local server that drops connections, lies and limits."""

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from data_pipeline import DataError
from data_pipeline.download import download_challenge, download_ptb_xl


class Misbehaving(ThreadingHTTPServer):
    """Serves files of bytes; `moods` tells, per request of a path, how to misbehave."""

    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.moods: dict[str, list[str]] = {}
        self.always = ""
        self.asked: list[tuple[str, str | None]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/files/"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Misbehaving

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        with self.server.lock:
            self.server.at_once += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.at_once)
        try:
            self.answer()
        finally:
            with self.server.lock:
                self.server.at_once -= 1

    def answer(self) -> None:
        name = self.path.removeprefix("/files/")
        with self.server.lock:
            self.server.asked.append((name, self.headers.get("Range")))
            moods = self.server.moods.get(name, [])
            mood = moods.pop(0) if moods else self.server.always
        body = self.server.files.get(name)
        if mood == "busy":
            return self.reply(503, b"busy")
        if body is None:
            return self.reply(404, b"none")
        start, status, more = 0, 200, {}
        asked = self.headers.get("Range")
        if asked and mood != "no ranges":
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                return self.reply(416, b"")
            status, more = 206, {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        piece = body[start:]
        if mood == "garbage":
            piece = bytes(len(piece))
        if mood == "slow":
            time.sleep(0.05)
        if mood == "drop":
            self.send_response(status)
            for key, value in more.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(piece)))
            self.end_headers()
            self.wfile.write(piece[: max(len(piece) // 2, 1)])
            self.wfile.flush()
            self.close_connection = True
            return None
        return self.reply(status, piece, more)

    def reply(self, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (more or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    rng = np.random.default_rng(0)
    files = {}
    for database, count in (("ptb-xl", 40), ("georgia", 20), ("ptb", 2)):
        for i in range(count):
            for suffix, size in ((".hea", 300), (".mat", 20_000)):
                files[f"training/{database}/g1/{database[0]}{i:03d}{suffix}"] = rng.bytes(size)
    for name in ("ptbxl_database.csv", "records500/00000/00001_hr.hea", "index.html"):
        files[name] = rng.bytes(500)
    sums = "".join(f"{hashlib.sha256(b).hexdigest()} {n}\n" for n, b in files.items())
    files["SHA256SUMS.txt"] = sums.encode()
    with Misbehaving(files) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def assert_equal_to_server(out: Path, server: Misbehaving) -> int:
    paths = [path for path in out.rglob("*") if path.is_file()]
    for path in paths:
        assert path.read_bytes() == server.files[path.relative_to(out).as_posix()]
    return len(paths)


def test_everything_arrives_and_is_not_fetched_twice(server: Misbehaving, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    server.always = "slow"
    first = download_challenge(
        tmp_path, base_url=server.url, progress=lambda *done: seen.append(done)
    )
    assert first.files == first.fetched == assert_equal_to_server(tmp_path, server) == 124
    assert seen[-1] == (124, 124)
    assert 2 <= server.most_at_once <= 8
    server.asked.clear()
    assert download_challenge(tmp_path, base_url=server.url).fetched == 0
    assert [name for name, _ in server.asked] == ["SHA256SUMS.txt"]


def test_a_part_is_drawn_from_every_database(server: Misbehaving, tmp_path: Path) -> None:
    download_challenge(tmp_path, base_url=server.url, records=12)
    headers = sorted(path.parts[-3] for path in tmp_path.rglob("*.hea"))
    assert headers == ["georgia"] * 5 + ["ptb"] * 2 + ["ptb-xl"] * 5
    assert all(path.with_suffix(".mat").is_file() for path in tmp_path.rglob("*.hea"))


def test_drops_limits_and_wrong_bytes_are_survived(server: Misbehaving, tmp_path: Path) -> None:
    moods = [["drop", "drop"], ["busy", "drop"], ["garbage"], ["drop", "no ranges"]]
    for i, name in enumerate(sorted(n for n in server.files if n.startswith("training/"))):
        server.moods[name] = list(moods[i % len(moods)])
    server.moods["SHA256SUMS.txt"] = ["drop", "busy"]
    download_challenge(tmp_path, base_url=server.url)
    assert assert_equal_to_server(tmp_path, server) == 124
    # What had arrived before a drop was not asked for again.
    assert ("training/georgia/g1/g000.hea", "bytes=150-") in server.asked


def test_an_interrupted_download_goes_on_where_it_stopped(
    server: Misbehaving, tmp_path: Path
) -> None:
    name = "training/ptb/g1/p000.mat"
    part = tmp_path / f"{name}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(server.files[name][:12_345])
    stale = tmp_path / "training/ptb/g1/p001.mat.part"
    stale.write_bytes(b"of another file" * 2000)
    download_challenge(tmp_path, base_url=server.url)
    assert (name, "bytes=12345-") in server.asked
    assert assert_equal_to_server(tmp_path, server) == 124


def test_a_file_changed_on_disk_is_fetched_again(server: Misbehaving, tmp_path: Path) -> None:
    download_challenge(tmp_path, base_url=server.url)
    changed = tmp_path / "training/ptb/g1/p001.mat"
    before = changed.read_bytes()
    changed.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert download_challenge(tmp_path, base_url=server.url).fetched == 1
    assert_equal_to_server(tmp_path, server)


def test_a_server_that_never_gets_it_right_is_reported(
    server: Misbehaving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    server.moods["training/ptb/g1/p000.mat"] = ["garbage"] * 50
    with pytest.raises(DataError, match="SHA-256"):
        download_challenge(tmp_path, base_url=server.url)
    del server.files["training/ptb/g1/p000.mat"]
    server.moods.clear()
    with pytest.raises(DataError, match="404"):
        download_challenge(tmp_path, base_url=server.url)
    assert not (tmp_path / "training/ptb/g1/p000.mat").exists()


def test_no_network_is_told_quickly(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(DataError, match=r"check the network"):
        download_challenge(tmp_path, base_url="http://127.0.0.1:9/files/")
    assert time.monotonic() - started < 5
    assert not any(tmp_path.iterdir())


def test_a_server_without_a_list_is_reported(server: Misbehaving, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="list of files"):
        download_challenge(tmp_path, base_url=server.url + "elsewhere/")


def test_ptb_xl_brings_its_tables(server: Misbehaving, tmp_path: Path) -> None:
    download_ptb_xl(tmp_path, base_url=server.url, records=1)
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == [
        "00001_hr.hea",
        "ptbxl_database.csv",
    ]
