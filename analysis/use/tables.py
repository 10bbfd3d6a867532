"""Tables of an evaluation, as text for people."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.quantities import score
from analysis.use.scores import EVERYONE, MACRO, METRICS, Scored

LABELS = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "f1": "F1",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "ece": "Calibration error",
}


def summary_table(scored: Scored) -> pd.DataFrame:
    """Return one row per network: the macro scores on all records, with intervals, as text."""
    everyone = of_everyone(scored.scores)
    return wide_table(everyone[everyone["class"] == MACRO], "network")


def of_everyone(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the scores on all records."""
    kind, group = EVERYONE
    return scores[(scores["kind"] == kind) & (scores["group"] == group)]


def wide_table(scores: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Return a row per value of the keys and a column of text per metric, in the given order."""
    written = scores.assign(value=[_written(row) for row in scores.itertuples()])
    order = list(dict.fromkeys(written[list(keys)].itertuples(index=False, name=None)))
    wide = written.pivot(index=list(keys), columns="metric", values="value")
    index = pd.MultiIndex.from_tuples(order) if len(keys) > 1 else [key for (key,) in order]
    table = wide.loc[index, list(METRICS)].rename(columns=LABELS).reset_index()
    table.columns.name = None
    return table.rename(columns=dict(zip([f"level_{i}" for i in range(9)], keys, strict=False)))


def _written(row: object) -> str:
    estimate, low, high = (float(getattr(row, n)) for n in ("estimate", "low", "high"))
    limits = f" ({score(low)}–{score(high)})" if np.isfinite(low) else ""
    return score(estimate) + limits


def signed(row: object) -> str:
    """Write a difference with its interval."""
    value, low, high = (float(getattr(row, n)) for n in ("difference", "low", "high"))
    text = f"{value:+.3f} ({low:+.3f} to {high:+.3f})"
    return text.replace("-", "−")
