"""WFDB headers as they are found in the wild.

Everything is read by key, never by line or column: dates in any form, `#Age:` and `# Age:`, leads
in any case and order, gains without a unit. What cannot be understood raises DataError: no field
is replaced by a default because it could not be read.
Format: physionet.org/physiotools/wag/header-5.htm
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_pipeline.errors import DataError
from data_pipeline.lead_names import parse_lead
from data_pipeline.store import LEADS

DEFAULT_GAIN = 200.0
"""Units per mV where a header gives none or 0, by the WFDB standard."""
SYNTHETIC_KEY = "synthetic"
"""Key of the comment that marks a record as made by a generator."""
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(
    r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)?(?:\(([-+]?\d+)(?:\.0*)?\))?(?:/(.*))?"
)
_COMMENT = re.compile(r"^#\s*([^:]+?)\s*:\s*(.*)")
_TAGGED = re.compile(r"<([^<>:]+)>\s*:\s*([^<]*)")
_AGE = re.compile(r"0*(\d+(?:\.\d*)?)\s*(?:y(?:\.|rs?|ears?)?(?: old)?|(m(?:o|onths?)?))?")
MISSING_WORDS = frozenset(
    {"", "nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "unknown", "missing", "-", "?"}
)
"""What stands in files and tables where something is not known, in lower case."""


@dataclass(frozen=True, slots=True)
class SignalLine:
    """One signal of a header: physical value = (stored value - baseline) / gain.

    calibrated is False where the header gives no gain or 0: that of the standard stands in.
    initial is the value before the first difference of format 8.
    """

    file: str
    format: str
    samples_per_frame: int
    skew: int
    byte_offset: int
    gain: float
    baseline: int
    units: str
    checksum: int | None
    name: str
    calibrated: bool = True
    initial: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What a .hea file says. samples is None where it does not say; age in years, NaN unknown.

    segments are the names and lengths of the parts of a recording in several segments.
    """

    path: Path
    record: str
    segments: tuple[tuple[str, int], ...]
    sample_rate_hz: float
    samples: int | None
    signals: tuple[SignalLine, ...]
    age: float
    sex: str
    dx: tuple[str, ...]
    synthetic: bool

    def lead_rows(self, *, partial: bool = False) -> tuple[tuple[int, int], ...]:
        """Return where the twelve leads stand among the signals and their signs, as in LEADS.

        partial allows leads to be missing, which then stand at -1.
        """
        return _lead_rows(tuple(signal.name for signal in self.signals), partial)


@lru_cache(maxsize=256)
def _lead_rows(names: tuple[str, ...], partial: bool) -> tuple[tuple[int, int], ...]:
    found: dict[str, tuple[int, int]] = {}
    others = []
    for row, name in enumerate(names):
        lead, sign = parse_lead(name) or (None, 0)
        if lead is None:
            others.append(name)
        elif lead in found and found[lead][1] == sign:
            raise DataError(f"has two signals for {lead}")
        elif lead not in found or sign > 0:
            found[lead] = (row, sign)
    missing = [lead for lead in LEADS if lead not in found]
    if missing and not partial:
        instead = f" (has also {', '.join(map(repr, others[:6]))})" if others else ""
        raise DataError(f"lacks {', '.join(missing)}{instead}")
    return tuple(found.get(lead, (-1, 1)) for lead in LEADS)


def read_header(path: Path) -> Header:
    """Read a .hea file.

    Raises:
        DataError: the file cannot be read or understood; the message is the reason alone.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    lines = [line.strip() for line in text.splitlines()]
    words = [line for line in lines if line and not line.startswith("#")]
    comments: dict[str, str] = {}
    for line in (line for line in lines if line.startswith("#")):
        # MIT's records hold several in a line: "# <age>: 81  <sex>: M".
        for key, value in ("<" in line and _TAGGED.findall(line)) or _COMMENT.findall(line):
            known = comments.get(key.lower())
            comments[key.lower()] = f"{known},{value.strip()}" if known else value.strip()
    if not words:
        raise DataError("is empty")
    try:
        return _parse(path, words, comments)
    except DataError:
        raise
    except (ValueError, IndexError, OverflowError) as error:
        raise DataError(f"is not a WFDB header: {error}") from error


def _parse(path: Path, words: list[str], comments: dict[str, str]) -> Header:
    first = words[0].split()
    if len(first) < 2 or not first[1].isdecimal():
        raise DataError(f"is not a WFDB header: it begins with {words[0][:40]!r}")
    count = int(first[1])
    # "500/1000(0)" gives a counter frequency and base, which do not matter here.
    rate = float(first[2].partition("/")[0].partition("(")[0]) if len(first) > 2 else 250.0
    samples = int(first[3]) if len(first) > 3 and first[3].isdecimal() else 0
    if not (math.isfinite(rate) and rate > 0):
        raise DataError(f"gives the sampling rate {first[2]}")
    record, parts = segment_count(first[0], path)
    declared, what = (parts, "segments") if parts else (count, "signals")
    if len(words) - 1 != declared:
        raise DataError(f"declares {declared} {what} but describes {len(words) - 1}")
    return Header(
        path=path,
        record=record.removesuffix(".mat").removesuffix(".dat"),
        segments=tuple(_segment(line) for line in words[1:]) if parts else (),
        sample_rate_hz=rate,
        samples=samples or None,
        signals=() if parts else tuple(_signal(line) for line in words[1:]),
        age=parse_age(comments.get("age", "")),
        sex=parse_sex(comments.get("sex", "")),
        dx=parse_codes(comments.get("dx", "")),
        synthetic=SYNTHETIC_KEY in comments,
    )


def segment_count(word: str, path: Path) -> tuple[str, int]:
    """Split the first word of a header: the record and how many segments it has, 0 for none.

    `R1/3` has three segments; `folder/100` in 100.hea is a record named with its folder.
    """
    record, _, last = word.rpartition("/")
    if record and last.isdecimal() and last != path.stem:
        return record, int(last)
    return word.rpartition("/")[2], 0


def _segment(line: str) -> tuple[str, int]:
    words = line.split()
    if len(words) < 2 or not words[1].isdecimal():
        raise DataError(f"has the segment line {line[:60]!r}")
    return words[0], int(words[1])


def _signal(line: str) -> SignalLine:
    words = line.split()
    if len(words) < 2:
        raise DataError(f"has the signal line {line[:60]!r}")
    form, per_frame, skew, offset = _parse_format(words[1])
    gain, baseline, units = _parse_gain(words[2] if len(words) > 2 else "")
    return SignalLine(
        file=words[0],
        format=form,
        samples_per_frame=per_frame,
        skew=skew,
        byte_offset=offset,
        gain=gain or DEFAULT_GAIN,
        # Without a baseline of its own, a signal's zero is that of the converter.
        baseline=(int(words[4]) if len(words) > 4 else 0) if baseline is None else baseline,
        units=units,
        checksum=int(words[6]) if len(words) > 6 else None,
        name=" ".join(words[8:]),
        calibrated=gain != 0,
        initial=int(words[5]) if len(words) > 5 else 0,
    )


@lru_cache(maxsize=4096)
def _parse_format(word: str) -> tuple[str, int, int, int]:
    """Return the format, samples per frame, skew and byte offset."""
    match = _FORMAT.fullmatch(word)
    if match is None or match[2] == "0":
        raise DataError(f"has a signal line with the format {word[:40]!r}")
    return match[1], int(match[2] or 1), int(match[3] or 0), int(match[4] or 0)


@lru_cache(maxsize=4096)
def _parse_gain(word: str) -> tuple[float, int | None, str]:
    """Return the gain, 0 for none, the baseline and the unit."""
    match = _GAIN.fullmatch(word)
    gain = float(match[1] or 0) if match else math.nan
    if match is None or not math.isfinite(gain):
        raise DataError(f"has the gain {word[:40]!r}")
    return gain, int(match[2]) if match[2] else None, match[3] or "mV"


def parse_age(text: str) -> float:
    """Return an age in years; NaN where unknown, as the 300 that PTB-XL writes above 89."""
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        return math.nan
    age = float(match[1]) / (12 if match[2] else 1)
    return age if age <= 120 else math.nan


def parse_sex(text: str) -> str:
    """Return "female", "male" or "" where unknown."""
    word = text.strip().lower()
    if word in {"female", "f", "woman"}:
        return "female"
    return "male" if word in {"male", "m", "man"} else ""


def parse_codes(text: str) -> tuple[str, ...]:
    """Split a list of codes; drop blanks and repetitions, keep the order."""
    codes = (code.strip() for code in re.split(r"[,;|]", text))
    return tuple(dict.fromkeys(code for code in codes if code.lower() not in MISSING_WORDS))
