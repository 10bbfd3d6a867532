"""WFDB headers as they are found in the wild.

Everything is read by key, never by line or column: dates in any form, `#Age:` and `# Age:`, leads
in any case and order, gains without a unit. What cannot be understood raises DataError.
Format: physionet.org/physiotools/wag/header-5.htm
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data_pipeline.errors import DataError
from data_pipeline.store import LEADS

DEFAULT_GAIN = 200.0
"""Units per mV where a header gives none or 0, by the WFDB standard."""
SYNTHETIC_KEY = "synthetic"
"""Key of the comment that marks a record as made by a generator."""
_FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")
_GAIN = re.compile(r"([-+]?[\d.]+(?:[eE][-+]?\d+)?)?(?:\(([-+]?\d+)\))?(?:/(.*))?")
_COMMENT = re.compile(r"#\s*([^:]+?)\s*:\s*(.*)")
_LEAD_NAMES = {lead.upper(): lead for lead in LEADS}


@dataclass(frozen=True, slots=True)
class SignalLine:
    """One signal of a header: physical value = (stored value - baseline) / gain."""

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


@dataclass(frozen=True, slots=True)
class Header:
    """What a .hea file says. samples is None where it does not say; age in years, NaN unknown."""

    path: Path
    record: str
    segments: int
    sample_rate_hz: float
    samples: int | None
    signals: tuple[SignalLine, ...]
    age: float
    sex: str
    dx: tuple[str, ...]
    synthetic: bool

    def lead_rows(self) -> tuple[int, ...]:
        """Return where the twelve leads stand among the signals, in the order of LEADS."""
        found: dict[str, int] = {}
        for row, signal in enumerate(self.signals):
            lead = lead_name(signal.name)
            if lead is not None:
                found.setdefault(lead, row)
        missing = [lead for lead in LEADS if lead not in found]
        if missing:
            raise DataError(f"lacks {', '.join(missing)}")
        return tuple(found[lead] for lead in LEADS)


@lru_cache(maxsize=4096)
def lead_name(text: str) -> str | None:
    """Return the standard name of a lead, or None: `AVR`, `Lead aVR` and `avr` are aVR."""
    name = re.sub(r"[^A-Z0-9]", "", text.upper()).removeprefix("MDCECG").removeprefix("ECG")
    return _LEAD_NAMES.get(name.removeprefix("LEAD"))


def read_header(path: Path) -> Header:
    """Read a .hea file.

    Raises:
        DataError: the file cannot be read or understood; the message is the reason alone.
    """
    try:
        text = path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}") from error
    lines = [line.strip() for line in text.splitlines()]
    words = [line for line in lines if line and not line.startswith("#")]
    comments: dict[str, str] = {}
    for line in lines:
        match = _COMMENT.match(line)
        if match:
            comments.setdefault(match[1].lower(), match[2].strip())
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
    record, _, segments = first[0].partition("/")
    if len(first) < 2 or not first[1].isdigit():
        raise DataError(f"is not a WFDB header: it begins with {words[0][:40]!r}")
    count = int(first[1])
    # "500/1000(0)" gives a counter frequency and base, which do not matter here.
    rate = float(first[2].partition("/")[0].partition("(")[0]) if len(first) > 2 else 250.0
    samples = int(first[3]) if len(first) > 3 and first[3].isdigit() else 0
    if not (math.isfinite(rate) and rate > 0):
        raise DataError(f"gives the sampling rate {first[2]}")
    in_segments = int(segments) if segments else 0
    signals: tuple[SignalLine, ...] = ()
    if not in_segments:
        if len(words) - 1 < count:
            raise DataError(f"declares {count} signals but describes {len(words) - 1}")
        signals = tuple(_signal(line) for line in words[1 : count + 1])
    return Header(
        path=path,
        record=record.removesuffix(".mat").removesuffix(".dat"),
        segments=in_segments,
        sample_rate_hz=rate,
        samples=samples or None,
        signals=signals,
        age=parse_age(comments.get("age", "")),
        sex=parse_sex(comments.get("sex", "")),
        dx=parse_codes(comments.get("dx", "")),
        synthetic=SYNTHETIC_KEY in comments,
    )


def _signal(line: str) -> SignalLine:
    words = line.split()
    form = _match(_FORMAT, words[1]) if len(words) > 1 else None
    if form is None:
        raise DataError(f"has the signal line {line[:60]!r}")
    match = _match(_GAIN, words[2]) if len(words) > 2 else None
    gain = float(match[1]) if match and match[1] else 0.0
    # Without a baseline of its own, a signal's zero is that of the converter.
    zero = int(words[4]) if len(words) > 4 else 0
    if not math.isfinite(gain):
        raise DataError(f"has the gain {words[2]}")
    return SignalLine(
        file=words[0],
        format=form[1],
        samples_per_frame=int(form[2] or 1),
        skew=int(form[3] or 0),
        byte_offset=int(form[4] or 0),
        gain=gain or DEFAULT_GAIN,
        baseline=int(match[2]) if match and match[2] else zero,
        units=(match[3] if match else None) or "mV",
        checksum=int(words[6]) if len(words) > 6 else None,
        name=" ".join(words[8:]),
    )


@lru_cache(maxsize=4096)
def _match(pattern: re.Pattern[str], word: str) -> re.Match[str] | None:
    return pattern.fullmatch(word)


def parse_age(text: str) -> float:
    """Return an age in years; NaN where unknown, as the 300 that PTB-XL writes above 89."""
    try:
        age = float(text)
    except ValueError:
        return math.nan
    return age if 0 <= age <= 120 else math.nan


def parse_sex(text: str) -> str:
    """Return "female", "male" or "" where unknown."""
    word = text.strip().lower()
    if word in {"female", "f", "woman"}:
        return "female"
    return "male" if word in {"male", "m", "man"} else ""


def parse_codes(text: str) -> tuple[str, ...]:
    """Split a list of codes; drop blanks and repetitions, keep the order."""
    codes = (code.strip() for code in re.split(r"[,;|]", text))
    return tuple(dict.fromkeys(code for code in codes if code and code.lower() != "unknown"))
