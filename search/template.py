"""A study's file to copy, made from the definition that checks such files."""

from __future__ import annotations

from typing import Any

from definitions.schema import known_keys
from search.definition import StudyDefinition


def template() -> str:
    """Return a study's file that holds every key at its default, with what each may be."""
    lines = []
    section = ""
    for key in known_keys(StudyDefinition):
        if key.section != section:
            section = key.section
            lines.append(f"\n[{section}]")
        value = "…" if key.default is None else as_toml(key.default)
        off = "# " if key.default is None else ""
        lines.append(f"# {key.meaning} {_sentence(key.expected)}\n{off}{key.name} = {value}")
    return "\n".join(lines)


def as_toml(value: Any) -> str:
    """Write a value as people do."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, float):
        return f"{value:g}".replace("e+0", "e")  # 2e6, as people write it
    return f'"{value}"' if isinstance(value, str) else str(value)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."
