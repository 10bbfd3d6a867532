"""The keys of a definition, and what each may be, from pydantic's JSON schema of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from pydantic import TypeAdapter

from definitions.words import joined, number

Part = Mapping[str, Any]


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
    schema = Schema(cls)
    found: list[KnownKey] = []
    sections: list[KnownKey] = []
    types = {field.name: field for field in fields(cls)}
    for name, part in schema.keys(()).items():
        default = types[name].default
        if schema.keys((name,)):
            sections += known_keys(type(default), name)
            continue
        default = None if default is MISSING else default
        meaning, option = part.get("description", ""), part.get("option")
        found.append(KnownKey(section, name, schema.expected((name,)), default, meaning, option))
    return found + sections


class Schema:
    """The JSON schema of a definition, read by the place of a key: ("recipe", "epochs")."""

    def __init__(self, cls: type[Any]) -> None:
        self.root: Part = TypeAdapter(cls).json_schema()

    def at(self, place: tuple[str, ...]) -> Part:
        """Return what is said of a key, {} where there is none."""
        part = self.root
        for name in place:
            part = part.get("properties", {}).get(name, {})
            part = {**self._referred(part), **part}
        return part

    def keys(self, section: tuple[str, ...]) -> Part:
        """Return the keys of a section, {} if it is none."""
        found: Part = self.at(section).get("properties", {})
        return found

    def expected(self, place: tuple[str, ...]) -> str:
        """Say what a key may be."""
        return self._words(self.at(place))

    def _words(self, part: Part) -> str:
        if "expected" in part:
            return str(part["expected"])
        if "anyOf" in part:
            kinds = [one for one in part["anyOf"] if one.get("type") != "null"]
            return joined(dict.fromkeys(self._words(one) for one in kinds))
        if "enum" in part:
            return f"one of {', '.join(repr(value) for value in part['enum'])}"
        most = f" of at most {part['maxLength']:,} characters" if "maxLength" in part else ""
        return {
            "integer": f"a whole number{_limits(part)}",
            "number": f"a number{_limits(part)}",
            "string": f"a text in quotes{most}",
            "boolean": "true or false",
            "array": "a list",
        }.get(part.get("type", ""), "a table of keys and values")

    def _referred(self, part: Part) -> Part:
        name = part.get("$ref", "").rpartition("/")[2]
        return self.root["$defs"][name] if name else {}


def _limits(part: Part) -> str:
    low, high = part.get("minimum"), part.get("maximum")
    if low is not None and high is not None:
        return f" from {number(low)} to {number(high)}"
    limits = {
        "at least": low,
        "above": part.get("exclusiveMinimum"),
        "at most": high,
        "below": part.get("exclusiveMaximum"),
    }
    words = [f"{word} {number(limit)}" for word, limit in limits.items() if limit is not None]
    return f" {' and '.join(words)}" if words else ""
