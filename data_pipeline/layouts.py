"""Finding the records of a folder, in each of the layouts that data sets come in."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from data_pipeline.errors import DataError
from data_pipeline.options import Layout, PrepareOptions

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


def scan(raw: Path, options: PrepareOptions) -> list[Candidate]:
    """List every record below a folder, sorted by path.

    Raises:
        DataError: the folder is missing or holds no record.
    """
    if not raw.is_dir():
        raise DataError(
            f"Expected a folder with ECG records at {raw}, but there is "
            f"{'a file' if raw.exists() else 'nothing'}; check the path."
        )
    candidates = _SCANNERS[options.layout](raw)
    if not candidates:
        raise DataError(
            f"Expected records (.hea files) in {raw} or its folders, but found none; "
            "check the path, or get some with `ecgscale download`."
        )
    return candidates


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
    """Return every folder with the size and time of change of its files, following no links up."""
    folders = []
    for folder, below, names in os.walk(raw):
        below.sort()
        with os.scandir(folder) as entries:
            stamps = {
                Path(e.name): (e.stat().st_size, e.stat().st_mtime_ns)
                for e in entries
                if e.name in names and not e.name.startswith(".") and e.is_file()
            }
        folders.append((Path(folder), stamps))
    return folders


def _listed(path: Path) -> list[str]:
    """Return the records of a RECORDS file that lie in its own folder."""
    lines = path.read_text("utf-8", errors="replace").splitlines()
    return [line.strip() for line in lines if line.strip() and "/" not in line.strip()]


def source_name(folder: Path) -> str:
    """Return the data set a folder belongs to: its last part that is no group such as g12."""
    parts = [part for part in folder.resolve().parts if not re.fullmatch(r"g\d+", part)]
    return parts[-1] if parts else ""


def read_patients(path: Path) -> dict[str, str]:
    """Read a CSV with the columns record and patient."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = reader.fieldnames or []
            if not {"record", "patient"} <= set(names):
                raise DataError(
                    f"Expected the columns record and patient in {path}, "
                    f"but got {', '.join(names) or 'none'}."
                )
            return {row["record"].strip(): (row["patient"] or "").strip() for row in reader}
    except OSError as error:
        raise DataError(
            f"Expected a CSV of patients at {path}, but it cannot be read: {error.strerror}."
        ) from error


_SCANNERS: dict[Layout, Callable[[Path], list[Candidate]]] = {"challenge": scan_challenge}
