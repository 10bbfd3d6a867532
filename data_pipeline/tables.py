"""What users bring along: a CSV that lists their records, and a label table of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data_pipeline.csv_files import Table, read_table
from data_pipeline.errors import DataError
from data_pipeline.folds import fold_names
from data_pipeline.headers import parse_age, parse_codes, parse_sex
from data_pipeline.joins import Names, parse_patient, report
from data_pipeline.label_columns import Labelled, read_labels
from data_pipeline.labels import CLASSES, LabelClass
from data_pipeline.layouts import Candidate, Scan, scan_challenge

DEFAULT_TABLE = "records.csv"
DETAILS = ("patient", "source", "fold", "age", "sex")
"""Columns that a table of records may have besides record and labels."""
PATIENTS_FILE = "patients.csv"


def find_patients(raw: Path) -> Path | None:
    """Find the table of patients in a folder of ECGs or beside it, None where there is none."""
    found = (folder / PATIENTS_FILE for folder in (raw, raw.parent))
    return next((path for path in found if path.is_file()), None)


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
    rows = read_table(path, ("abbreviation", "name", "codes"), "a label table").rows
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


def scan_csv(
    raw: Path,
    table: Path | None,
    classes: Sequence[LabelClass] | None,
    *,
    folds: str | None = None,
    official: bool = False,
) -> Scan:
    """List the records of a CSV and the headers below `raw` that it leaves out.

    Columns: record (its name, with or without folder and extension) and labels (codes, names or
    abbreviations, separated by |, ; or comma, or one row per label), or a column of yes and no
    per class; patient, source, fold, age and sex may follow. classes are those to look for; None
    takes what the table has: the Challenge's, or its columns of yes and no.
    """
    listed = read_table(table or raw / DEFAULT_TABLE, ("record",), "a CSV of records")
    labels, found_classes, notes = read_labels(listed, classes, DETAILS)
    headers = [c for c in scan_challenge(raw) if c.problem is None]
    names = Names([c.path for c in headers], raw)
    rows: dict[int, list[int]] = {}
    lost: list[tuple[str, str]] = []
    for number, row in enumerate(listed.rows):
        found = names.find(row["record"])
        if len(found) == 1:
            rows.setdefault(found[0], []).append(number)
        else:
            lost.append((row["record"], f"{len(found)} files" if found else "no such file"))
    if not rows:
        raise _nothing_matched(listed, raw, headers)
    stems = Counter(header.record for header in headers)
    candidates = []
    mapped, fold_notes = fold_names([r.get("fold", "") for r in listed.rows], folds, official)
    for index, header in enumerate(headers):
        if index not in rows:
            problem = ("not listed", f"not in {listed.path.name}")
            candidates.append(replace(header, problem=problem))
            continue
        own = _Row.merge([listed.rows[n] for n in rows[index]])
        label = Labelled.merge([labels[n] for n in rows[index]])
        if stems[header.record] > 1:
            header = replace(header, record=header.path.rpartition(".")[0])
        candidates.append(own.applied_to(header, label, mapped))
    for name, reason in dict.fromkeys(lost):
        missing = ("missing", f"listed in {listed.path.name}, but {reason} of that name")
        candidates.append(Candidate(name, name, "", problem=missing))
    matched = sum(map(len, rows.values()))
    join = report(listed, "labels", matched, len(rows), [name for name, _ in lost])
    candidates.sort(key=lambda c: (c.path, c.problem is not None))
    return Scan(candidates, found_classes, (join,), (*notes, *fold_notes))


@dataclass(frozen=True, slots=True)
class _Row:
    """What the rows of one record say; problem is set where they contradict each other."""

    values: dict[str, str]
    problem: tuple[str, str] | None

    @classmethod
    def merge(cls, rows: Sequence[dict[str, str]]) -> _Row:
        values: dict[str, str] = {}
        for name in DETAILS:
            said = list(dict.fromkeys(row[name] for row in rows if row.get(name)))
            if len(said) > 1:
                detail = f"its rows give the {name} {' and '.join(said[:3])}"
                return cls(values, ("conflicting rows", detail))
            if name in rows[0]:
                values[name] = said[0] if said else ""
        return cls(values, None)

    def applied_to(self, header: Candidate, label: Labelled, folds: dict[str, str]) -> Candidate:
        """Return a record with what the table says of it."""
        said = self.values
        return replace(
            header,
            source=said.get("source") or header.source,
            patient=parse_patient(said.get("patient", "")),
            fold=folds.get(said.get("fold", ""), ""),
            codes=label.codes,
            labelled=label.labelled,
            age=parse_age(said["age"]) if "age" in said else None,
            sex=parse_sex(said["sex"]) if "sex" in said else None,
            problem=self.problem,
        )


def _nothing_matched(listed: Table, raw: Path, headers: Sequence[Candidate]) -> DataError:
    theirs = ", ".join(row["record"] for row in listed.rows[:3]) or "none"
    ours = ", ".join(c.record for c in headers[:3]) or "none"
    return DataError(
        f"Expected names of records in {listed.path}, but none of its {len(listed.rows)} rows "
        f"({theirs}, …) names one of the {len(headers)} headers below {raw} ({ours}, …); write the "
        "names of the headers, with or without folder and extension."
    )
