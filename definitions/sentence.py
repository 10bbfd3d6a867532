"""What pydantic found wrong, in one sentence: what was expected, what came, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from definitions.schema import Schema
from definitions.words import hint, joined, shown

Place = tuple[str, ...]


def sentence(cls: type[Any], found: ValidationError, values: object, what: str, where: str) -> str:
    """Say what is wrong first: an unknown key, which others may follow from, or a wrong value.

    what: what the whole is called. where: the section that it stands in, "" on top.
    """
    schema = Schema(cls)
    problems = {_place(schema, one["loc"]): one for one in found.errors(include_url=False)}
    unknown = [place for place in problems if place and not schema.at(place)]
    place = (unknown or list(problems))[0]
    missing = problems[place]["type"] == "missing" and problems[place]["loc"] == place
    if unknown:
        text = _unknown(schema, place, what, where)
    elif not place:
        text = f"expected {what} as a table of keys and values, got {shown(values)}: change it"
    elif missing:
        words = schema.expected(place)
        text = f"expected {what} with {_dotted(where, place)}, {words}, got none: add it"
    else:
        text = _wrong(schema, place, _value(values, place), where)
    more = len(problems) - 1
    return text + (f" (and {more} more of its keys)" if more else "")


def _place(schema: Schema, location: tuple[int | str, ...]) -> Place:
    """Return the part of a location that names keys, without places in lists or unions."""
    place: Place = ()
    for part in location:
        if not schema.keys(place):
            break
        place = (*place, str(part))
    return place


def _wrong(schema: Schema, place: Place, value: object, where: str) -> str:
    option = schema.at(place).get("option")
    name = _dotted(where, place) + (f" ({option})" if option else "")
    choices = [word for word in schema.at(place).get("enum", []) if isinstance(word, str)]
    remedy = hint(value, choices, "change it")
    return f"expected {name} to be {schema.expected(place)}, got {shown(value)}: {remedy}"


def _unknown(schema: Schema, place: Place, what: str, where: str) -> str:
    *inside, word = place
    section = _dotted(where, tuple(inside))
    known = schema.keys(tuple(inside))
    kind, got = f"a key of {f'[{section}]' if section else what}", shown(word)
    for home in ((), *((name,) for name in schema.keys(()))):
        if word in schema.keys(home):
            there = f"under [{home[0]}]" if home else "above all sections"
            return f"expected {kind}, got {got}, which belongs {there}: move it there"
    near = hint(word, known, "")
    listed = "" if near else f" ({joined(known)})"
    return f"expected {kind}{listed}, got {got}: {near or 'rename or remove it'}"


def _dotted(where: str, place: Place) -> str:
    return ".".join(part for part in (where, *place) if part)


def _value(values: object, place: Place) -> object:
    for name in place:
        values = values.get(name) if isinstance(values, Mapping) else getattr(values, name, None)
    return values
