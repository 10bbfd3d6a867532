"""Write the report: one page that stands by itself and, beside it, a CSV for every figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.errors import AnalysisError
from analysis.page.render import render
from analysis.questions.context import Context
from analysis.report.chapters import chapters
from analysis.report.gather import Material, gather
from analysis.report.header import header
from analysis.report.static import write_figures
from search.cohort import EACH
from search.study import Study

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from analysis.trials.table import TrialTable
    from search.database.storage import Storage
    from search.reading.records import Confirmed


def write_report(
    study: str | optuna.Study | pd.DataFrame | TrialTable,
    out_dir: Path,
    *,
    storage: str | Storage | optuna.storages.BaseStorage | None = None,
    where: str | None = None,
    against: str | TrialTable | None = None,
    curves: pd.DataFrame | None = None,
    class_scores: pd.DataFrame | None = None,
    confirmed: Confirmed | None = None,
    data: Path | None = None,
    ecgs: int = EACH,
    facts: Mapping[str, Any] | None = None,
    seed: int = 0,
    bootstraps: int = 200,
    figures: Sequence[str] = (),
    publish: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Path:
    """Compute, draw and write out_dir/report.html and its tables/*.csv; return the page.

    The command line takes this road, too. The same arguments give the same files.

    Args:
        study: What `analysis.table` takes, or a trial table. Of a study of ours, curves, scores by
            class and the confirmation are read from its database.
        out_dir: Folder for the page and its tables.
        storage: Where a study given by name lives, as for `analysis.table`.
        where: Condition on factors and costs, to keep a part of the networks.
        against: A study of another design space to compare with: its name, or its table.
        curves: Validation score by epoch (trial, epoch, value), where `study` is a table.
        class_scores: Scores by class, where `study` is a table.
        confirmed: What was confirmed on test records, where `study` is a table.
        data: The study's store: ECGs are drawn from it, and a study that was made before studies
            kept their cohort gets its table and flow from it.
        ecgs: How many test ECGs are drawn on which the recommended network was right, and as many
            on which it was wrong; 0 for none.
        facts: Rows for the page's header; `synthetic` overrides what the table says.
        seed: Seed of every permutation, bootstrap and posterior draw.
        bootstraps: Refits per interval of an importance.
        figures: Formats to write every figure in as well: svg, pdf, png.
        publish: Whether to put figures and findings into optuna-dashboard too.
        progress: Called with the name of each result before it is computed.
    """
    material = gather(study, storage, where=where, against=against, data=data, ecgs=ecgs)
    published = _publishable(material, where) if publish else None
    context = Context(
        material.table,
        seed=seed,
        bootstraps=bootstraps,
        facts=facts or {},
        curves=material.curves if curves is None else curves,
        class_scores=material.class_scores if class_scores is None else class_scores,
        confirmed=material.confirmed if confirmed is None else confirmed,
        cohort=material.cohort,
        ecgs=material.ecgs,
        other=material.other,
        progress=progress,
    )
    page = write_page(context, out_dir)
    if published is not None:
        from analysis.report import dashboard

        dashboard.publish(published, context)
    if figures:  # last, as it may find no browser
        write_figures(context, out_dir, figures)
    return page


def _publishable(material: Material, where: str | None) -> optuna.Study:
    """Return the Optuna study to publish to."""
    if where is not None:
        raise AnalysisError(
            "Expected --publish without --where, as the dashboard shows a study as a whole: give "
            "one of them."
        )
    if material.study is None:
        raise AnalysisError("Expected a study to publish to, got a table: give its study.")
    return material.study.optuna() if isinstance(material.study, Study) else material.study


def write_page(context: Context, out_dir: Path) -> Path:
    """Draw and write the page of a context, with the tables beside it."""
    page = render(header(context), chapters(context))
    tables = Path(out_dir) / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    for name, data in page.tables.items():
        data.to_csv(tables / f"{name}.csv", index=False)
    context.table.frame.to_csv(tables / "trials.csv", index=False)
    path = Path(out_dir) / "report.html"
    path.write_text(page.html, encoding="utf-8")
    return path
