"""Keys, limits and errors of definitions, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches
from typing import Any

from pydantic import TypeAdapter, ValidationError

SHOWN = 60
LONGEST_WORD = 50
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that a definition may have, `section` "" on top, `default` None without one.

    option: what a command calls it, where that is not its name.
    """

    section: str
    name: str
    expected: str
    default: Any
    meaning: str
    option: str | None


def known_keys(cls: type[Any], section: str = "") -> list[KnownKey]:
    """List the keys of a definition, those of its sections after those on top."""
    schema = _Schema(cls)
    found: list[KnownKey] = []
    sections: list[KnownKey] = []
    types = {field.name: field for field in fields(cls)}
    for name, part in schema.properties("").items():
        default = types[name].default
        if schema.properties(name):
            sections += known_keys(type(default), name)
            continue
        default = None if default is MISSING else default
        meaning, option = part.get("description", ""), schema.title((name,))
        found.append(KnownKey(section, name, schema.expected(part), default, meaning, option))
    return found + sections


def sentence(cls: type[Any], found: ValidationError, values: object, what: str, where: str) -> str:
    """Say in one sentence what is wrong first: an unknown key before a wrong value."""
    schema = _Schema(cls)
    problems = {_place(schema, p["loc"]): p for p in found.errors(include_url=False)}
    unknown = [place for place in problems if place and not schema.at(place)]
    place = (unknown or list(problems))[0]
    name = ".".join(part for part in (where, *place) if part)
    if unknown:
        text = _unknown(schema, place, what, where)
    elif not place:
        text = f"expected {what} as a table of keys and values, got {shown(values)}: change it"
    else:
        words = schema.expected(schema.at(place))
        if title := schema.title(place):
            name = f"{name} ({title})"
        if problems[place]["type"] == "missing" and problems[place]["loc"] == place:
            text = f"expected {what} with {name}, {words}, got none: add it"
        else:
            value = _value(values, place)
            meant = nearest(value, schema.words(place)) if isinstance(value, str) else None
            hint = f"did you mean {meant!r}?" if meant else "change it"
            text = f"expected {name} to be {words}, got {shown(value)}: {hint}"
    more = len(problems) - 1
    return text + (f" (and {more} more of its keys)" if more else "")


def shown(value: object) -> str:
    """Return a value as a short piece of one line, however long or deep it is."""
    if isinstance(value, Mapping):
        return "a table of keys and values" if value else "an empty table"
    if isinstance(value, list | tuple):
        parts = [shown(part) for part in value[:4]] + ["…"] * (len(value) > 4)
        return _cut(f"[{', '.join(parts)}]") if not _deep(value) else "lists within lists"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**SHOWN:
        return f"a whole number of about {value.bit_length() * 0.30103:.0f} digits"
    return _cut(repr(value[: 2 * SHOWN]) if isinstance(value, str) else repr(value))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant."""
    matches = get_close_matches(word, list(known), n=1) if len(word) <= LONGEST_WORD else []
    return matches[0] if matches else None


def joined(words: Iterable[object]) -> str:
    """Return 'a, b or c'."""
    *most, last = [str(word) for word in words]
    return f"{', '.join(most)} or {last}" if most else last


class _Schema:
    """The JSON schema of a definition, with its references followed."""

    def __init__(self, cls: type[Any]) -> None:
        self.root: Schema = TypeAdapter(cls).json_schema()

    def at(self, place: tuple[str, ...]) -> Schema:
        """Return the schema of a key, {} where there is none."""
        part = self.root
        for name in place:
            part = self._followed(part).get("properties", {}).get(name, {})
        return part

    def properties(self, section: str) -> Schema:
        """Return the keys of a section, {} if it is none."""
        part = self.at((section,)) if section else self.root
        found: Schema = self._followed(part).get("properties", {})
        return found

    def title(self, place: tuple[str, ...]) -> str | None:
        """Return what users call a key, if that is not its name."""
        title = self.at(place).get("title")
        return None if title is None or _is_made_up(title, place[-1]) else title

    def words(self, place: tuple[str, ...]) -> list[str]:
        """Return the words that a key may be, [] where it takes others than words."""
        return [word for word in self.at(place).get("enum", []) if isinstance(word, str)]

    def expected(self, part: Schema) -> str:
        """Say what a key may be."""
        part = {**self._followed(part), **part}
        if "expected" in part:
            return str(part["expected"])
        if "anyOf" in part:
            kinds = [one for one in part["anyOf"] if one.get("type") != "null"]
            return joined(dict.fromkeys(self.expected(one) for one in kinds))
        if "enum" in part:
            return f"one of {', '.join(repr(value) for value in part['enum'])}"
        if "const" in part:
            return repr(part["const"])
        kind = part.get("type")
        if kind in ("integer", "number"):
            return ("a whole number" if kind == "integer" else "a number") + _limits(part)
        if kind == "string":
            most = part.get("maxLength")
            return "a text in quotes" + (f" of at most {most:,} characters" if most else "")
        return {
            "boolean": "true or false",
            "array": "a list",
            "object": "a table of keys and values",
        }.get(str(kind), "something else")

    def _followed(self, part: Schema) -> Schema:
        name = part.get("$ref", "").rpartition("/")[2]
        return self.root["$defs"][name] if name else part


def _place(schema: _Schema, location: tuple[int | str, ...]) -> tuple[str, ...]:
    """Return the part of a location that names keys, without places in lists or unions."""
    place: tuple[str, ...] = ()
    for part in location:
        section = schema.at(place)
        if not schema._followed(section).get("properties"):
            break
        place = (*place, str(part))
    return place


def _unknown(schema: _Schema, place: tuple[str, ...], what: str, where: str) -> str:
    *inside, word = place
    section = ".".join(part for part in (where, *inside) if part)
    known = [*schema.properties(inside[0] if inside else "")]
    kind = f"a key of {f'[{section}]' if section else what}"
    got = shown(word)
    homes = [name for name in ("", *schema.properties("")) if word in schema.properties(name)]
    if homes:
        home = f"under [{homes[0]}]" if homes[0] else "above all sections"
        return f"expected {kind}, got {got}, which belongs {home}: move it there"
    if meant := nearest(word, known):
        return f"expected {kind}, got {got}: did you mean {meant!r}?"
    return f"expected {kind} ({joined(known)}), got {got}: rename or remove it"


def _value(values: object, place: tuple[str, ...]) -> object:
    for name in place:
        values = values.get(name) if isinstance(values, Mapping) else getattr(values, name, None)
    return values


def _limits(part: Schema) -> str:
    low, above = part.get("minimum"), part.get("exclusiveMinimum")
    high, below = part.get("maximum"), part.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {in_words(low)} to {in_words(high)}"
    words = [
        f"{word} {in_words(limit)}"
        for word, limit in (
            ("at least", low),
            ("above", above),
            ("at most", high),
            ("below", below),
        )
        if limit is not None
    ]
    return f" {' and '.join(words)}" if words else ""


def in_words(value: float) -> str:
    """Return a limit as people write it: 10,000 and 1e15."""
    if value == int(value):
        return f"{int(value):,}" if abs(value) < 1e9 else f"{value:.0e}".replace("e+", "e")
    return f"{value:g}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _deep(value: list[Any] | tuple[Any, ...], limit: int = 3) -> bool:
    return limit == 0 or any(_deep(p, limit - 1) for p in value[:4] if isinstance(p, list | tuple))


def _is_made_up(title: str, name: str) -> bool:
    """Return whether pydantic made a title from the field's name."""
    return title.replace(" ", "_").lower() == name.lower()
