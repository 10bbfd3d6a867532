"""Labels in a table: joined in one column, one row each, or a column of yes and no per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data_pipeline.csv_files import Table
from data_pipeline.errors import DataError
from data_pipeline.headers import MISSING_WORDS, parse_codes
from data_pipeline.labels import CLASSES, LabelClass

_YES = frozenset({"1", "1.0", "yes", "y", "true", "t"})
_NO = frozenset({"0", "0.0", "no", "n", "false", "f"})
_COLUMNS = ("labels", "label")


@dataclass(frozen=True, slots=True)
class Labelled:
    """The codes of a record; labelled says that it is negative for all others."""

    codes: tuple[str, ...]
    labelled: bool

    @classmethod
    def merge(cls, parts: Sequence[Labelled]) -> Labelled:
        """Join what several rows say of one record."""
        codes = dict.fromkeys(code for part in parts for code in part.codes)
        return cls(tuple(codes), any(part.labelled for part in parts))


def read_labels(
    table: Table, classes: Sequence[LabelClass] | None, details: Sequence[str]
) -> tuple[list[Labelled], tuple[LabelClass, ...], list[str]]:
    """Return the labels of every row, the classes they are for, and what to tell.

    classes None takes the Challenge's, or those that the columns of yes and no name. details are
    columns that are no labels.

    Raises:
        DataError: there is neither a column labels nor one of yes and no.
    """
    given = tuple(CLASSES if classes is None else classes)
    column = next((name for name in _COLUMNS if table.rows and name in table.rows[0]), None)
    if column is None:
        return _by_columns(table, classes, details)
    codes = _known_words(given)
    cells = [row[column] for row in table.rows]
    words = {cell.lower() for cell in cells} - MISSING_WORDS
    if words and words <= _YES | _NO and not words <= set(codes):
        return _binary(table, column, cells, given), given, []
    labels = [
        Labelled(tuple(dict.fromkeys(_code(word, codes) for word in parse_codes(cell))), False)
        for cell in cells
    ]
    return labels, given, []


def _code(word: str, codes: dict[str, str]) -> str:
    """Return the code that a label means, itself where it is not known."""
    whole = word.lower().removesuffix(".0")  # as a spreadsheet writes a code
    return codes.get(word.lower()) or codes.get(whole, word)


def _known_words(classes: Sequence[LabelClass]) -> dict[str, str]:
    """Return a code for every abbreviation, name and code, in lower case."""
    words: dict[str, str] = {}
    for c in classes:
        words |= {code.lower(): code for code in c.codes}
    for c in classes:
        for word in (c.abbreviation, c.name):
            words.setdefault(word.lower(), c.codes[0])
    return words


def _binary(
    table: Table, column: str, cells: Sequence[str], classes: Sequence[LabelClass]
) -> list[Labelled]:
    """Read a column that says yes or no to the only class there is."""
    if len(classes) != 1:
        raise DataError(
            f"Expected names of classes in the column {column} of {table.path}, but it says only "
            "yes or no; name the column after its class, or give --labels with that class alone."
        )
    return [_answer(cell, classes[0].codes[0]) for cell in cells]


def _answer(cell: str, code: str) -> Labelled:
    word = cell.lower()
    return Labelled((code,) if word in _YES else (), word in _YES | _NO)


def _by_columns(
    table: Table, classes: Sequence[LabelClass] | None, details: Sequence[str]
) -> tuple[list[Labelled], tuple[LabelClass, ...], list[str]]:
    columns = {name: name.lower() for name in table.columns if name}
    others = [name for name, key in columns.items() if key not in {"record", *details}]
    known = _known_words(CLASSES if classes is None else classes)
    chosen = [
        name
        for name in others
        if (classes is None or name.lower() in known)
        and _is_yes_or_no(table, name, must=classes is not None)
    ]
    if not chosen:
        raise DataError(
            f"Expected a column labels in {table.path}, or one of yes and no (1 and 0, true and "
            f"false) per class, but got {', '.join(table.columns)}."
        )
    found = tuple(classes or _named(chosen))
    code = {name: known[name.lower()] if classes else found[i].codes[0]
            for i, name in enumerate(chosen)}  # fmt: skip
    labels = [
        Labelled.merge([_answer(row[name.lower()], code[name]) for name in chosen])
        for row in table.rows
    ]
    notes = [f"columns of yes and no are the labels: {', '.join(chosen)}"]
    unused = [name for name in others if name not in chosen]
    if unused:
        notes.append(f"columns that are not used: {', '.join(unused)}")
    empty = sum(
        1
        for row, label in zip(table.rows, labels, strict=True)
        if label.labelled
        for name in chosen
        if row[name.lower()].lower() in MISSING_WORDS
    )
    if empty:
        notes.append(f"{empty} empty cells of records with other labels count as no")
    return labels, found, notes


def _named(columns: Sequence[str]) -> tuple[LabelClass, ...]:
    """Make classes of columns: the Challenge's where they have its names."""
    known = {c.abbreviation.lower(): c for c in CLASSES}
    return tuple(known.get(name.lower()) or LabelClass(name, name, (name,)) for name in columns)


def _is_yes_or_no(table: Table, name: str, *, must: bool) -> bool:
    """Whether a column answers yes or no; one that must, because of its name, may hold no more."""
    cells = [(n, row[name.lower()]) for n, row in enumerate(table.rows, 2)]
    filled = [(n, cell) for n, cell in cells if cell.lower() not in MISSING_WORDS]
    wrong = [(n, cell) for n, cell in filled if cell.lower() not in _YES | _NO]
    if wrong and (must or len(wrong) * 2 <= len(filled)):
        number, cell = wrong[0]
        raise DataError(
            f"Expected yes or no (1 or 0, true or false) in the column {name} of {table.path}, "
            f"but row {number} has {cell!r}; correct it, or name the column otherwise."
        )
    return bool(filled) and not wrong
