"""Plug-ins: loaded once, told by their source, undone when they fail."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from definitions import plugins
from definitions.plugins import UNNAMED, PluginError, Registry, load_plugin

SOURCE = """
from definitions.plugins import REGISTRIES
REGISTRIES["toy"].add("mine", 7)
"""


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[int]]:
    monkeypatch.setenv(plugins.VARIABLE, "")
    yield Registry("toy", {"ours": 1}, facts=lambda item: {"size": item})
    for plugin in list(plugins.LOADED.values()):
        plugins.forget(plugin)
    del plugins.REGISTRIES["toy"]


def test_a_file_adds_under_its_name_and_the_hash_of_its_source(toys, tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(SOURCE)
    plugin = load_plugin(file)
    assert (plugin.name, len(plugin.hash), plugin.where) == ("own", 16, str(file))
    assert load_plugin(file) == plugin, "loaded once"
    assert (toys["mine"], toys.plugin("mine"), toys.plugin("ours")) == (7, plugin, None)
    assert toys.of([]) == {"ours": 1}
    assert toys.of(["own"]) == {"ours": 1, "mine": 7}
    assert plugins.added_by(plugin) == {"toy": {"mine": {"size": 7}}}
    assert os.environ[plugins.VARIABLE] == str(file), "for the processes started from here"
    file.write_text(SOURCE + "# altered")
    with pytest.raises(PluginError, match="one plug-in called own"):
        load_plugin(file)
    plugins.forget(plugin)
    assert load_plugin(file).hash != plugin.hash


def test_a_folder_is_hashed_whole_wherever_it_lies(toys, tmp_path: Path) -> None:
    hashes = set()
    for place, size in (("a", 3), ("b", 3), ("c", 4)):
        folder = tmp_path / place / "own"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(
            "from definitions.plugins import REGISTRIES\nfrom .part import SIZE\n"
            "REGISTRIES['toy'].add('mine', SIZE)\n"
        )
        (folder / "part.py").write_text(f"SIZE = {size}\n")
        plugin = load_plugin(folder)
        hashes.add(plugin.hash)
        assert toys["mine"] == size
        plugins.forget(plugin)
        sys.modules.pop("ecgscale_plugin_own.part", None)
    assert len(hashes) == 2
    with pytest.raises(PluginError, match="with an __init__"):
        load_plugin(tmp_path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SOURCE + "1 / 0", r"ZeroDivisionError from .*own.py, line 4"),
        ("def (", r"SyntaxError from .*own.py, line 1"),
        (SOURCE.replace("mine", "ours"), "'ours', which ecgscale itself has: rename yours"),
        (SOURCE.replace("mine", "Mine!"), "small letters"),
    ],
)
def test_what_fails_leaves_nothing(toys, tmp_path: Path, source: str, message: str) -> None:
    file = tmp_path / "own.py"
    file.write_text(source)
    with pytest.raises(PluginError, match=message):
        load_plugin(file)
    assert dict(toys) == {"ours": 1}
    assert not plugins.LOADED
    assert "ecgscale_plugin_own" not in sys.modules


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("gone.py", "a plug-in at .*gone.py, got: No such file"),
        ("gone", "the name of"),
        ("Bad Name.py", "with a name of small letters"),
    ],
)
def test_what_is_no_plugin_is_told(toys, tmp_path: Path, monkeypatch, where, message) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Bad Name.py").write_text("")
    with pytest.raises(PluginError, match=message):
        load_plugin(where)


def test_names_of_absent_plugins_are_known_and_say_so_when_used(toys) -> None:
    plugins.declare({"toy": {"theirs": {"size": 3}}, "of a later version": {"x": {}}})
    assert "theirs" in toys
    assert toys.known("theirs") == "theirs"
    with pytest.raises(PluginError, match="the plug-in that adds the toy 'theirs'"):
        toys["theirs"]
    with pytest.raises(ValueError, match="other"):
        toys.known("other")
    standing = Registry("toy", {}, absent=lambda name, facts: facts["size"])
    standing.declare("theirs", {"size": 3})
    assert standing["theirs"] == 3


def test_what_a_notebook_registers_is_nobodys_and_can_be_registered_again(toys) -> None:
    toys.add("tried", 1)
    toys.add("tried", 2)
    assert (toys["tried"], toys.plugin("tried")) == (2, UNNAMED)


def test_an_installed_plugin_is_found_by_its_entry_point(tmp_path: Path) -> None:
    """In a process of its own: what is installed is read from sys.path."""
    package = tmp_path / "their_package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "ecg.py").write_text(SOURCE)
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ecgscale.plugins]\ntheirs = their_package.ecg\n")
    code = (
        "from definitions.plugins import *\n"
        "toys = Registry('toy', {})\nplugin = load_plugin('theirs')\n"
        "print(plugin.name, toys['mine'], toys.plugin('mine') == plugin, len(plugin.hash))"
    )
    paths = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "theirs 7 True 16\n"
