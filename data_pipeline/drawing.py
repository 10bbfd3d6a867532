"""Twelve leads on ECG paper: 25 mm per second, 10 mm per millivolt."""

from __future__ import annotations

import html
import zlib
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.store import LEADS, Store

_MM_PER_S, _MM_PER_UNIT = 25.0, 10.0
_LEFT_MM, _TOP_MM, _RIGHT_MM = 12.0, 24.0, 3.0
_ROW_MM, _LINE_MM = 15.0, 5.0
_UNIT_MM = 0.05  # of traces: whole numbers keep the picture small
_PINK, _PALE, _INK = "#eaa0a8", "#f8dcdf", "#1b1b2f"


def find_row(store: Store, record: str) -> int:
    """Return the first row of a record.

    Raises:
        DataError: the record is not in the store; the message says where it went.
    """
    rows = np.flatnonzero(store.records["record"].to_numpy(dtype=str) == record)
    if len(rows):
        return int(rows[0])
    found = store.excluded[store.excluded["record"] == record]
    if len(found):
        reason, detail = found.iloc[0]["reason"], found.iloc[0]["detail"]
        raise DataError(
            f"Expected a record of the store, but {record} is excluded: {reason} ({detail})."
        )
    known = store.records["record"].iloc[:3]
    raise DataError(
        f"Expected a record of {store.path}, such as {', '.join(known)}, but got {record!r}."
    )


def example_rows(store: Store, count: int) -> list[int]:
    """Return rows of different records, one of each of the commonest diagnoses first."""
    first = np.flatnonzero(store.records["window"] == 0).tolist()
    chosen: list[int] = []
    for index in np.argsort(-store.labels.sum(axis=0, dtype=np.int64), kind="stable"):
        fresh = [row for row in first if store.labels[row, index] and row not in chosen]
        chosen += fresh[:1]
    return (chosen + [row for row in first if row not in chosen])[:count]


def examples(store: Store, count: int = 8) -> list[tuple[str, str]]:
    """Return the names of some records with their diagnoses."""
    records = store.records["record"]
    return [
        (str(records[row]), ", ".join(_diagnoses(store, row))) for row in example_rows(store, count)
    ]


def _diagnoses(store: Store, row: int) -> list[str]:
    names = zip(store.class_names.values(), store.labels[row], strict=True)
    return [name for name, positive in names if positive] or ["no scored label"]


def draw(store: Store, row: int, said: Sequence[str] = ()) -> str:
    """Return one row of a store as SVG, with its diagnoses above and every lead named.

    `said` are further lines of text.
    """
    record = store.records.iloc[row]
    valid = int(record["valid_samples"])
    positive = [name for name, y in zip(store.classes, store.labels[row], strict=True) if y]
    origin = "SYNTHETIC, not from a person · " if store.synthetic else ""
    person = " · ".join(
        str(part)
        for part in (record["sex"], "" if np.isnan(record["age"]) else f"{record['age']:.0f} years")
        if part
    )
    below = f"{origin}{record['source']} · {record['split']}" + (f" · {person}" if person else "")
    return draw_signal(
        np.asarray(store.signals[row, :, :valid] * store.step, dtype=np.float64),
        store.sample_rate_hz,
        title=f"{record['record']} · {', '.join(positive) or 'no scored label'}",
        lines=(below, *said),
        blank={*str(record["flat_leads"]).split("|"), *str(record["nan_leads"]).split("|")},
        unit="mV" if store.manifest["content"]["options"]["standardise"] == "none" else "sd",
    )


def draw_signal(
    signal: NDArray[np.float64],
    rate_hz: float,
    *,
    title: str,
    lines: Sequence[str],
    blank: Collection[str] = (),
    unit: str = "mV",
) -> str:
    """Return twelve leads (12, samples) as SVG, with a title and lines of text above them.

    `blank` leads are marked as flat or missing.
    """
    seconds = max(signal.shape[1] / rate_hz, 1.0)
    scale = _mm_per_unit(signal)
    top = _TOP_MM + _LINE_MM * (len(lines) - 1)
    width = _LEFT_MM + seconds * _MM_PER_S + _RIGHT_MM
    height = top + _ROW_MM * len(LEADS) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" '
        f'width="{width:.1f}mm" role="img" aria-label="{html.escape(title)}" '
        'font-family="system-ui, sans-serif">',
        _grid(width, height, top, f"{zlib.crc32(title.encode()):x}"),
        f'<text x="{_LEFT_MM}" y="7" font-size="5" font-weight="600">{html.escape(title)}</text>',
    ]
    for number, line in enumerate(lines):
        y = 12.5 + _LINE_MM * number
        parts.append(f'<text x="{_LEFT_MM}" y="{y:g}" font-size="3.4">{html.escape(line)}</text>')
    for number, lead in enumerate(LEADS):
        y = top + _ROW_MM * (number + 0.5)
        parts.append(f'<text x="2" y="{y + 1.2:.1f}" font-size="4" font-weight="600">{lead}</text>')
        parts.append(_trace(signal[number], y, rate_hz, scale))
        if lead in blank:
            parts.append(
                f'<text x="{_LEFT_MM + 1}" y="{y - 1.5:.1f}" font-size="3" fill="#a00">'
                "blank: flat or missing in the recording</text>"
            )
    calibration = f"25 mm/s · {scale:g} mm/{unit} · {rate_hz:g} Hz"
    parts.append(
        f'<text x="{_LEFT_MM}" y="{height - 2:.1f}" font-size="3.2">{calibration}</text></svg>'
    )
    return "\n".join(parts)


def _mm_per_unit(signal: NDArray[np.float64]) -> float:
    """Return 10 mm, or the half or quarter of it where the traces would overlap too much."""
    swing = float(np.median(np.ptp(signal, axis=1))) if signal.size else 0.0
    scale = _MM_PER_UNIT
    while swing * scale > 2 * _ROW_MM and scale > 1:
        scale /= 2
    return scale


def _trace(lead: NDArray[np.float64], y_mm: float, rate_hz: float, scale: float) -> str:
    """Draw a lead as steps from sample to sample, to a tenth of a mm (the line has 0.3)."""
    x = np.round((_LEFT_MM + np.arange(len(lead)) / rate_hz * _MM_PER_S) / _UNIT_MM).astype(int)
    y = y_mm - np.clip(lead * scale, -1.5 * _ROW_MM, 1.5 * _ROW_MM)
    y = np.round(y / (2 * _UNIT_MM)).astype(int) * 2
    steps = np.stack([np.diff(x), np.diff(y)])
    steps = steps[:, steps.any(axis=0)]
    # Where the direction stays, one line does for several samples.
    (a, b), (c, d) = steps[:, :-1], steps[:, 1:]
    starts = np.concatenate([[0], np.flatnonzero((a * d != b * c) | (a * c + b * d < 0)) + 1])
    joined = np.add.reduceat(steps, starts, axis=1).T.tolist() if steps.size else []
    path = "".join(f" {a}{b}" if b < 0 else f" {a} {b}" for a, b in joined)
    return (
        f'<path d="M{x[0]} {y[0]}l{path}" transform="scale({_UNIT_MM})" fill="none" '
        f'stroke="{_INK}" stroke-width="{0.3 / _UNIT_MM:g}" stroke-linejoin="round"/>'
    )


def _grid(width: float, height: float, top: float, key: str) -> str:
    """Draw small squares of 1 mm (40 ms) and large ones of 5 mm (200 ms).

    `key` tells the patterns of one picture from those of another on the same page.
    """
    return (
        f'<defs><pattern id="mm{key}" width="1" height="1" patternUnits="userSpaceOnUse">'
        f'<path d="M1 0H0V1" fill="none" stroke="{_PALE}" stroke-width="0.15"/></pattern>'
        f'<pattern id="cm{key}" width="5" height="5" patternUnits="userSpaceOnUse">'
        f'<rect width="5" height="5" fill="url(#mm{key})"/>'
        f'<path d="M5 0H0V5" fill="none" stroke="{_PINK}" stroke-width="0.25"/></pattern></defs>'
        f'<rect width="{width:.1f}" height="{height:.1f}" fill="#fffdfb"/>'
        f'<rect x="{_LEFT_MM}" y="{top - 4}" width="{width - _LEFT_MM - _RIGHT_MM:.1f}" '
        f'height="{height - top - 2:.1f}" fill="url(#cm{key})"/>'
    )


def show(store: Store, record: str, out: Path) -> Path:
    """Draw a record of a store into an .svg or .html file; return its path."""
    kind = out.suffix.lower()
    if kind not in {".svg", ".html", ".htm"}:
        raise DataError(f"Expected a file that ends in .html or .svg, but got {out}.")
    picture = draw(store, find_row(store, record))
    if kind != ".svg":
        picture = (
            f'<!doctype html>\n<html lang="en"><meta charset="utf-8">'
            f"<title>{html.escape(record)}</title>\n<body>{picture}</body></html>\n"
        )
    try:
        out.write_text(picture, "utf-8")
    except OSError as error:
        raise DataError(f"Expected to write {out}, but that failed: {error.strerror}.") from error
    return out
