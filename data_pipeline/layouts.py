"""Finding the records of a folder: headers, their signal files, and recordings in segments."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from data_pipeline.errors import DataError
from data_pipeline.headers import read_header
from data_pipeline.labels import LabelClass
from data_pipeline.segments import segment_names

SIGNAL_FILES = (".mat", ".dat", ".flac")
Stamps = dict[str, tuple[int, int]]
"""Size and time of change of files, by name."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One record to prepare; what is None is to be read from its header.

    path is relative to the raw folder. labelled says that a table calls the record negative for
    what it is not positive for. problem says why there is nothing to read.
    """

    record: str
    path: str
    source: str
    patient: str = ""
    fold: str = ""
    codes: tuple[str, ...] | None = None
    labelled: bool = False
    age: float | None = None
    sex: str | None = None
    problem: tuple[str, str] | None = None
    stamp: tuple[int, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Scan:
    """The records of a folder, the classes of their labels, and what the user has to know.

    joins are what was matched with which table, notes are sentences.
    """

    candidates: list[Candidate]
    classes: tuple[LabelClass, ...]
    joins: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()


def scan_challenge(raw: Path) -> list[Candidate]:
    """List the records of the Challenge layout, in any nesting, with RECORDS files or without."""
    found: list[Candidate] = []
    for folder, names in _walk(raw):
        found += _records_of(folder, names, raw)
    return sorted(found, key=lambda c: c.path)


def _records_of(folder: Path, names: Stamps, raw: Path) -> list[Candidate]:
    """List the records of one folder, and what looks like one but is none."""
    below, source = folder.relative_to(raw).as_posix(), source_name(folder)
    prefix = "" if below == "." else f"{below}/"
    headers: dict[str, str] = {}
    signals: set[str] = set()
    by_stem: dict[str, list[str]] = {}
    for name in sorted(names):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() == ".hea":
            headers[stem] = name
        elif suffix.lower() in SIGNAL_FILES:
            signals.add(name)
            by_stem.setdefault(stem, []).append(name)
    files = {stem: list(by_stem.get(stem, ())) for stem in headers}
    unexplained = signals - {name for own in files.values() for name in own}
    spelled = {name.lower(): name for name in names}
    segments: set[str] = set()
    # A header is read at this point only if the names of the files do not explain it.
    for stem, own in files.items():
        if not own:
            parts = segment_names(folder / headers[stem])
            segments |= set(parts)
            for part in parts:
                own += [headers[part]] if part in headers else []
                own += by_stem.get(part, [])
            own += [] if parts else _named_files(folder / headers[stem], spelled)
            unexplained -= set(own)
    for stem, own in files.items():
        if not unexplained:
            break
        named = _named_files(folder / headers[stem], spelled)
        own += [name for name in named if name not in own]
        unexplained -= set(own)
    candidates = [
        Candidate(
            record=stem,
            path=prefix + headers[stem],
            source=source,
            stamp=tuple(value for name in (headers[stem], *own) for value in names[name]),
        )
        for stem, own in files.items()
        if stem not in segments
    ]
    missing = dict.fromkeys(sorted(Path(n).stem for n in unexplained), "signal file without header")
    if "RECORDS" in names:
        for stem in _listed(folder / "RECORDS"):
            if stem not in headers and stem not in missing:
                missing[stem] = "listed in RECORDS, but no such file"
    for stem, detail in missing.items():
        reason = "missing" if "listed" in detail else "no header"
        path = f"{prefix}{stem}.hea"
        candidates.append(Candidate(stem, path, source, problem=(reason, detail)))
    return candidates


def _named_files(header: Path, spelled: dict[str, str]) -> list[str]:
    """Return the files of a folder that a header names; spelled is by the name in lower case."""
    try:
        wanted = {line.file.lower() for line in read_header(header).signals}
    except DataError:
        return []
    return sorted(spelled[name] for name in wanted if name in spelled)


def _walk(raw: Path) -> Iterator[tuple[Path, Stamps]]:
    for folder in folders_below(raw):
        with os.scandir(folder) as entries:
            files = [e for e in entries if not e.name.startswith(".") and e.is_file()]
            yield folder, {e.name: (e.stat().st_size, e.stat().st_mtime_ns) for e in files}


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
    names = [re.sub(r"\.hea$", "", line.strip(), flags=re.IGNORECASE) for line in lines]
    return [name.removeprefix("./") for name in names if name and "/" not in name[2:]]


def source_name(folder: Path) -> str:
    """Return the data set a folder belongs to: its last part that is no group such as g12."""
    parts = [part for part in folder.resolve().parts if not re.fullmatch(r"g\d+", part)]
    return parts[-1] if parts else ""


def stamp_of(*paths: Path) -> tuple[int, ...]:
    """Return sizes and times of change of files, by which a changed one is noticed."""
    stats = [path.stat() for path in paths if path.is_file()]
    return tuple(value for s in stats for value in (s.st_size, s.st_mtime_ns))
