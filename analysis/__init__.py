"""From the trials of a study to what can be said about it.

For notebooks: `analysis.table(study)` is the table every method takes, for example
`analysis.questions.effects.main.effects(table)`, or what
`analysis.report.write.write_report(table, folder)` takes for the whole report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna
    import pandas as pd

    from analysis.trials.table import TrialTable
    from search.database.storage import Storage

__all__ = ["table"]


def table(
    study: str | optuna.Study | pd.DataFrame,
    storage: str | Storage | optuna.storages.BaseStorage | None = None,
    *,
    cost: str = "flops",
    objective: str | None = None,
    maximize: bool | None = None,
    where: str | None = None,
) -> TrialTable:
    """Return the trial table of a study of ours, of anybody's Optuna study, or of a data frame.

    Args:
        study: An Optuna study with one objective, the name of one, a name of a study of ours, or
            a frame with one row per trial.
        storage: Where a study given by name lives: a storage of Optuna's, any URL that Optuna
            reads, or "embedded[:DIR]"; by default ours ($ECGSCALE_STORAGE, else the embedded one).
        cost: The user attribute (or column) that counts what a trial's architecture costs.
        objective: The column of scores of a frame, or the metric of a study of ours to analyse;
            by default macro_f1. An Optuna study of another kind has only its own.
        maximize: Whether more is better; by default what an Optuna study says, and elsewhere yes
            but for a calibration error.
        where: Condition on factors and costs, to keep a part of the networks: "residual and
            mflops < 100".

    Raises:
        AnalysisError: there is no such study, it has several objectives, a trial has no cost, or no
            network meets the condition.
    """
    from analysis.trials.find import find_table  # pandas and optuna take a second to import

    return find_table(
        study, storage, cost=cost, objective=objective, maximize=maximize, where=where
    )
