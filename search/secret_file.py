"""Passwords lie in files: never in an environment, a command line or a log."""

from __future__ import annotations

from pathlib import Path

from definitions.files import read_at_most
from search.errors import StudyError

MOST_BYTES = 4_096


def read_secret(path: Path, what: str) -> str:
    """Return the one line of text in a file; StudyError where it holds anything else."""
    try:
        secret = read_at_most(path, MOST_BYTES).decode("utf-8").strip()
    except OSError as error:
        raise StudyError(f"expected {what} in {path}, got: {error.strerror}") from None
    except UnicodeDecodeError:
        secret = ""
    if not secret or not secret.isprintable():
        raise StudyError(
            f"expected {what} in {path}, got something else than one line of text: write it alone "
            "into the file"
        )
    return secret
