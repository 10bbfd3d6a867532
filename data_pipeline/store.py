"""A prepared data set: one int16 array, its labels, a table of records and a manifest.

A store is a folder:
  signals.npy     int16 (records, leads, samples), memory-mapped
  labels.npy      uint8 (records, classes)
  records.csv     one line per row of the arrays
  excluded.csv    one line per input record that is not in the store, with its reason
  manifest.json   everything that made the store, and its hash
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.labels import CLASSES
from data_pipeline.splits import LOW_DATA

FORMAT = "ecgscale-store"
VERSION = 1
LEADS: tuple[str, ...] = (
    *("I", "II", "III", "aVR", "aVL", "aVF"),
    *("V1", "V2", "V3", "V4", "V5", "V6"),
)
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")
TABLES = ("labels.npy", "records.csv")
EXCLUDED = "excluded.csv"
_FORMERLY = "quarantine.csv"
"""What the list of excluded records was called; its columns are the same."""

RECORD_COLUMNS: dict[str, str] = {
    "record": "str",
    "window": "int64",
    "source": "str",
    "patient": "str",
    "split": "str",
    "fraction": "float64",
    "age": "float64",
    "sex": "str",
    "sample_rate_hz": "float64",
    "seconds": "float64",
    "start_seconds": "float64",
    "valid_samples": "int64",
    "flat_leads": "str",
    "nan_leads": "str",
    "clipped_samples": "int64",
    "dx": "str",
    "path": "str",
}
"""Columns of `Store.records`; an unknown patient is "", several leads or codes are joined by |.

fraction is the smallest of the nested low-data shares of the training split that holds a row."""
EXCLUDED_COLUMNS: dict[str, str] = {
    "record": "str",
    "source": "str",
    "reason": "str",
    "detail": "str",
    "path": "str",
}


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """A prepared data set, opened for reading."""

    path: Path
    manifest: dict[str, Any]
    signals: NDArray[np.int16]
    labels: NDArray[np.uint8]
    records: pd.DataFrame
    excluded: pd.DataFrame

    @property
    def hash(self) -> str:
        """Hexadecimal SHA-256 of everything that changes signals, labels or split."""
        return str(self.manifest["hash"])

    @property
    def step(self) -> float:
        """Value of one int16 unit: in standard deviations, or mV if not standardised."""
        return float(self.manifest["content"]["step"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Abbreviations of the classes, in the order of the columns of `labels`."""
        return tuple(self.manifest["content"]["classes"])

    @property
    def class_names(self) -> dict[str, str]:
        """Full names of the classes by abbreviation, which stores of before do not keep."""
        known = {c.abbreviation: c.name for c in CLASSES} | self.summary.get("class_names", {})
        return {name: known.get(name) or name for name in self.classes}

    @property
    def excluded_file(self) -> str:
        """Name of the list of excluded records."""
        return _excluded_file(self.manifest)

    @property
    def summary(self) -> dict[str, Any]:
        """What its preparation had to tell (data_pipeline.summary); empty in stores of before."""
        summary: dict[str, Any] = self.manifest.get("summary", {})
        return summary

    @property
    def codes(self) -> tuple[tuple[str, ...], ...]:
        """Codes of each class, any of which makes a record positive."""
        return tuple(tuple(codes) for codes in self.manifest["content"]["codes"])

    @property
    def sample_rate_hz(self) -> float:
        """Samples per second of every row."""
        return float(self.manifest["content"]["options"]["sample_rate_hz"])

    @property
    def samples(self) -> int:
        """Samples per lead of every row."""
        return int(self.signals.shape[2])

    @property
    def synthetic(self) -> bool:
        """Whether any record came out of a generator and not out of a patient."""
        return bool(self.manifest["content"]["synthetic"])

    def __len__(self) -> int:
        return len(self.signals)

    def rows(self, split: Split, *, fraction: float = 1.0) -> NDArray[np.int64]:
        """Return the row numbers of one split, ascending.

        fraction takes only that share of the training split; the rows of a smaller share are
        among those of every larger one.
        """
        if split not in SPLITS:
            raise DataError(f"Expected a split out of {', '.join(SPLITS)}, but got {split!r}.")
        if fraction not in LOW_DATA:
            raise DataError(
                f"Expected a share out of {', '.join(map(str, LOW_DATA))}, but got {fraction}."
            )
        chosen = (self.records["split"] == split).to_numpy()
        if split == "train":
            chosen = chosen & (self.records["fraction"] <= fraction).to_numpy()
        return np.flatnonzero(chosen).astype(np.int64)

    def without_source(self, source: str) -> dict[Split, NDArray[np.int64]]:
        """Leave one source out: train and validate on the others, test on all of its rows."""
        sources = self.records["source"].to_numpy(dtype=str)
        if source not in sources:
            names = ", ".join(sorted(set(sources)))
            raise DataError(f"Expected a source out of {names}, but got {source!r}.")
        inside = sources == source
        return {
            "train": self._others("train", inside),
            "validation": self._others("validation", inside),
            "test": np.flatnonzero(inside).astype(np.int64),
        }

    def _others(self, split: Split, inside: NDArray[np.bool_]) -> NDArray[np.int64]:
        rows = self.rows(split)
        # A patient seen at the source that is left out must not be trained on elsewhere.
        patients = self.records["patient"].to_numpy(dtype=object)
        tested = set(patients[inside]) - {""}
        return rows[~inside[rows] & ~np.isin(patients[rows].astype(str), list(tested))]

    def patient_numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return numbers (rows,) that are equal where the patient is.

        A record of an unknown patient counts as a patient of its own.
        """
        names = self.records["patient"].to_numpy(dtype=object)[rows]
        own = self.records["record"].to_numpy(dtype=object)[rows]
        keys = [(1, p) if p else (0, r) for p, r in zip(names, own, strict=True)]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        return np.array([numbers[key] for key in keys], dtype=np.int64)

    def label_table(self) -> pd.DataFrame:
        """Count positive rows by class (index) and by source and split (columns)."""
        counts = pd.DataFrame(self.labels, columns=list(self.classes)).astype(np.int64)
        keys = [self.records["source"], self.records["split"]]
        return counts.groupby(keys, observed=True).sum().T.rename_axis("class")

    def label_counts(self) -> dict[str, int]:
        """Count the positive rows of every class."""
        return dict(zip(self.classes, self.labels.sum(axis=0).tolist(), strict=True))

    def verify(self) -> None:
        """Read every signal and raise DataError where one is not what was prepared."""
        if signals_digest(self.signals) != self.manifest["content"]["signals"]:
            raise DataError(
                f"The signals in {self.path} are not those that were prepared; prepare them again."
            )


def open_store(path: str | Path) -> Store:
    """Open a store and check all but the signals, which `Store.verify` checks.

    Raises:
        DataError: there is no store at `path`, or it was changed after it was made.
    """
    folder = Path(path)
    if not folder.exists():
        raise DataError(
            f"Expected a store at {folder}, but there is nothing; make one with `ecgscale prepare`."
        )
    if not (folder / "manifest.json").is_file():
        raise DataError(
            f"Expected a store at {folder}, but found no manifest.json in it; "
            "make one with `ecgscale prepare`."
        )
    try:
        return _open(folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"The store at {folder} is damaged ({error}); prepare it again.") from error


def _open(folder: Path) -> Store:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise DataError(
            f"Expected a store at {folder}, but its manifest.json is another program's."
        )
    content = manifest["content"]
    if content["version"] != VERSION:
        raise DataError(
            f"Expected a store of version {VERSION} at {folder}, "
            f"but got {content['version']}; prepare it again."
        )
    if manifest["hash"] != content_hash(content):
        raise ValueError("the manifest does not fit its hash")
    excluded = _excluded_file(manifest)
    for name in (*TABLES, excluded):
        if file_digest(folder / name) != manifest["files"][name]:
            raise ValueError(f"{name} was changed")
    signals = np.load(folder / "signals.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False)
    records = read_table(folder / "records.csv", RECORD_COLUMNS)
    shape = tuple(content["shape"])
    if signals.shape != shape or signals.dtype != np.int16 or len(records) != shape[0]:
        raise ValueError(f"signals.npy has shape {signals.shape} instead of {shape}")
    labels.flags.writeable = False
    table = read_table(folder / excluded, EXCLUDED_COLUMNS)
    return Store(folder, manifest, signals, labels, records, table)


def _excluded_file(manifest: dict[str, Any]) -> str:
    return EXCLUDED if EXCLUDED in manifest["files"] else _FORMERLY


def read_table(path: Path, columns: dict[str, str]) -> pd.DataFrame:
    """Read a table as it was written: an empty string stays one, whatever it looks like."""
    texts = {name: kind for name, kind in columns.items() if kind == "str"}
    numbers = {name: kind for name, kind in columns.items() if kind != "str"}
    table = pd.read_csv(
        path,
        dtype={**texts, **numbers},
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
        encoding="utf-8",
    )
    return table[list(columns)]


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def row_digest(signal: NDArray[np.int16]) -> str:
    """Return the SHA-256 of one prepared record (leads, samples), little-endian."""
    return hashlib.sha256(np.ascontiguousarray(signal, dtype="<i2").tobytes()).hexdigest()


def signals_digest(signals: NDArray[np.int16]) -> str:
    """Return the SHA-256 of the digests of all rows."""
    return join_digests(row_digest(signal) for signal in signals)


def join_digests(digests: Any) -> str:
    """Return the SHA-256 of digests, one per line."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def content_hash(content: dict[str, Any]) -> str:
    """Return the SHA-256 of the part of a manifest that says what is in the store."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
