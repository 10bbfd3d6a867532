"""Where the samples of a record lie: the file that its header names, spelled in any case."""

from __future__ import annotations

from pathlib import Path

from data_pipeline.errors import DataError


class MissingFile(DataError):
    """A header without its signal file."""


def find_signal_file(header: Path, name: str) -> Path:
    """Return the signal file that a header names.

    Raises:
        MissingFile: it is not there; the message says what lies there instead.
    """
    path = header.parent / name
    return path if path.is_file() else _by_other_case(header, name)


def _by_other_case(header: Path, name: str) -> Path:
    wanted = name.lower()
    same = [path for path in header.parent.iterdir() if path.name.lower() == wanted]
    if len(same) == 1 and same[0].is_file():
        return same[0]
    if "/" in name and (header.parent / Path(name).name).is_file():
        raise MissingFile(
            f"no file {name}: the header names a folder, but {Path(name).name} lies beside the "
            "header; take the folder out of the header"
        )
    raise MissingFile(f"no file {name}")
