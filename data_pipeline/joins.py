"""Matching the names in a user's table with records, and telling what was matched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from data_pipeline.csv_files import Table, read_table
from data_pipeline.errors import DataError
from data_pipeline.headers import MISSING_WORDS
from data_pipeline.layouts import SIGNAL_FILES, Candidate

_EXTENSION = re.compile(rf"\.(hea|{'|'.join(s[1:] for s in SIGNAL_FILES)})$", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"(\d+)(?:\.0*)?")


class Names:
    """Finds records by the names that people write for them.

    A name matches with or without extension, with or without (a part of) the path that leads to
    it, in any case where that is unique, and without the leading zeros that a spreadsheet drops.
    """

    def __init__(self, paths: Sequence[str], raw: Path) -> None:
        self._above = {raw.resolve().parts[1:], raw.absolute().parts[1:]}
        self._parts = [_EXTENSION.sub("", path).split("/") for path in paths]
        stems = [parts[-1] for parts in self._parts]
        keys: tuple[Callable[[str], str | None], ...] = (lambda s: s, str.casefold, _number)
        self._indices = [(key, _grouped(stems, key)) for key in keys]

    def find(self, name: str) -> list[int]:
        """Return the numbers of the records that a name means; several if it is ambiguous."""
        parts = self._clean(name)
        for key, groups in self._indices:
            word = key(parts[-1])
            found = [i for i in groups.get(word or "", []) if self._leads_to(i, parts[:-1])]
            exact = [i for i in found if self._parts[i] == parts]
            if found:
                return exact or found
        return []

    def _clean(self, name: str) -> list[str]:
        path = name.strip().strip("'\"").replace("\\", "/")
        parts = [part for part in _EXTENSION.sub("", path).split("/") if part not in {"", "."}]
        return parts or [""]

    def _leads_to(self, record: int, folders: list[str]) -> bool:
        """Whether folders are the last ones of the whole path of a record."""
        own = self._parts[record][:-1]
        paths = [[*above, *own] for above in self._above]
        return not folders or any(path[-len(folders) :] == folders for path in paths)


def _grouped(stems: Sequence[str], key: Callable[[str], str | None]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index, stem in enumerate(stems):
        word = key(stem)
        if word:
            groups.setdefault(word, []).append(index)
    return groups


def _number(stem: str) -> str | None:
    match = _WHOLE_NUMBER.fullmatch(stem)
    return str(int(match[1])) if match else None


def report(
    table: Table, what: str, matched: int, records: int, lost: Sequence[str]
) -> dict[str, object]:
    """Say how many rows of a table matched, how many records they reach, and which names none."""
    return {
        "what": what,
        "table": table.path.name,
        "rows": len(table.rows),
        "matched": matched,
        "records": records,
        "unmatched": list(lost[:5]),
    }


def add_patients(
    candidates: list[Candidate], path: Path, raw: Path
) -> tuple[list[Candidate], dict[str, object]]:
    """Give records the patients of a CSV with the columns record and patient.

    Raises:
        DataError: no name in it is one of the records, or a record has two patients.
    """
    table = read_table(path, ("record", "patient"), "a CSV of patients")
    names = Names([c.path for c in candidates], raw)
    known: dict[int, str] = {}
    lost = []
    for row in table.rows:
        found = names.find(row["record"])
        if not found or len({candidates[i].record for i in found}) > 1:
            lost.append(row["record"])
            continue
        patient = parse_patient(row["patient"])
        for index in found:
            if patient and known.get(index, patient) != patient:
                raise DataError(
                    f"Expected one patient per record in {path}, but {row['record']} has "
                    f"{known[index]} and {patient}; correct the table."
                )
            known[index] = patient or known.get(index, "")
    if not known:
        theirs = ", ".join(lost[:3]) or "none"
        ours = ", ".join(c.record for c in candidates[:3])
        raise DataError(
            f"Expected names of records in {path}, but none of its {len(table.rows)} "
            f"({theirs}, …) is one of those below {raw} ({ours}, …); write the names of the "
            "headers, with or without folder and extension."
        )
    given = [replace(c, patient=known.get(i) or c.patient) for i, c in enumerate(candidates)]
    reached = sum(1 for patient in known.values() if patient)
    return given, report(table, "patients", len(table.rows) - len(lost), reached, lost)


def parse_patient(text: str) -> str:
    """Return a patient's name; "" where the word says that it is not known."""
    word = text.strip()
    if word.lower() in MISSING_WORDS:
        return ""
    number = re.fullmatch(r"(\d+)\.0+", word)  # a column with gaps makes numbers of its patients
    return number[1] if number else word
