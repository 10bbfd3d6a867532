"""Things that are chosen by name, and plug-ins: Python of a user's own that adds to them.

A plug-in is a file, a folder with an __init__.py, or an installed module behind an entry point of
the group `ecgscale.plugins`. It registers what it adds when it is imported. Its name is that of the
file, folder or entry point; its hash is that of its source, so that a study can tell it again.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from definitions.words import hint, joined, shown

T = TypeVar("T")
Facts = Mapping[str, Any]
VARIABLE = "ECGSCALE_PLUGINS"
INHERITED = frozenset(os.environ.get(VARIABLE, "").split(os.pathsep))
"""What the environment named before anything was loaded."""
GROUP = "ecgscale.plugins"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,49}")
MODULE = "ecgscale_plugin_"


class PluginError(ValueError):
    """A plug-in cannot be loaded, or adds something that cannot be added."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A loaded plug-in; `hash` is 16 hex digits of its source, `where` its path or entry point."""

    name: str
    hash: str
    where: str = field(default="", compare=False)


UNNAMED = Plugin("", "", "this process")
"""Stands for what is registered outside a plug-in, in a notebook say: no study can name it."""

LOADED: dict[str, Plugin] = {}
REGISTRIES: dict[str, Registry[Any]] = {}
_loading: list[Plugin] = []


class Registry(Mapping[str, T], Generic[T]):
    """Things of one kind by name: ours, and those that plug-ins added.

    kind: what one is called, such as "loss". facts: what a study keeps of one, to be read where its
    plug-in is not loaded. absent: makes of these what stands for it there.
    """

    def __init__(
        self,
        kind: str,
        items: Mapping[str, T],
        *,
        facts: Callable[[T], Facts] = lambda _: {},
        absent: Callable[[str, Facts], T] | None = None,
    ) -> None:
        self.kind = kind
        self._items = dict(items)
        self._added: dict[str, Plugin] = {}
        self._declared: dict[str, T | None] = {}
        self._facts, self._absent = facts, absent
        REGISTRIES[kind] = self

    def __getitem__(self, name: str) -> T:
        if name in self._items:
            return self._items[name]
        stand_in = self._declared[name]
        if stand_in is None:
            raise PluginError(
                f"expected the plug-in that adds the {self.kind} {name!r}, got none: load it with "
                "--plugin"
            )
        return stand_in

    def __iter__(self) -> Iterator[str]:
        yield from self._items
        yield from (name for name in self._declared if name not in self._items)

    def __len__(self) -> int:
        return len(set(self._items) | set(self._declared))

    def __contains__(self, name: object) -> bool:
        return name in self._items or name in self._declared

    def add(self, name: str, item: T) -> T:
        """Add a thing under a name that is free; in a plug-in it belongs to that."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise PluginError(
                f"expected a name of a {self.kind} of small letters, digits, '_' and '-' (at most "
                f"50), got {shown(name)}: rename it"
            )
        if name in self._items and self._added.get(name) != UNNAMED:
            raise PluginError(
                f"expected a {self.kind} under a name that is free, got {name!r}, which "
                f"{self._whose(name)} has: rename yours"
            )
        self._items[name] = item
        self._added[name] = _loading[-1] if _loading else UNNAMED
        return item

    def declare(self, name: str, facts: Facts) -> None:
        """Let a name be known that a study's plug-in adds, which may not be loaded here."""
        self._declared.setdefault(name, self._absent(name, facts) if self._absent else None)

    def plugin(self, name: str) -> Plugin | None:
        """Return the plug-in that added a name, None for one of ours."""
        return self._added.get(name)

    def lacks(self, name: str) -> bool:
        """Tell whether a name is known from a study alone, without its plug-in."""
        return name in self._declared and name not in self._items

    def of(self, plugins: Collection[str]) -> dict[str, T]:
        """Return ours and those of some plug-ins, by name."""
        theirs = {name for name, added in self._added.items() if added.name not in plugins}
        return {name: item for name, item in self._items.items() if name not in theirs}

    def added_by(self, plugin: Plugin) -> dict[str, Facts]:
        """Return what a plug-in added, with what a study keeps of it."""
        names = [name for name, added in self._added.items() if added == plugin]
        return {name: self._facts(self._items[name]) for name in names}

    def known(self, name: str) -> str:
        """Return a name that there is; ValueError for any other."""
        if name not in self:
            raise ValueError(name)
        return name

    def unknown(self, name: object, remedy: str = "choose one of these") -> str:
        """Say that there is no such thing."""
        return (
            f"expected a {self.kind} ({joined(self)}), got {shown(name)}: "
            f"{hint(name, self, remedy)}"
        )

    def forget(self, plugin: Plugin) -> None:
        """Remove what a plug-in added."""
        for name in [name for name, added in self._added.items() if added == plugin]:
            del self._items[name], self._added[name]

    def _whose(self, name: str) -> str:
        added = self._added.get(name)
        return "ecgscale itself" if added is None else f"the plug-in {added.name}"


def load_plugin(where: str | Path) -> Plugin:
    """Load a plug-in once: a file, a folder with an __init__.py, or the name of an installed one.

    Processes that are started from here load it as well, by $ECGSCALE_PLUGINS. Raises PluginError.
    """
    path = Path(where)
    if path.suffix == ".py" or path.is_dir() or os.sep in str(where):
        path = path.absolute()
        plugin = Plugin(path.stem, _source_hash(path), str(path))
        run = _run_folder if path.is_dir() else _run_file
    else:
        plugin, run = _installed(str(where)), _run_installed
    if not NAME.fullmatch(plugin.name):
        raise PluginError(
            "expected a plug-in's file or folder with a name of small letters, digits, '_' and "
            f"'-', got {shown(path.name)}: rename it"
        )
    known = LOADED.get(plugin.name)
    if known is not None:
        if known != plugin:
            raise PluginError(
                f"expected one plug-in called {plugin.name}, got {known.where} with the source "
                f"{known.hash} and {plugin.where} with {plugin.hash}: rename one, or start anew"
            )
        return known
    _loading.append(plugin)
    try:
        run(plugin)
    except BaseException as error:
        forget(plugin)
        if isinstance(error, PluginError) or not isinstance(error, Exception):
            raise
        raise PluginError(
            f"expected a plug-in that can be imported, got {type(error).__name__} from "
            f"{plugin.where}{_line(error, plugin)}: {error}"
        ) from error
    finally:
        _loading.pop()
    LOADED[plugin.name] = plugin
    named = [*filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))]
    if plugin.where not in named:
        os.environ[VARIABLE] = os.pathsep.join([*named, plugin.where])
    return plugin


def load_named() -> None:
    """Load the plug-ins that $ECGSCALE_PLUGINS names."""
    for where in filter(None, os.environ.get(VARIABLE, "").split(os.pathsep)):
        load_plugin(where)


def forget(plugin: Plugin) -> None:
    """Undo the loading of a plug-in."""
    for registry in REGISTRIES.values():
        registry.forget(plugin)
    LOADED.pop(plugin.name, None)
    sys.modules.pop(MODULE + plugin.name, None)
    named = os.environ.get(VARIABLE, "").split(os.pathsep)
    os.environ[VARIABLE] = os.pathsep.join(one for one in named if one != plugin.where)


def added_by(plugin: Plugin) -> dict[str, dict[str, Facts]]:
    """Return what a plug-in added by kind and name, with what a study keeps of each."""
    found = {kind: registry.added_by(plugin) for kind, registry in REGISTRIES.items()}
    return {kind: names for kind, names in found.items() if names}


def declare(added: Mapping[str, Mapping[str, Facts]]) -> None:
    """Let what a study's plug-in adds be known by name, as `added_by` told it."""
    for kind, names in added.items():
        for name, facts in names.items():
            if kind in REGISTRIES:
                REGISTRIES[kind].declare(name, facts)


def _source_hash(path: Path) -> str:
    """Return 16 hex digits of a file's bytes, or of all .py files of a folder with their paths."""
    try:
        if not path.is_dir():
            return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if not (path / "__init__.py").is_file():
            raise PluginError(
                f"expected a plug-in's folder with an __init__.py, got {path} without: add it"
            )
        digest = hashlib.sha256()
        for file in sorted(path.rglob("*.py")):
            digest.update(f"{file.relative_to(path).as_posix()}\n".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()[:16]
    except OSError as error:
        raise PluginError(
            f"expected a plug-in at {path}, got: {error.strerror}; check the path"
        ) from None


def _installed(name: str) -> Plugin:
    """Find an installed plug-in; its source is the package that its entry point lies in."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        there = f"the installed ones ({joined(found)})" if found else "an installed one (none are)"
        raise PluginError(
            f"expected a plug-in's .py file, its folder, or the name of {there}, got "
            f"{shown(name)}: check it"
        )
    top = found[name].module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    places = [] if spec is None else [*(spec.submodule_search_locations or ()), spec.origin]
    if not places or places[0] is None:
        raise PluginError(
            f"expected the source of the plug-in {name} in the module {top}, got none: install it"
        )
    return Plugin(name, _source_hash(Path(places[0])), name)


def _run_installed(plugin: Plugin) -> None:
    (point,) = (one for one in entry_points(group=GROUP) if one.name == plugin.name)
    if point.module in sys.modules:  # imported before, it registered as nobody's
        importlib.reload(sys.modules[point.module])
    else:
        importlib.import_module(point.module)


def _run_file(plugin: Plugin) -> None:
    """Run the bytes of a file, which were hashed, as a module."""
    content = Path(plugin.where).read_bytes()
    if hashlib.sha256(content).hexdigest()[:16] != plugin.hash:
        raise PluginError(f"expected {plugin.where} to stay as it is, but it was changed just now")
    module = ModuleType(MODULE + plugin.name)
    module.__file__ = plugin.where
    sys.modules[module.__name__] = module
    exec(compile(content, plugin.where, "exec"), module.__dict__)


def _run_folder(plugin: Plugin) -> None:
    spec = importlib.util.spec_from_file_location(
        MODULE + plugin.name,
        Path(plugin.where) / "__init__.py",
        submodule_search_locations=[plugin.where],
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)


def _line(error: BaseException, plugin: Plugin) -> str:
    """Return the line of the plug-in that raised, if it was one."""
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.startswith(plugin.where):
            line = trace.tb_lineno
        trace = trace.tb_next
    if line is None:
        line = getattr(error, "lineno", None)
    return "" if line is None else f", line {line}"
