"""PTB-XL in its own layout: its tables, folds, patients and SCP-ECG statements.

Wagner et al. 2020, doi:10.1038/s41597-020-0495-6. The statements are translated as the Challenge
2021 did for the same recordings; both kinds of codes are kept, so that a label table may use
either.
"""

from __future__ import annotations

import ast
import csv
import math
from collections.abc import Iterable
from pathlib import Path

from data_pipeline.errors import DataError
from data_pipeline.joins import parse_patient
from data_pipeline.labels import CLASSES, LabelClass
from data_pipeline.layouts import Candidate, stamp_of

TABLE = "ptbxl_database.csv"
_CLASS_OF_STATEMENT = {
    "1AVB": "IAVB", "AFIB": "AF", "AFLT": "AFL", "CLBBB": "CLBBB", "CRBBB": "CRBBB",
    "INVT": "TInv", "IRBBB": "IRBBB", "IVCD": "NSIVCB", "LAFB": "LAnFB", "LNGQT": "LQT",
    "LOWT": "TAb", "LPR": "LPR", "LVOLT": "LQRSV", "NDT": "TAb", "NORM": "NSR", "NT_": "TAb",
    "PAC": "PAC", "PACE": "PR", "QWAVE": "QAb", "SARRH": "SA", "SBRAD": "SB", "SR": "NSR",
    "STACH": "STach", "SVARR": "PAC", "TAB_": "TAb",
}  # fmt: skip
"""The Challenge maps PTB-XL's PVC to a code that is not scored."""
_CLASS_OF_AXIS = {"LAD": "LAD", "ALAD": "LAD", "RAD": "RAD", "ARAD": "RAD"}
_CODE = {c.abbreviation: c.codes[-1 if c.abbreviation == "CLBBB" else 0] for c in CLASSES}
_FOLDS = {str(fold): "train" for fold in range(1, 9)} | {"9": "validation", "10": "test"}


def _superclass(abbreviation: str, name: str, statements: str) -> LabelClass:
    return LabelClass(abbreviation, name, tuple(statements.split()))


SUPERCLASSES: tuple[LabelClass, ...] = (
    _superclass("NORM", "normal ECG", "NORM"),
    _superclass(
        "MI",
        "myocardial infarction",
        "IMI ASMI ILMI AMI ALMI INJAS LMI INJAL IPLMI IPMI INJIN INJLA PMI INJIL",
    ),
    _superclass(
        "STTC",
        "ST and T changes",
        "NDT NST_ DIG LNGQT ISC_ ISCAL ISCIN ISCIL ISCAS ISCLA ANEUR EL ISCAN",
    ),
    _superclass(
        "CD",
        "conduction disturbance",
        "LAFB IRBBB 1AVB IVCD CRBBB CLBBB LPFB WPW ILBBB 3AVB 2AVB",
    ),
    _superclass("HYP", "hypertrophy", "LVH LAO/LAE RVH RAO/RAE SEHYP"),
)
"""The five diagnostic superclasses, from scp_statements.csv of PTB-XL 1.0.3."""


def scan_ptb_xl(raw: Path) -> list[Candidate]:
    """List the records of ptbxl_database.csv, at 500 Hz where more of those files are there."""
    path = raw / TABLE
    if not path.is_file():
        raise DataError(
            f"Expected {TABLE} in {raw}, but it is not there; give the folder that holds it."
        )
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    try:
        names = {key: [row[key] for row in rows] for key in ("filename_hr", "filename_lr")}
        there = {key: sum((raw / f"{n}.hea").is_file() for n in names[key]) for key in names}
        column = "filename_hr" if there["filename_hr"] >= there["filename_lr"] else "filename_lr"
        return [_candidate(raw, row, row[column]) for row in rows]
    except (KeyError, ValueError, SyntaxError, TypeError, AttributeError) as error:
        raise DataError(
            f"Expected the table of PTB-XL in {path}, but it is not as published ({error!r})."
        ) from error


def _candidate(raw: Path, row: dict[str, str], name: str) -> Candidate:
    header = f"{name}.hea"
    there = (raw / header).is_file()
    statements = tuple(ast.literal_eval(row["scp_codes"]))
    age = float(row["age"] or "nan")
    return Candidate(
        record=Path(name).name,
        path=header,
        source="ptb-xl",
        patient=parse_patient(row["patient_id"]),
        fold=_FOLDS.get(row["strat_fold"].partition(".")[0], ""),
        codes=(*challenge_codes(statements, row["heart_axis"]), *statements),
        # 300 stands for any age above 89.
        age=age if age <= 120 else math.nan,
        sex={"0": "male", "1": "female"}.get(row["sex"].partition(".")[0], ""),
        problem=None if there else ("missing", f"listed in {TABLE}, but no such file"),
        stamp=stamp_of(raw / header, (raw / header).with_suffix(".dat")) if there else (),
    )


def challenge_codes(statements: Iterable[str], heart_axis: str) -> tuple[str, ...]:
    """Translate SCP-ECG statements and the heart axis into the scored codes of the Challenge."""
    found = {_CLASS_OF_STATEMENT[s] for s in statements if s in _CLASS_OF_STATEMENT}
    if heart_axis in _CLASS_OF_AXIS:
        found.add(_CLASS_OF_AXIS[heart_axis])
    return tuple(sorted(_CODE[abbreviation] for abbreviation in found))
