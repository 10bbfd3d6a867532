"""Finding the records of a folder, in each of the layouts that data sets come in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_SIGNAL_FILES = (".mat", ".dat")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One record to prepare; what is None is to be read from its header.

    path is relative to the raw folder. problem says why there is nothing to read.
    """

    record: str
    path: str
    source: str
    patient: str = ""
    fold: str = ""
    codes: tuple[str, ...] | None = None
    age: float | None = None
    sex: str | None = None
    problem: tuple[str, str] | None = None
    stamp: tuple[int, ...] = field(default=())


def scan_challenge(raw: Path) -> list[Candidate]:
    """List the records of the Challenge layout, in any nesting, with RECORDS files or without."""
    found: list[Candidate] = []
    for folder, names in _walk(raw):
        relative = folder.relative_to(raw)
        source = source_name(folder)
        here = {name.stem: stamp for name, stamp in names.items() if name.suffix == ".hea"}
        signals = {n.stem: s for n, s in names.items() if n.suffix in _SIGNAL_FILES}
        for stem, stamp in here.items():
            candidate = Candidate(
                record=stem,
                path=str(relative / f"{stem}.hea"),
                source=source,
                stamp=(*stamp, *signals.get(stem, ())),
            )
            found.append(candidate)
        missing = {stem: "signal file without header" for stem in signals if stem not in here}
        if Path("RECORDS") in names:
            for stem in _listed(folder / "RECORDS"):
                if stem not in here and stem not in signals:
                    missing[stem] = "listed in RECORDS, but no such file"
        for stem, detail in missing.items():
            reason = "no header" if stem in signals else "missing"
            path = str(relative / f"{stem}.hea")
            found.append(Candidate(stem, path, source, problem=(reason, detail)))
    return sorted(found, key=lambda c: c.path)


def _walk(raw: Path) -> list[tuple[Path, dict[Path, tuple[int, int]]]]:
    """Return every folder with the size and time of change of its files."""
    folders = []
    for folder in folders_below(raw):
        with os.scandir(folder) as entries:
            stamps = {
                Path(e.name): (e.stat().st_size, e.stat().st_mtime_ns)
                for e in entries
                if not e.name.startswith(".") and e.is_file()
            }
        folders.append((folder, stamps))
    return folders


def folders_below(raw: Path) -> Iterator[Path]:
    """Yield a folder and all below it, through links too, each real folder once."""
    seen: set[Path] = set()
    for name, below, _ in os.walk(raw, followlinks=True):
        folder = Path(name)
        if folder.resolve() in seen:  # a link in a circle, or a second way to one place
            below.clear()
            continue
        seen.add(folder.resolve())
        below.sort()
        yield folder


def _listed(path: Path) -> list[str]:
    """Return the records of a RECORDS file that lie in its own folder."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip() and "/" not in line.strip()]


def source_name(folder: Path) -> str:
    """Return the data set a folder belongs to: its last part that is no group such as g12."""
    parts = [part for part in folder.resolve().parts if not re.fullmatch(r"g\d+", part)]
    return parts[-1] if parts else ""


def stamp_of(*paths: Path) -> tuple[int, ...]:
    """Return sizes and times of change of files, by which a changed one is noticed."""
    stats = [path.stat() for path in paths if path.is_file()]
    return tuple(value for s in stats for value in (s.st_size, s.st_mtime_ns))
