"""Values, limits and choices in words: short, on one line, however long or deep they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

SHOWN = 60
LONGEST_WORD = 50


def shown(value: object) -> str:
    """Return what came, as a short piece of one line."""
    if isinstance(value, Mapping):
        return "a table of keys and values" if value else "an empty table"
    if isinstance(value, list | tuple):
        if _deep(value):
            return "lists within lists"
        parts = [shown(part) for part in value[:4]] + ["…"] * (len(value) > 4)
        return _cut(f"[{', '.join(parts)}]")
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**SHOWN:  # Python refuses to print very long ones
        return f"a whole number of about {value.bit_length() * 0.30103:.0f} digits"
    return _cut(repr(value[: 2 * SHOWN]) if isinstance(value, str) else repr(value))


def number(value: float) -> str:
    """Return a number as people write it: 10,000, 0.05 and 1e15."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def joined(words: Iterable[object]) -> str:
    """Return 'a, b or c'."""
    *most, last = [str(word) for word in words]
    return f"{', '.join(most)} or {last}" if most else last


def hint(word: object, known: Iterable[str], otherwise: str) -> str:
    """Ask whether the nearest known word was meant; where none is near, say what to do."""
    from difflib import get_close_matches  # what only an error needs

    if isinstance(word, str) and len(word) <= LONGEST_WORD:
        for match in get_close_matches(word, list(known), n=1):
            return f"did you mean {match!r}?"
    return otherwise


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _deep(value: list[Any] | tuple[Any, ...], limit: int = 3) -> bool:
    return limit == 0 or any(_deep(p, limit - 1) for p in value[:4] if isinstance(p, list | tuple))
