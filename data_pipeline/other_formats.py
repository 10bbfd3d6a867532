"""WFDB's other formats, decoded by wfdb and held against the header by us.

wfdb refuses many headers, averages the samples of a frame and checks neither lengths nor sums,
so it gets a plain header that names digital values alone, and gives all samples at full rate.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import DataError
from data_pipeline.headers import Header, SignalLine
from data_pipeline.signal_files import find_signal_file

_BYTES = {
    "8": (1, 1),
    "16": (2, 1),
    "24": (3, 1),
    "32": (4, 1),
    "61": (2, 1),
    "80": (1, 1),
    "160": (2, 1),
    "212": (3, 2),
    "310": (4, 3),
    "311": (4, 3),
}
"""Bytes for how many samples, of the formats that are not compressed."""
_COMPRESSED = frozenset({"508", "516", "524"})
_MISSING = {
    "16": -(2**15),
    "61": -(2**15),
    "160": -(2**15),
    "516": -(2**15),
    "24": -(2**23),
    "524": -(2**23),
    "32": -(2**31),
    "80": -128,
    "508": -128,
    "212": -2048,
    "310": -512,
    "311": -512,
}
"""Stored value of a missing sample; format 8 has none."""


def decode(header: Header) -> list[NDArray[np.int64]]:
    """Return what is stored of every signal: samples per frame times the frames, each.

    Raises:
        DataError: a file is missing, too short or not what the header says.
    """
    import wfdb

    for line in header.signals:
        if line.format not in _BYTES and line.format not in _COMPRESSED:
            raise DataError(f"format {line.format} of {line.name or line.file} is not known")
    sources = {name: find_signal_file(header.path, name) for name in _files(header)}
    header = replace(header, samples=_frames(header, sources))
    with tempfile.TemporaryDirectory() as scratch:
        name = _plain_copy(header, sources, Path(scratch))
        try:
            record = wfdb.rdrecord(name, physical=False, smooth_frames=False)
        except OSError:
            raise
        except Exception as error:
            # wfdb raises whatever its parts raise on files that are not as they should be.
            raise DataError(f"wfdb cannot read it: {type(error).__name__}: {error}") from error
    stored = [np.asarray(signal, dtype=np.int64) for signal in record.e_d_signal]
    for line, signal in zip(header.signals, stored, strict=True):
        frames = header.samples
        if frames is not None and len(signal) != frames * line.samples_per_frame:
            raise DataError(f"truncated: {len(signal)} samples of {line.name}")
    return stored


def missing_value(line: SignalLine) -> int | None:
    """Return the stored value that marks a missing sample in the format of a signal."""
    return _MISSING.get(line.format)


def _files(header: Header) -> list[str]:
    return list(dict.fromkeys(line.file for line in header.signals))


def _frames(header: Header, sources: dict[str, Path]) -> int | None:
    """Return the number of frames, after a look at the sizes of the files that tell it."""
    frames = header.samples
    for name, path in sources.items():
        lines = [line for line in header.signals if line.file == name]
        first = lines[0]
        if len({(line.format, line.byte_offset) for line in lines}) > 1:
            raise DataError(f"gives {name} several formats")
        if first.format in _COMPRESSED:
            continue
        size, samples = _BYTES[first.format]
        room = path.stat().st_size - first.byte_offset
        per_frame = sum(line.samples_per_frame for line in lines)
        available = max(room, 0) * samples // size // per_frame
        if frames is None:
            frames = available
        if frames > available:
            raise DataError(f"truncated: {available} of {frames} samples in {name}")
    return frames


def _plain_copy(header: Header, sources: dict[str, Path], scratch: Path) -> str:
    """Write a header without dates and oddities beside links to its signal files."""
    links = {name: f"f{number}.dat" for number, name in enumerate(sources)}
    swapped = {s.file for s in header.signals if s.format == "61"}
    for name, path in sources.items():
        if name in swapped:
            _swap_bytes(path, scratch / links[name], header)
        else:
            (scratch / links[name]).symlink_to(path.resolve())
    lines = [f"record {len(header.signals)} 1" + (f" {header.samples}" if header.samples else "")]
    # Skew is left to the caller, who needs the samples as stored for their sum.
    lines += [
        f"{links[s.file]} {_OUR_FORMAT.get(s.format, s.format)}x{s.samples_per_frame}"
        f"+{0 if s.file in swapped else s.byte_offset} 1(0)/NU 16 0 {s.initial} 0 0 s{number}"
        for number, s in enumerate(header.signals)
    ]
    (scratch / "record.hea").write_text("\n".join(lines) + "\n", "utf-8")
    return str(scratch / "record")


_OUR_FORMAT = {"61": "16"}


def _swap_bytes(path: Path, copy: Path, header: Header) -> None:
    """Turn format 61 into 16, as wfdb fails on the digital values of big-endian files."""
    offset = next(s.byte_offset for s in header.signals if s.format == "61")
    np.fromfile(path, dtype=">i2", offset=offset).astype("<i2").tofile(copy)
