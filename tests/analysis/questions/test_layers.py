"""Numbers know nothing of drawing, and imports run one way."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import analysis

HERE = Path(analysis.__file__).parent
ORDER = ("trials", "stats", "surrogates", "page", "questions", "report")
IMPORT = re.compile(r"^\s*from analysis\.(\w+)", re.MULTILINE)


def test_numbers_import_no_plotly() -> None:
    names = [f"analysis.questions.{p.parent.name}.numbers" for p in HERE.glob("*/*/numbers.py")]
    assert len(names) >= 8
    code = f"import sys, {', '.join(names)}; assert 'plotly' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_imports_run_one_way() -> None:
    """A folder imports nothing of those that build on it."""
    for place, folder in enumerate(ORDER):
        above = set(ORDER[place + 1 :])
        for path in (HERE / folder).rglob("*.py"):
            found = set(IMPORT.findall(path.read_text(encoding="utf-8"))) & above
            assert not found, f"{path.relative_to(HERE)} imports {found}"
