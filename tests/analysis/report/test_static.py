"""Figures as files: drawn where a browser is at hand, one clear sentence where none is."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from analysis.errors import AnalysisError
from analysis.questions.context import Context
from analysis.report import static as module
from analysis.trials.table import TrialTable
from ecgscale.analysis_commands import FigureFormat

BROWSERS = ("chromium", "google-chrome", "chrome", "chromium-browser")


@pytest.fixture(scope="module")
def context(small: TrialTable) -> Context:
    few = small.frame[small.frame["role"] == "sample"].head(15)  # too few for a surrogate: quick
    table = TrialTable(few.reset_index(drop=True), small.factors, small.study)
    return Context(table, bootstraps=20)


def test_unknown_format(context: Context, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="svg, pdf, png, got 'gif'"):
        module.write_figures(context, tmp_path, ["svg", "gif"])


def test_the_command_line_offers_every_format() -> None:
    assert tuple(FigureFormat) == module.FORMATS


def test_no_browser(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_browser(**_: object) -> None:
        raise RuntimeError("\nKaleido requires Google Chrome to be installed.\n\nMore.")

    monkeypatch.setattr("plotly.io.write_images", no_browser)
    with pytest.raises(AnalysisError, match=r"requires Google Chrome.*install them"):
        module.write_figures(context, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("kaleido") is None or not any(map(shutil.which, BROWSERS)),
    reason="needs kaleido and a Chromium",
)
def test_draws_files(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(module._figures(context))[:1]
    monkeypatch.setattr(module, "_figures", lambda _: first)
    (path,) = module.write_figures(context, tmp_path)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<svg")
    assert "Compute (FLOPs per ECG)" in text
