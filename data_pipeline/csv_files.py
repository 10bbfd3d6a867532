"""Reading CSV files as spreadsheets and people write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.errors import DataError
from definitions.files import read_at_most

MOST_BYTES = 64_000_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV: columns as written, rows by column in lower case; cells are stripped."""

    path: Path
    columns: tuple[str, ...]
    rows: list[dict[str, str]]


def read_table(path: Path, required: Sequence[str], what: str) -> Table:
    """Read a CSV with at least the required columns, separated by comma, semicolon or tab.

    Raises:
        DataError: it cannot be read, lacks a column, or a line has more cells than columns.
    """
    try:
        text = _decoded(read_at_most(path, MOST_BYTES))
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Expected {what} at {path}, but it cannot be read: {error}.") from error
    filled = [(n, cells) for n, cells in enumerate(records, 1) if any(c.strip() for c in cells)]
    columns = tuple(cell.strip() for cell in filled[0][1]) if filled else ()
    names = [column.lower() for column in columns]
    missing = [name for name in required if name not in names]
    if missing:
        raise DataError(
            f"Expected the columns {', '.join(required)} in {path}, "
            f"but got {', '.join(columns) or 'none'}."
        )
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise DataError(f"Expected every column of {path} once, but got {', '.join(twice)} twice.")
    rows = []
    for number, cells in filled[1:]:
        stripped = [cell.strip() for cell in cells]
        if any(stripped[len(names) :]):
            raise DataError(
                f"Expected {len(names)} cells per line in {path}, but line {number} has "
                f"{len(stripped)}; put a cell with commas into quotes, or join labels by |."
            )
        stripped += [""] * (len(names) - len(stripped))
        rows.append({name: cell for name, cell in zip(names, stripped, strict=False) if name})
    return Table(path, columns, rows)


def _decoded(content: bytes) -> str:
    if content.startswith(_UTF16):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _delimiter(text: str) -> str:
    """Return what separates the cells of the first line that has any."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)
