"""WFDB records in every format, written by the rules of its manual and not by our code.

Formats: physionet.org/physiotools/wag/signal-5.htm.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.data_pipeline.files import LEADS, SINUS

_BITS = {
    "8": 31, "16": 16, "61": 16, "160": 16, "24": 24, "32": 32, "80": 8, "212": 12, "310": 10,
    "311": 10,
}  # fmt: skip
RANGE = {form: 2 ** (bits - 1) for form, bits in _BITS.items()}
"""Values lie below this and above its negative, which marks a missing sample."""


@dataclass(frozen=True)
class Signal:
    """One signal: stored values at full rate, and how its line describes them."""

    values: np.ndarray
    name: str
    gain: str = "1000(0)/mV"
    format: str = "16"
    per_frame: int = 1
    skew: int = 0
    file: str = ""
    checksum: int | None = None


def encode(values: np.ndarray, form: str) -> bytes:
    """Return the bytes of interleaved values."""
    v = values.astype(np.int64)
    if form in {"16", "24", "32"}:
        size = int(form) // 8
        return v.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :size].tobytes()
    if form == "61":
        return v.astype(">i2").tobytes()
    if form in {"80", "160"}:
        return (v + RANGE[form]).astype("<u1" if form == "80" else "<u2").tobytes()
    if form == "8":
        return v.astype("<i1").tobytes()
    group = 2 if form == "212" else 3
    v = np.append(v, np.zeros(-len(v) % group, np.int64)).reshape(-1, group)
    if form == "212":
        a, b = (v & 0xFFF).T
        triples = np.stack([a & 0xFF, (a >> 8) | ((b >> 8) << 4), b & 0xFF], axis=1)
        return triples.astype(np.uint8).tobytes()
    a, b, c = (v & 0x3FF).T
    if form == "311":
        return (a | b << 10 | c << 20).astype("<u4").tobytes()
    words = np.stack([a << 1 | (c & 0x1F) << 11, b << 1 | (c >> 5) << 11], axis=1)
    return words.astype("<u2").tobytes()


def checksum(values: np.ndarray) -> int:
    """Return the sum of all samples as the header gives it: 16 bits with a sign."""
    return (int(values.sum()) + 2**15) % 2**16 - 2**15


def write(
    folder: Path,
    name: str,
    signals: list[Signal],
    *,
    rate: float = 500,
    offset: int = 0,
    comments: str = f"#Age: 50\n#Sex: Male\n#Dx: {SINUS}",
    first: str | None = None,
) -> Path:
    """Write a record; rate is of frames, and signals of one file share its format."""
    folder.mkdir(parents=True, exist_ok=True)
    signals = [replace(s, file=s.file or f"{name}.dat") for s in signals]
    frames = len(signals[0].values) // signals[0].per_frame
    for file in {s.file for s in signals}:
        own = [s for s in signals if s.file == file]
        stored = [
            np.diff(s.values, prepend=s.values[0]) if s.format == "8" else s.values for s in own
        ]
        pieces = zip(stored, own, strict=True)
        blocks = [values.reshape(frames, s.per_frame) for values, s in pieces]
        data = encode(np.concatenate(blocks, axis=1).ravel(), own[0].format)
        (folder / Path(file).name).write_bytes(b"\x7f" * offset + data)
    lines = [first or f"{name} {len(signals)} {rate:g} {frames}"]
    for s in signals:
        form = s.format + (f"x{s.per_frame}" if s.per_frame > 1 else "")
        form += (f":{s.skew}" if s.skew else "") + (f"+{offset}" if offset else "")
        total = checksum(s.values) if s.checksum is None else s.checksum
        lines.append(f"{s.file} {form} {s.gain} 16 0 {s.values[0]} {total} 0 {s.name}")
    path = folder / f"{name}.hea"
    path.write_text("\n".join([*lines, comments]) + "\n", "utf-8")
    return path


def noise(rng: np.random.Generator, samples: int, form: str = "16", top: int = 2000) -> np.ndarray:
    """Return values that a format can hold, with steps that fit format 8."""
    if form == "8":
        return np.cumsum(rng.integers(-20, 21, samples))
    most = min(top, RANGE[form] - 1)
    return rng.integers(-most, most + 1, samples)


def twelve(rng: np.random.Generator, samples: int = 2000, **more: object) -> list[Signal]:
    """Return the twelve leads, all alike but for their values."""
    form = str(more.get("format", "16"))
    return [Signal(noise(rng, samples, form), lead, **more) for lead in LEADS]  # type: ignore[arg-type]
