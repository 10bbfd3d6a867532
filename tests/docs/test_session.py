"""What the documentation says can be typed is typed: one session per page, in a clean folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, Block, blocks

SQL = """
import sys, pandas, search
frame = pandas.read_sql(sys.stdin.read().replace("%", "%%"), search.open_storage(None).engine)
assert len(frame), "no rows"
"""
pytestmark = [pytest.mark.slow, pytest.mark.longest]


class Session:
    """A shell in a folder of its own, with a database of its own and the command on its path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        programs = folder / "bin"
        for path in (self.folder, programs):
            path.mkdir()
        for name, words in (("ecgscale", "-m ecgscale"), ("python", "")):
            script = f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n'
            (programs / name).write_text(script, encoding="utf-8")
            (programs / name).chmod(0o755)
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ECGSCALE_")}
        self.environment = clean | {
            "OMP_NUM_THREADS": "1",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "XDG_DATA_HOME": str(folder / "home"),
        }

    def type(self, block: Block) -> None:
        """Do what the block's reader does with it: type it, or write it to its file."""
        if block.title:
            (self.folder / block.title).write_text(block.text, encoding="utf-8")
            return
        words = {
            "bash": ["bash", "-euo", "pipefail", "-c", block.text],
            "python": ["python", "-c", block.text],
            "sql": ["python", "-c", SQL],
        }[block.language]
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            input=block.text if block.language == "sql" else "",
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    opened = Session(tmp_path)
    yield opened
    subprocess.run(["ecgscale", "stop-db"], env=opened.environment, check=False)


@pytest.mark.timeout(1800)
def test_the_tutorial_and_the_pages_that_build_on_its_study(session: Session) -> None:
    marked = {page: [one for one in blocks(page) if one.mark == "run"] for page in PAGES}
    tutorial = marked.pop("docs/tutorial.md")
    last = next(n for n, one in enumerate(tutorial) if "stop-db" in one.text)
    others = [block for page in marked.values() for block in page]
    for block in (*tutorial[:last], *others, *tutorial[last:]):
        session.type(block)
    assert (session.folder / "report/report.html").stat().st_size > 100_000
    assert list((session.folder / "family").glob("*.json"))


@pytest.mark.timeout(1800)
def test_the_notebook(session: Session) -> None:
    notebook = json.loads((ROOT / "docs/tutorial.ipynb").read_text("utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    script = session.folder / "notebook.py"
    script.write_text("\n\n".join(cells), encoding="utf-8")
    text = f"python {script}"
    session.type(Block("docs/tutorial.ipynb", 1, "bash", "", text, "run"))
    assert (session.folder / "report/report.html").is_file()
