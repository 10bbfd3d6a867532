"""Whatever is wrong with a dump: one sentence, in time, and nothing in the database."""

from __future__ import annotations

import gzip
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.database.storage import Storage
from search.errors import StudyError
from search.manage import delete_study
from search.reading.dump_format import LINE_BYTES
from search.reading.transfer import dump_study, load_study
from search.study import study_names


def lines_of(content: bytes) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(content).splitlines()]


def packed(lines: list[Any], *, checked: bool = True) -> bytes:
    """Pack lines; without their checksum, so that the fault itself must be found."""
    if checked and isinstance(lines[0], dict):
        lines[0].pop("sha256", None)
    return gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode())


def header(**changes: Any) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        first, *rest = lines_of(whole)
        return packed([first | changes, *rest])

    return change


def attribute(key: str, value: Any) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        first, *rest = lines_of(whole)
        first["user"][key] = value if isinstance(value, str) else json.dumps(value)
        return packed([first, *rest])

    return change


def trial(**changes: Any) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        lines = lines_of(whole)
        lines[2] |= changes
        return packed(lines)

    return change


def without(where: int, key: str) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        lines = lines_of(whole)
        del lines[where][key]
        return packed(lines)

    return change


def rest_of(change: Callable[[list[Any]], list[Any]]) -> Callable[[bytes], bytes]:
    def changed(whole: bytes) -> bytes:
        first, *rest = lines_of(whole)
        return packed([first, *change(rest)])

    return changed


def user_attribute(key: str, value: str) -> Callable[[bytes], bytes]:
    def change(whole: bytes) -> bytes:
        lines = lines_of(whole)
        lines[2]["user"] = [[k, value if k == key else v] for k, v in lines[2]["user"]]
        return packed(lines)

    return change


def flipped(line: int) -> Callable[[bytes], bytes]:
    """Change one digit: JSON all the same."""

    def change(whole: bytes) -> bytes:
        lines = gzip.decompress(whole).split(b"\n")
        lines[line] = lines[line].replace(b"0.", b"1.", 1)
        return gzip.compress(b"\n".join(lines))

    return change


DEEP = "[" * 100_000 + "]" * 100_000
TOXIC: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "text": lambda _: b"hello",
    "cut": lambda whole: whole[: len(whole) // 2],
    "last byte gone": lambda whole: whole[:-1],
    "bytes after the end": lambda whole: whole + b"more",
    "a bit of the body flipped": lambda w: w[:-60] + bytes([w[-60] ^ 8]) + w[-59:],
    "a digit of the study changed": flipped(0),
    "a digit of a trial changed": flipped(3),
    "no lines": lambda _: gzip.compress(b""),
    "blank lines": lambda _: gzip.compress(b"\n" * 1000),
    "binary": lambda _: gzip.compress(bytes(range(256)) * 100),
    "a line without end": lambda _: gzip.compress(b"[" * (LINE_BYTES + 2)),
    "gigabytes of blanks": lambda _: gzip.compress(b" " * (20 * LINE_BYTES)),
    "deep": lambda _: gzip.compress(DEEP.encode()),
    "a list": lambda _: packed([[1, 2]]),
    "a number": lambda _: packed([7]),
    "another format": header(format="x"),
    "a newer version": header(version=99),
    "a version in words": header(version="two"),
    "no user": without(0, "user"),
    "user is a list": header(user=[1]),
    "user is not JSON": attribute("definition", "{"),
    "a deep attribute": attribute("data", DEEP),
    "no definition": attribute("definition", None),
    "definition of a newer version": attribute("definition", {"name": "a", "wings": 2}),
    "data is a number": attribute("data", 7),
    "factors are numbers": attribute("factors", [1, 2]),
    "a factor of no kind": attribute("factors", [{"name": "x"}]),
    "planned is a word": attribute("planned", '"many"'),
    "more planned than there are": header(trials=7),
    "fewer planned than there are": header(trials=5),
    "planned without end": header(trials=10**30),
    "planned none": header(trials=0),
    "a name of spaces": header(name="a b"),
    "test records are a word": header(test_records="x"),
    "NUL in an attribute": attribute("sampling", '"\\u0000"'),
    "half a character": attribute("sampling", '"\\ud800"'),
    "unknown key": trial(wings=1),
    "no state": without(2, "state"),
    "an unknown state": trial(state="SLEEPING"),
    "a state of a live worker": trial(state="RUNNING"),
    "a number that is a word": trial(number="1"),
    "a huge number": trial(number=10**30),
    "a negative number": trial(number=-1),
    "a trial twice": rest_of(lambda trials: [trials[0], *trials[:-1]]),
    "trials in another order": rest_of(lambda trials: trials[::-1]),
    "a trial is a list": rest_of(lambda trials: [[], *trials[1:]]),
    "a trial is missing": rest_of(lambda trials: trials[:-1]),
    "no date": trial(started="yesterday"),
    "a year beyond": trial(started="99999-01-01T00:00:00"),
    "params without a distribution": trial(params=[["width", 3.0]]),
    "an unknown distribution": trial(params=[["width", 3.0, '{"name": "Strange"}']]),
    "an infinite value": trial(values=[[0, float("inf"), "FINITE"]]),
    "a value of words": trial(values=[[0, "x", "FINITE"]]),
    "two values of one objective": trial(values=[[0, 1.0, "FINITE"], [0, 1.0, "FINITE"]]),
    "an epoch too large": trial(curve=[[2**40, 1.0, "FINITE"]]),
    "a class twice": trial(classes=[["AF", 1, 1.0, 1.0, 1.0, 0.5]] * 2),
    "no architecture": user_attribute("architecture", "7"),
    "an architecture of nothing": user_attribute("architecture", "{}"),
    "FLOPs of words": user_attribute("flops", '"many"'),
    "a NUL in a role": user_attribute("role", '"\\u0000"'),
    "a seed of words": user_attribute("seed", "x"),
}


@pytest.fixture
def whole(half_done, tmp_path: Path) -> bytes:
    dump_study(half_done.name, half_done.storage, tmp_path / "whole")
    return (tmp_path / "whole").read_bytes()


@pytest.fixture(scope="module")
def _warm() -> None:
    import optuna.distributions  # noqa: F401 - not counted below


@pytest.mark.usefixtures("_warm")
def test_toxic_dumps_are_told_and_leave_nothing(whole: bytes, elsewhere: Storage, tmp_path: Path):
    accepted, unclear = [], {}
    for name, spoil in TOXIC.items():
        path = tmp_path / "toxic"
        path.write_bytes(spoil(whole))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        try:
            load_study(path, elsewhere)
            accepted.append(name)
            delete_study(study_names(elsewhere)[0], elsewhere)
        except StudyError as error:
            if "\n" in str(error) or len(str(error)) > 600:
                unclear[name] = str(error)
        assert time.process_time() - started < 5, name
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, name
        assert study_names(elsewhere) == [], name
    assert not accepted
    assert not unclear
    path.write_bytes(whole)
    assert load_study(path, elsewhere).planned == 6
