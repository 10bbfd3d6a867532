"""What a user has to know of a preparation: matches, corrections, unknown labels, warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.degenerate import label_warnings
from data_pipeline.errors import DataError
from data_pipeline.labels import CLASSES, LabelClass
from data_pipeline.layouts import Scan

Row = dict[str, Any]
_LISTED = 10
_EXAMPLES = 3


def summarise(
    scan: Scan,
    rows: Sequence[Row],
    labels: NDArray[np.uint8],
    splits: Mapping[str, NDArray[np.int64]],
    codes: Counter[str],
) -> dict[str, Any]:
    """Return what stands in the manifest of a store beside its content, as JSON types."""
    first = [row for row in rows if row["window"] == 0]
    corrected = Counter(f"{row['gain_corrected']:g}/mV" for row in first if row["gain_corrected"])
    return {
        "files": len(scan.candidates),
        "joins": list(scan.joins),
        "notes": list(scan.notes),
        "codes_of_no_class": dict(codes.most_common(_LISTED)),
        "more_codes_of_no_class": max(len(codes) - _LISTED, 0),
        "gains_corrected": dict(corrected),
        "inverted": sum(1 for row in first if row["inverted"]),
        "scales": dict(Counter(row["scale"] for row in first if row["scale"] != "mV")),
        "warnings": label_warnings(labels, splits, [c.abbreviation for c in scan.classes]),
        "class_names": {c.abbreviation: c.name for c in scan.classes},
    }


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Put a summary into words, without its warnings."""
    told = [_join(join) for join in summary.get("joins", ())] + list(summary.get("notes", ()))
    codes = summary.get("codes_of_no_class")
    if codes:
        more = summary["more_codes_of_no_class"]
        rest = f" and {more} more" if more else ""
        told.append(f"labels of no class: {_counts(codes)}{rest}")
    for gain, count in summary.get("gains_corrected", {}).items():
        told.append(
            f"{_records(count)}: the Challenge's known wrong gain of {gain} is read as 1000/mV"
        )
    if summary.get("inverted"):
        told.append(
            f"{_records(summary['inverted'])}: leads given as their negative are turned round"
        )
    words = {
        "NU": "in normalised units, no millivolts",
        "uncalibrated": "without a gain in the header, so that the amplitude is not known",
        "mixed": "with some leads in millivolts and others not",
    }
    told += [f"{_records(n)} {words[scale]}" for scale, n in summary.get("scales", {}).items()]
    return told


def _records(count: int) -> str:
    return f"{count:,} record{'s' if count != 1 else ''}"


def _counts(codes: Mapping[str, int]) -> str:
    return ", ".join(f"{code} ({count:,})" for code, count in codes.items())


def _join(join: Mapping[str, Any]) -> str:
    matched = f"{join['matched']:,} of {join['rows']:,} rows matched"
    text = f"{join['what']} from {join['table']}: {matched}, {_records(join['records'])} found"
    lost = join["rows"] - join["matched"]
    if lost:
        more = ", …" if lost > len(join["unmatched"]) else ""
        text += f"; without a match: {', '.join(join['unmatched'])}{more}"
    return text


class NothingLeft(DataError):
    """Every record is excluded."""

    def __init__(self, excluded: list[Row], codes: Counter[str], scan: Scan) -> None:
        super().__init__("every record is excluded")
        self.excluded, self._codes, self._scan = excluded, codes, scan

    def told(self, raw: Path, listed: Path) -> str:
        """Say which records are excluded and why, where all are listed, and what may help."""
        reasons = Counter(row["reason"] for row in self.excluded)
        counted = ", ".join(f"{reason} ({count})" for reason, count in reasons.most_common())
        first = "; ".join(
            f"{row['record']}: {row['reason']}, {row['detail']}"
            for row in self.excluded[:_EXAMPLES]
        )
        text = (
            f"Expected usable records in {raw}, but all {len(self.excluded)} are excluded: "
            f"{counted}. The first: {first}. All are listed in {listed}."
        )
        if reasons["no scored label"] == 0:
            return f"{text} Check the raw folder and the options."
        return f"{text} {self._about_labels(self._scan.classes)}"

    def _about_labels(self, classes: Sequence[LabelClass]) -> str:
        if not self._codes:
            return (
                "The records have no labels; give a CSV of them (--format csv --table CSV), or "
                "--keep-unlabelled."
            )
        found = ", ".join(code for code, _ in self._codes.most_common(5))
        more = ", …" if len(self._codes) > 5 else ""
        kind = "SNOMED CT codes" if tuple(classes) == CLASSES else "labels"
        known = ", ".join(f"{c.codes[0]} ({c.abbreviation})" for c in classes[:2])
        return (
            f"Labels were found, but none is known: found {found}{more}; expected {kind} such as "
            f"{known}; give --labels CSV (abbreviation, name, codes)."
        )
