"""TOML files of users, read within bounds: no file can take much memory or time."""

from __future__ import annotations

import errno
import tomllib
from pathlib import Path
from typing import Any

from definitions.files import read_at_most

MOST_BYTES = 65_536
LONGEST_PATH = 300
LONGEST_LINE = 2_000
"""Characters; the time that tomllib takes for a dotted key grows with the square of its parts."""


def read_toml(path: Path, what: str, error: type[ValueError]) -> dict[str, Any]:
    """Return what a TOML file holds; `error` says in one sentence why it cannot be read."""
    name = str(path) if str(path).isprintable() else repr(str(path))
    name = name if len(name) <= LONGEST_PATH else f"…{name[-LONGEST_PATH:]}"
    expected = f"expected {what} at {name}, got"
    text = _text(path, expected, error)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise error(f"expected TOML in {name}, got something else: {str(wrong)[:200]}") from None
    except RecursionError:
        raise error(f"{expected} lists or tables that are nested too deeply: undo it") from None
    except ValueError:  # of int(): more than 4,300 digits
        raise error(f"{expected} a number of thousands of digits: shorten it") from None
    if not values:
        raise error(f"{expected} a file without any keys: write some, or give another path")
    return values


def _text(path: Path, expected: str, error: type[ValueError]) -> str:
    try:
        if path.exists() and not path.is_file():
            got = "a folder" if path.is_dir() else "something that is no file"
            raise error(f"{expected} {got}: give the path of a TOML file")
        content = read_at_most(path, MOST_BYTES)
    except OSError as wrong:
        if wrong.errno == errno.EFBIG:
            got = f"more than {MOST_BYTES:,} bytes"
            raise error(f"{expected} {got}: give the path of a TOML file") from None
        raise error(f"{expected}: {wrong.strerror}; check the path") from None
    except ValueError as wrong:  # a NUL in the path
        if isinstance(wrong, error):
            raise
        raise error(f"{expected} a path that no file can have: check it") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise error(f"{expected} bytes that are no UTF-8 text: save it as TOML in UTF-8") from None
    if max(map(len, text.splitlines()), default=0) > LONGEST_LINE:
        raise error(f"{expected} a line of more than {LONGEST_LINE:,} characters: break it up")
    return text
