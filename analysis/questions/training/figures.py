"""The learning curves of all networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.page.quantities import cost_word, quantity, short
from analysis.page.style import BLUE, CYCLE, PALE, Drawn, Sketch, axis
from analysis.trials.table import SEARCHED, TrialTable

HIGHLIGHTED = 3


def learning_curves(table: TrialTable, curves: pd.DataFrame) -> Drawn:
    """Draw the validation score after each epoch: all trials, their middle half, and the best.

    `curves` has one row per trial and epoch: trial, epoch and the score under the objective's name
    or as `value`.
    """
    metric = table.objective
    frame = _followed(table, curves)
    figure = Sketch()
    xs, ys = _with_gaps(frame, metric)
    each: dict[str, Any] = {
        "line": {"color": PALE, "width": 0.7},
        "opacity": 0.6,
        "hoverinfo": "skip",
    }
    figure.scatter(x=xs, y=ys, mode="lines", name="each trial", **each)
    grouped = frame.groupby("epoch")[metric]
    middle = pd.DataFrame(
        {"series": "middle half"}
        | {name: grouped.quantile(q) for name, q in (("low", 0.25), (metric, 0.5), ("high", 0.75))}
    ).reset_index()
    figure.band(middle["epoch"], middle["low"], middle["high"], color=BLUE, name="middle half")
    hover = "epoch %{x}: median %{y:.3f}<extra></extra>"
    figure.curve(middle["epoch"], middle[metric], "median", BLUE, hover=hover)
    ends = frame.drop_duplicates("trial").sort_values("final", ascending=not table.maximize)
    for place, row in enumerate(ends.head(HIGHLIGHTED).to_dict("records")):
        own = frame[frame["trial"] == row["trial"]]
        name = f"no. {place + 1}: {short(row[table.cost])} {cost_word(table.cost)}"
        hover = f"epoch %{{x}}: %{{y:.3f}}<extra>{str(row['architecture_hash'])[:12]}</extra>"
        figure.curve(own["epoch"], own[metric], name, CYCLE[place + 1], width=1.6, hover=hover)
    figure.axes(
        x=axis("Epoch (passes over the training data)"),
        y=axis(f"Validation {quantity(metric).axis}"),
    )
    return figure.drawn(pd.concat([frame.assign(series="trial"), middle], ignore_index=True))


def _followed(table: TrialTable, curves: pd.DataFrame) -> pd.DataFrame:
    """Join the curves of randomly drawn networks with what each network is."""
    metric = table.objective
    known = table.complete(SEARCHED)[["trial", "architecture_hash", table.cost, metric]]
    joined = curves.rename(columns={"value": metric}).merge(
        known.rename(columns={metric: "final"}), on="trial"
    )
    joined = joined.sort_values(["trial", "epoch"])
    numbers = pd.to_numeric(joined[metric], errors="coerce")
    joined[metric] = numbers.replace([np.inf, -np.inf], np.nan)
    columns = ["trial", "architecture_hash", table.cost, "epoch", metric, "final"]
    return joined[columns].reset_index(drop=True)


def _with_gaps(frame: pd.DataFrame, metric: str) -> tuple[list[float | None], list[float | None]]:
    """Chain the curves into one line with gaps: one trace draws far faster than hundreds."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for _, own in frame.groupby("trial", sort=True):
        xs += [*own["epoch"].tolist(), None]
        ys += [*own[metric].tolist(), None]
    return xs, ys
