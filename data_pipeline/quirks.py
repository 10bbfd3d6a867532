"""What real files do wrong, done to synthetic records on purpose and with a known outcome.

Every quirk was seen in one of the eight databases of the Challenge or in the exports of others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.headers import SYNTHETIC_KEY
from data_pipeline.signals import INVALID
from data_pipeline.store import LEADS


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A record about to be written: stored int16 (leads, samples) and the words of its header."""

    name: str
    stored: NDArray[np.int16]
    rate_hz: int
    dx: str
    age: str
    sex: str
    leads: tuple[str, ...] = LEADS
    form: str = "16+24"
    gain: str = "1000/mV"
    date: str = ""
    mark: str = "#"
    declared: int | None = None


def write_draft(folder: Path, draft: Draft) -> None:
    """Write one record as MATLAB v4 and WFDB header, as the Challenge does."""
    leads, samples = draft.stored.shape
    # Type 30 is int16; then rows, columns, no imaginary part, length of the name with its zero.
    start = np.array([30, leads, samples, 0, 4], dtype="<i4").tobytes() + b"val\0"
    data = np.ascontiguousarray(draft.stored.T, dtype="<i2").tobytes()
    (folder / f"{draft.name}.mat").write_bytes(start + data)
    sums = draft.stored.sum(axis=1, dtype=np.int64).astype(np.int16)
    lines = [f"{draft.name} {leads} {draft.rate_hz} {draft.declared or samples}{draft.date}"]
    firsts = draft.stored[:, 0].tolist()
    for lead, first, total in zip(draft.leads, firsts, sums.tolist(), strict=True):
        lines.append(f"{draft.name}.mat {draft.form} {draft.gain} 16 0 {first} {total} 0 {lead}")
    lines += [
        f"{draft.mark}Age: {draft.age}",
        f"{draft.mark}Sex: {draft.sex}",
        f"{draft.mark}Dx: {draft.dx}",
        f"{draft.mark}{SYNTHETIC_KEY.capitalize()}: computed from its diagnoses, "
        "not recorded from a person",
    ]
    (folder / f"{draft.name}.hea").write_text("\n".join(lines) + "\n", "utf-8")


@dataclass(frozen=True, slots=True)
class Quirk:
    """One thing that goes wrong; reason is why such a record is excluded, "" where it is not.

    change alters what is written and spoil the files that were written.
    """

    reason: str = ""
    change: Callable[[Draft, np.random.Generator], Draft] = lambda draft, _: draft
    spoil: Callable[[Path], None] = lambda _: None


def _flat(draft: Draft, rng: np.random.Generator) -> Draft:
    stored = draft.stored.copy()
    stored[rng.choice(12, size=2, replace=False)] = 0
    return replace(draft, stored=stored)


def _missing(draft: Draft, rng: np.random.Generator) -> Draft:
    stored = draft.stored.copy()
    start = int(rng.integers(stored.shape[1] - 100))
    stored[rng.integers(12), start : start + 100] = INVALID
    return replace(draft, stored=stored)


def _spikes(draft: Draft, rng: np.random.Generator) -> Draft:
    stored = draft.stored.copy()
    stored[rng.integers(12), rng.integers(stored.shape[1], size=3)] = 32767
    return replace(draft, stored=stored)


def _reordered(draft: Draft, rng: np.random.Generator) -> Draft:
    order = rng.permutation(12)
    names = tuple(draft.leads[i].lower() for i in order)
    return replace(draft, stored=draft.stored[order], leads=names)


def _longer(draft: Draft, rng: np.random.Generator) -> Draft:
    return replace(draft, stored=np.tile(draft.stored, int(rng.integers(2, 12))))


def _header(path: Path) -> Path:
    return path.with_suffix(".hea")


def _rewrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _cut_lines(path: Path) -> None:
    lines = _header(path).read_text("utf-8").splitlines()
    # A lost line break swallows one lead, as in JS01052 of one copy.
    _header(path).write_text("\n".join([lines[0], lines[1] + lines[2], *lines[3:]]), "utf-8")


QUIRKS: dict[str, Quirk] = {
    "date": Quirk(change=lambda d, _: replace(d, date=" 05-May-2020 14:50:55")),
    "spaced comments": Quirk(change=lambda d, _: replace(d, mark="# ")),
    "no age": Quirk(change=lambda d, _: replace(d, age="NaN", sex="Unknown")),
    "ptb-xl form": Quirk(
        change=lambda d, _: replace(d, form="16x1+24", gain="1000.0(0)/mv", mark="# ")
    ),
    "wrong gain": Quirk(
        change=lambda d, rng: replace(d, gain=f"{(200, 4880, 2000000)[rng.integers(3)]}/mV")
    ),
    "no unit": Quirk(change=lambda d, _: replace(d, gain="1000")),
    "commas": Quirk(change=lambda d, _: replace(d, dx=f"{d.dx},,{d.dx},")),
    "leads reordered": Quirk(change=_reordered),
    "two flat leads": Quirk(change=_flat),
    "spikes": Quirk(change=_spikes),
    "half as long": Quirk(
        change=lambda d, _: replace(d, stored=d.stored[:, : d.stored.shape[1] // 2])
    ),
    "longer": Quirk(change=_longer),
    "no dx": Quirk("no scored label", change=lambda d, _: replace(d, dx="")),
    "unscored": Quirk("no scored label", change=lambda d, _: replace(d, dx="164884008")),
    "missing samples": Quirk("NaN", change=_missing),
    "all flat": Quirk("flat", change=lambda d, _: replace(d, stored=d.stored * 0)),
    "too short": Quirk("too short", change=lambda d, _: replace(d, stored=d.stored[:, :600])),
    "lead missing": Quirk(
        "missing leads", change=lambda d, _: replace(d, leads=(*d.leads[:11], "VX"))
    ),
    "truncated": Quirk("unreadable", spoil=lambda p: _rewrite(p, p.read_bytes()[:40_000])),
    "empty file": Quirk("unreadable", spoil=lambda p: _rewrite(p, b"")),
    "bits flipped": Quirk("checksum", spoil=lambda p: _rewrite(p, p.read_bytes()[:-1] + b"\x55")),
    "no signal file": Quirk("no signal file", spoil=Path.unlink),
    "no header": Quirk("no header", spoil=lambda p: _header(p).unlink()),
    "garbage header": Quirk("bad header", spoil=lambda p: _rewrite(_header(p), bytes(range(200)))),
    "lost line break": Quirk("bad header", spoil=_cut_lines),
}
