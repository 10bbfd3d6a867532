"""Write the report: one page that stands by itself and, beside it, a CSV for every figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.page.render import render
from analysis.report.computing import compute
from analysis.report.header import header
from analysis.report.results import Results
from analysis.report.sections import sections
from analysis.trials.table import TrialTable


def write_report(
    table: TrialTable,
    out_dir: Path,
    *,
    seed: int = 0,
    bootstraps: int = 200,
    facts: Mapping[str, Any] | None = None,
    curves: pd.DataFrame | None = None,
    class_scores: pd.DataFrame | None = None,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Compute, draw and write out_dir/report.html and out_dir/tables/*.csv; return the page.

    The same arguments give the same files. See `compute` for the arguments.
    """
    results = compute(
        table,
        seed=seed,
        bootstraps=bootstraps,
        facts=facts,
        curves=curves,
        class_scores=class_scores,
        progress=progress,
    )
    return write_results(results, out_dir)


def write_results(results: Results, out_dir: Path) -> Path:
    """Draw and write results that were computed before."""
    page = render(header(results), sections(results))
    tables = Path(out_dir) / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for name, data in page.tables.items():
        data.to_csv(tables / f"{name}.csv", index=False)
    results.table.frame.to_csv(tables / "trials.csv", index=False)
    path = Path(out_dir) / "report.html"
    path.write_text(page.html, encoding="utf-8")
    return path
