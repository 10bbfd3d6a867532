"""From finished parts to a store: duplicates out, split drawn, files written, hash taken."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_pipeline.folds import unknown_folds
from data_pipeline.labels import encode
from data_pipeline.layouts import Scan
from data_pipeline.options import STEP, PrepareOptions
from data_pipeline.parts import Part
from data_pipeline.preprocessing import METHOD
from data_pipeline.splits import nested_fractions, stratified_split
from data_pipeline.store import (
    EXCLUDED,
    EXCLUDED_COLUMNS,
    FORMAT,
    LEADS,
    RECORD_COLUMNS,
    SPLITS,
    TABLES,
    VERSION,
    content_hash,
    file_digest,
    join_digests,
)
from data_pipeline.summary import NothingLeft, summarise

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Kept:
    rows: list[Row]
    chosen: list[NDArray[np.int64]]
    """Per part, which of its windows go into the store."""
    excluded: list[Row]
    codes: Counter[str]
    """How many records have each code that is in no class."""


def assemble(
    parts: Sequence[Part],
    folder: Path,
    target: Path,
    options: PrepareOptions,
    scan: Scan,
    fingerprint: str,
) -> None:
    """Write a store from the parts in `folder` into the new folder `target`.

    Raises:
        NothingLeft: every record is excluded.
    """
    kept = _keep(parts, folder)
    if not kept.rows:
        raise NothingLeft(kept.excluded, kept.codes, scan)
    classes = scan.classes
    labels = np.stack([encode(row["dx"].split("|"), classes) for row in kept.rows])
    _draw_splits(kept.rows, labels, options)
    target.mkdir()
    shape = (len(kept.rows), len(LEADS), options.samples)
    _write_signals(target / "signals.npy", shape, parts, folder, kept.chosen)
    np.save(target / "labels.npy", labels)
    _write_table(target / "records.csv", kept.rows, RECORD_COLUMNS)
    write_excluded(target / EXCLUDED, kept.excluded)
    content = {
        "version": VERSION,
        "method": METHOD,
        "options": options.to_dict(),
        "step": STEP,
        "classes": [c.abbreviation for c in classes],
        "codes": [list(c.codes) for c in classes],
        "shape": list(shape),
        "synthetic": any(row["synthetic"] for row in kept.rows),
        "signals": join_digests(row["digest"] for row in kept.rows),
        "labels": file_digest(target / "labels.npy"),
        "rows": join_digests(_identity(row) for row in kept.rows),
    }
    split = np.array([row["split"] for row in kept.rows])
    splits: dict[str, NDArray[np.int64]] = {n: np.flatnonzero(split == n) for n in SPLITS}
    manifest = {
        "format": FORMAT,
        "hash": content_hash(content),
        "content": content,
        "files": {name: file_digest(target / name) for name in (*TABLES, EXCLUDED)},
        "input": fingerprint,
        "excluded": len(kept.excluded),
        "summary": summarise(scan, kept.rows, labels, splits, kept.codes),
    }
    (target / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    for path in [*target.iterdir(), target]:
        _sync(path)


def write_excluded(path: Path, excluded: list[Row]) -> None:
    """Write the records that are excluded, with their reasons."""
    _write_table(path, excluded, EXCLUDED_COLUMNS)


def _keep(parts: Sequence[Part], folder: Path) -> _Kept:
    """Exclude what repeats a record that is kept, by its name or by its signals."""
    names: dict[str, str] = {}
    digests: dict[str, Row] = {}
    rows: list[Row] = []
    chosen: list[NDArray[np.int64]] = []
    excluded: list[Row] = []
    codes: Counter[str] = Counter()
    results = [json.loads(part.rows_file(folder).read_text("utf-8")) for part in parts]
    # Parts of recordings that the names of the files did not give away.
    segments = {path for result in results for path in result["segments"]}
    for result in results:
        excluded += [row for row in result["rejected"] if row["path"] not in segments]
        codes.update(result["codes"])
        indices = []
        for index, row in enumerate(result["rows"]):
            if row["path"] in segments:
                continue
            twin = digests.get(row["digest"])
            if names.setdefault(row["record"], row["path"]) != row["path"]:
                detail = f"same name as {names[row['record']]}"
            elif twin is not None:
                also = "" if set(twin["dx"].split("|")) == set(row["dx"].split("|")) else "not "
                detail = f"same signals as {twin['record']}, {also}same labels"
                if names[row["record"]] == row["path"] and row["window"] == 0:
                    del names[row["record"]]
            else:
                digests[row["digest"]] = row
                rows.append(row)
                indices.append(index)
                continue
            if row["window"] == 0 or twin is not None:
                excluded.append(_duplicate(row, detail))
        chosen.append(np.array(indices, dtype=np.int64))
    excluded.sort(key=lambda row: (row["path"], row["detail"]))
    return _Kept(rows, chosen, excluded, codes)


def _duplicate(row: Row, detail: str) -> Row:
    known = {name: row[name] for name in EXCLUDED_COLUMNS if name in row}
    return known | {"reason": "duplicate", "detail": detail}


def _draw_splits(rows: list[Row], labels: NDArray[np.uint8], options: PrepareOptions) -> None:
    """Give every row its split, and its low-data fraction within the training split."""
    groups = [_group(row) for row in rows]
    if options.split == "official":
        wrong = unknown_folds((row["record"], row["fold"]) for row in rows)
        if wrong is not None:
            raise wrong
        splits = [str(row["fold"]) for row in rows]
    else:
        part = stratified_split(labels, groups, options.split, options.split_seed)
        splits = [SPLITS[i] for i in part]
    train = [i for i, split in enumerate(splits) if split == "train"]
    fractions = np.ones(len(rows))
    if train:
        fractions[train] = nested_fractions(
            labels[train], [groups[i] for i in train], options.split_seed
        )
    for row, split, fraction in zip(rows, splits, fractions.tolist(), strict=True):
        row["split"], row["fraction"] = split, fraction


def _group(row: Row) -> str:
    # Windows of one record stay together, and so do records of one patient.
    return f"patient {row['patient']}" if row["patient"] else f"record {row['record']}"


def _identity(row: Row) -> str:
    names = ("record", "window", "source", "patient", "split", "fraction", "valid_samples")
    return json.dumps([row[name] for name in names])


def _write_signals(
    path: Path,
    shape: tuple[int, ...],
    parts: Sequence[Part],
    folder: Path,
    chosen: Sequence[NDArray[np.int64]],
) -> None:
    """Copy the windows that are kept, a part at a time, so that memory stays flat."""
    with path.open("wb") as stream:
        header = {"descr": "<i2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)
        for block in _blocks(parts, folder, chosen):
            stream.write(np.ascontiguousarray(block, dtype="<i2").tobytes())


def _blocks(
    parts: Sequence[Part], folder: Path, chosen: Sequence[NDArray[np.int64]]
) -> Iterator[NDArray[np.int16]]:
    for part, indices in zip(parts, chosen, strict=True):
        yield np.load(part.signals_file(folder))[indices]


def _write_table(path: Path, rows: list[Row], columns: dict[str, str]) -> None:
    frame = pd.DataFrame.from_records(rows, columns=list(columns))
    frame.to_csv(path, index=False, encoding="utf-8", lineterminator="\n")


def _sync(path: Path) -> None:
    """Force a file or folder to the disk, so that a power cut leaves all of it or none."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
