"""What users bring along: a CSV that lists their records, and a label table of their own."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from data_pipeline.errors import DataError
from data_pipeline.headers import parse_age, parse_codes, parse_sex
from data_pipeline.labels import CLASSES, LabelClass
from data_pipeline.layouts import Candidate, folders_below, source_name, stamp_of

DEFAULT_TABLE = "records.csv"
PATIENTS_FILE = "patients.csv"
_FOLDS = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "test": "test",
}  # fmt: skip


def read_rows(path: Path, required: Sequence[str], what: str) -> list[dict[str, str]]:
    """Read a CSV with at least the required columns; cells are stripped, missing ones empty."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            names = [name.strip().lower() for name in reader.fieldnames or []]
            reader.fieldnames = names
            missing = [name for name in required if name not in names]
            if missing:
                raise DataError(
                    f"Expected the columns {', '.join(required)} in {path}, "
                    f"but got {', '.join(names) or 'none'}."
                )
            return [{k: (v or "").strip() for k, v in row.items() if k} for row in reader]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"Expected {what} at {path}, but it cannot be read: {error}.") from error


def find_patients(raw: Path) -> Path | None:
    """Find the table of patients in a folder of ECGs or beside it, None where there is none."""
    found = (folder / PATIENTS_FILE for folder in (raw, raw.parent))
    return next((path for path in found if path.is_file()), None)


def read_patients(path: Path) -> dict[str, str]:
    """Read a CSV with the columns record and patient."""
    rows = read_rows(path, ("record", "patient"), "a CSV of patients")
    return {row["record"]: row["patient"] for row in rows}


def load_classes(labels: str | Path) -> tuple[LabelClass, ...]:
    """Return the classes of a label table: a known name, or a CSV.

    The CSV has the columns abbreviation, name and codes, where codes are separated by |.
    """
    if labels == "challenge":
        return CLASSES
    if labels == "ptb-xl-superclasses":
        from data_pipeline.ptb_xl import SUPERCLASSES

        return SUPERCLASSES
    path = Path(labels)
    rows = read_rows(path, ("abbreviation", "name", "codes"), "a label table")
    classes = tuple(
        LabelClass(row["abbreviation"], row["name"], parse_codes(row["codes"])) for row in rows
    )
    names = [c.abbreviation for c in classes]
    codes = [code for c in classes for code in c.codes]
    if (
        not classes
        or "" in names
        or len(set(names)) < len(names)
        or not all(c.codes for c in classes)
    ):
        raise DataError(
            f"Expected a distinct abbreviation and at least one code in every row of {path}."
        )
    if len(set(codes)) < len(codes):
        twice = next(code for code in codes if codes.count(code) > 1)
        raise DataError(f"Expected every code in one class of {path}, but {twice} is in several.")
    return classes


def scan_csv(raw: Path, table: Path | None, classes: Sequence[LabelClass]) -> list[Candidate]:
    """List the records of a CSV and the headers below `raw` that it leaves out.

    Columns: record (path of the header below `raw`, or its name where that is unique) and labels
    (codes or abbreviations, separated by |, ; or comma); patient, source, fold, age and sex may
    follow.
    """
    path = table or raw / DEFAULT_TABLE
    rows = read_rows(path, ("record", "labels"), "a CSV of records")
    headers = sorted(
        header.relative_to(raw).as_posix()
        for folder in folders_below(raw)
        for header in folder.glob("*.hea")
    )
    by_stem: dict[str, list[str]] = {}
    for header in headers:
        by_stem.setdefault(Path(header).stem, []).append(header)
    known = set(headers)
    code = {c.abbreviation: c.codes[0] for c in classes}
    candidates, used = [], set()
    for row in rows:
        name = row["record"].removesuffix(".hea")
        same = by_stem.get(name, [])
        problem = None
        header = f"{name}.hea"
        if header not in known and len(same) == 1:
            header = same[0]
        elif header not in known:
            reason = f"{len(same)} files of that name" if same else "no such file"
            problem = ("missing", f"listed in {path.name}, but {reason}")
        if header in used:
            problem = ("duplicate", f"listed in {path.name} before")
        elif problem is None:
            used.add(header)
        stem = Path(header).stem
        candidates.append(
            Candidate(
                record=stem if len(by_stem.get(stem, [])) <= 1 else header.removesuffix(".hea"),
                path=header,
                source=row.get("source") or source_name((raw / header).parent),
                patient=row.get("patient", ""),
                fold=_FOLDS.get(row.get("fold", "").lower(), ""),
                codes=tuple(code.get(label, label) for label in parse_codes(row["labels"])),
                age=parse_age(row["age"]) if "age" in row else None,
                sex=parse_sex(row["sex"]) if "sex" in row else None,
                problem=problem,
                stamp=stamp_of(raw / header) if problem is None else (),
            )
        )
    for header in headers:
        if header not in used:
            unlisted = ("not listed", f"not in {path.name}")
            source = source_name((raw / header).parent)
            candidates.append(Candidate(Path(header).stem, header, source, problem=unlisted))
    return sorted(candidates, key=lambda c: (c.path, c.problem is not None))
