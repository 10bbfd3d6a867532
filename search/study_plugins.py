"""The plug-ins of a study: by name and source in its definition, asked for by its workers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import StrictStr

from definitions import definition, key
from definitions.plugins import LOADED, Plugin, added_by, declare, load_plugin
from search.errors import StudyError

EXPECTED = "a list of files or folders beside this one, or names of installed plug-ins"
Adds = Mapping[str, Mapping[str, Mapping[str, Any]]]


@definition(StudyError, "a plug-in of a study")
class UsedPlugin:
    """A plug-in as a study keeps it: the hash of its source, and what it adds by kind and name."""

    name: Annotated[StrictStr, key("Name of its file.", max_length=50)]
    hash: Annotated[StrictStr, key("Hash of its source.", max_length=64)]
    adds: Annotated[Adds, key("What it adds.")]

    @classmethod
    def of(cls, plugin: Plugin) -> UsedPlugin:
        """Describe a loaded plug-in."""
        return cls(plugin.name, plugin.hash, added_by(plugin))


def load_listed(listed: Iterable[Any], folder: Path) -> list[dict[str, Any]]:
    """Load the plug-ins that a definition file lists, paths being relative to its folder.

    Returns them, and those that were loaded before, as a study keeps them.
    """
    for entry in listed:
        if not isinstance(entry, str):
            raise StudyError(
                f"expected plugins to be {EXPECTED}, got {entry!r}: write its path or name"
            )
        beside = folder / entry
        load_plugin(beside if entry.endswith(".py") or beside.is_dir() else entry)
    return [
        {"name": used.name, "hash": used.hash, "adds": used.adds}
        for used in map(UsedPlugin.of, LOADED.values())
    ]


def declare_stored(stored: object) -> None:
    """Let what a stored definition's plug-ins add be known by name."""
    for entry in stored if isinstance(stored, list | tuple) else ():
        if isinstance(entry, Mapping) and isinstance(entry.get("adds"), Mapping):
            declare(entry["adds"])


def is_traced(stored: object, family: object) -> bool:
    """Tell whether a plug-in of a stored definition builds its networks, whose cost is traced."""
    adds = [one.get("adds", {}) for one in stored] if isinstance(stored, list | tuple) else []
    return any(each.get("family", {}).get(family, {}).get("traced", False) for each in adds)


def listing(
    listed: tuple[UsedPlugin, ...], used: Iterable[Plugin | None]
) -> tuple[UsedPlugin, ...]:
    """Return the plug-ins of a study with those that its definition uses, ours being None."""
    known = {one.name for one in listed}
    for plugin in used:
        if plugin is None or plugin.name in known:
            continue
        if not plugin.name:
            raise StudyError(
                "expected everything that a study uses to come from a plug-in, got something that "
                "was registered in this process: put it into a file, so that workers have it, and "
                "load that with load_plugin"
            )
        listed = (*listed, UsedPlugin.of(plugin))
        known.add(plugin.name)
    return listed


def require_plugins(study: str, listed: Iterable[UsedPlugin]) -> None:
    """Refuse to go on without the very plug-ins that a study was created with."""
    for one in listed:
        loaded = LOADED.get(one.name)
        if loaded is None or loaded.hash != one.hash:
            got = f"{loaded.hash} from {loaded.where}" if loaded else "none"
            remedy = (
                "give the file as it was when the study was created"
                if loaded
                else f"give it with --plugin {one.name}.py, or in $ECGSCALE_PLUGINS"
            )
            raise StudyError(
                f"expected the plug-in {one.name} of the study {study} with the source {one.hash}, "
                f"got {got}: {remedy}"
            )
