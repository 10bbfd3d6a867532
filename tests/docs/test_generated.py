"""The parts of the reference that are made of the code are those that the code makes now."""

from __future__ import annotations

import importlib.util
import tomllib
from types import ModuleType

import pytest

from tests.docs.blocks import ROOT

STALE = "is stale: run python docs/generate.py"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_are_fresh(generate: ModuleType) -> None:
    made = set()
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text("utf-8")
        assert generate.filled(text) == text, f"{path.relative_to(ROOT)} {STALE}"
        made |= {found[2] for found in generate.PART.finditer(text)}
    assert made == set(generate.MADE)


def test_drawings_are_fresh(generate: ModuleType) -> None:
    for name, drawing in generate.drawings().items():
        assert (ROOT / "docs/drawings" / name).read_text("utf-8") == drawing, f"{name} {STALE}"


def test_the_citation_has_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")


def test_a_stale_page_is_noticed(generate: ModuleType) -> None:
    page = "a\n<!-- made: diagnoses -->\nold\n<!-- end -->\nb\n"
    assert "atrial fibrillation" in generate.filled(page)
    assert generate.filled(page).startswith("a\n<!-- made: diagnoses -->\n")
