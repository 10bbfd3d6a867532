"""Print tables for people on a terminal, and as CSV, JSON or Parquet for programs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from definitions.plugins import INHERITED, LOADED

if TYPE_CHECKING:
    import pandas as pd


class Format(StrEnum):
    """How a command prints its table."""

    table = "table"
    csv = "csv"
    json = "json"
    parquet = "parquet"


def engineering(value: float, unit: str = "") -> str:
    """Format a count with an SI prefix and three significant digits: 1234567 → ``1.23 M``."""
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}".rstrip()


def counted(number: int, noun: str) -> str:
    """Write a count with its noun: ``1 trial``, ``3,990 trials``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rate(per_hour: float) -> str:
    """Write trials per hour: ``3,990 trials/h``, ``4.2 trials/h``."""
    return f"{per_hour:,.0f} trials/h" if per_hour >= 10 else f"{per_hour:.2g} trials/h"


def duration(seconds: float) -> str:
    """Format seconds as ``42 s``, ``3 min 05 s`` or ``2 h 07 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def print_table(frame: pd.DataFrame, format: Format = Format.table, title: str = "") -> None:
    """Write a frame to standard output in the chosen format; times without a zone are UTC."""
    naive = frame.select_dtypes("datetime").columns
    frame = frame.assign(**{name: frame[name].dt.tz_localize("UTC") for name in naive})
    if format is Format.csv:
        frame.to_csv(sys.stdout, index=False)
    elif format is Format.json:
        sys.stdout.write(
            frame.to_json(orient="records", indent=2, double_precision=15, date_format="iso") + "\n"
        )
    elif format is Format.parquet:
        sys.stdout.buffer.write(_parquet(frame))
    else:
        _print_rich(frame, title)


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame to a file, in the format that its name ends in."""
    kind = require_table(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == ".csv":
        frame.to_csv(path, index=False)
    elif kind == ".json":
        path.write_text(frame.to_json(orient="records", indent=2, double_precision=15) + "\n")
    else:
        path.write_bytes(_parquet(frame))


def require_table(path: Path) -> str:
    """Return the format of a table by the name of its file; StudyError where it has none."""
    from search.errors import StudyError

    kind = path.suffix.lower()
    if kind not in (".csv", ".json", ".parquet"):
        raise StudyError(f"Expected a file that ends in .csv, .json or .parquet, got {path}.")
    return kind


def print_facts(facts: Mapping[str, Any], title: str = "") -> None:
    """Print name–value pairs, one a line, names aligned."""
    if title:
        print(title)
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        print(f"  {name:<{width}}  {value}")


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _print_rich(frame: pd.DataFrame, title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", header_style="bold")
    for name in frame.columns:
        numeric = frame[name].dtype.kind in "iuf"
        table.add_column(str(name), justify="right" if numeric else "left", overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    # A pipe has no width: give it room, so that no value is folded away from a `grep`.
    Console(width=None if sys.stdout.isatty() else 240).print(table)


def _parquet(frame: pd.DataFrame) -> bytes:
    from search.errors import StudyError

    try:
        return bytes(frame.to_parquet(index=False))
    except ImportError:
        raise StudyError(
            "Parquet needs the package pyarrow, which is not installed; "
            "install it (pip install pyarrow) or use --format csv."
        ) from None


class Progress:
    """Show how far long work is: a bar on a terminal, a line now and then elsewhere.

    Call it with (done, total); use it as a context manager.
    """

    def __init__(
        self, doing: str, unit: str, quiet: bool = False, *, interval_seconds: float = 10.0
    ) -> None:
        self._doing, self._unit, self._quiet = doing, unit, quiet
        self._interval_seconds = interval_seconds
        self._bar: Any = None
        self._task: Any = None
        self._said_at = self._started_at = time.monotonic()
        self._said = 0

    def __enter__(self) -> Progress:
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.progress import MofNCompleteColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (*Bar.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(self._doing, total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total)
        elif not self._quiet and self._is_due(done, total):
            elapsed = time.monotonic() - self._started_at
            left = f", {duration(elapsed / done * (total - done))} left" if 0 < done < total else ""
            print(f"{self._doing}: {done:,} of {total:,} {self._unit}{left}", file=sys.stderr)

    def _is_due(self, done: int, total: int) -> bool:
        now = time.monotonic()
        due = now - self._said_at >= self._interval_seconds or done == total != self._said
        if due:
            self._said_at, self._said = now, done
        return due


def command_line(*words: object, storage: str | None = None) -> str:
    """Return a command of ours that can be typed as it stands, with the --storage of this one.

    A storage, or a plug-in, that the environment names is found again; a password is not repeated.
    """
    given = [plugin.where for plugin in LOADED.values() if plugin.where not in INHERITED]
    line = [command_name(), *map(str, words)]
    line += [word for where in given for word in ("--plugin", where)]
    if storage and storage != os.environ.get("ECGSCALE_STORAGE"):
        line += ["--storage", re.sub(r"(://[^:/@]*):[^@/]*@", r"\1@", storage)]
    return shlex.join(line)


def command_name() -> str:
    """Name the command as this user can type it, inside a virtual environment or not."""
    beside = Path(sys.executable).parent / "ecgscale"
    found = shutil.which("ecgscale")
    if not beside.is_file() or (found and Path(found).samefile(beside)):
        return "ecgscale"
    return os.path.relpath(beside)
