"""Figures of training: learning curves of all networks, the leak check, the seed noise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.page.quantities import cost_word, quantity, score, short
from analysis.page.style import (
    BLUE,
    CYCLE,
    GREY,
    PALE,
    VERMILLION,
    Drawn,
    Sketch,
    axis,
    column_axis,
)
from analysis.stats.noise import Noise
from analysis.trials.table import SEARCHED, TrialTable

HIGHLIGHTED = 3
GRID_POINTS = 40


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


def leak_check(table: TrialTable, metric: str, chance: float) -> Drawn:
    """Draw a score of the ordinary trials beside that of trials with shuffled training labels."""
    groups = (
        ("true training labels", table.complete(SEARCHED), GREY),
        ("shuffled training labels", table.complete(["control"]), VERMILLION),
    )
    parts = []
    figure = Sketch(300, legend=False)
    for place, (name, rows, color) in enumerate(groups):
        values = rows[metric].dropna().to_numpy(float)
        # Spread by rank, not by chance, so that the figure is the same every time.
        spread = 0.32 * ((np.arange(values.size) * 0.618034) % 1.0 - 0.5)
        parts.append(
            pd.DataFrame(
                {
                    "labels": name,
                    "trial": rows["trial"][rows[metric].notna()],
                    "architecture_hash": rows["architecture_hash"][rows[metric].notna()],
                    metric: values,
                }
            )
        )
        figure.scatter(
            x=values,
            y=place + spread,
            mode="markers",
            name=name,
            marker={
                "color": color,
                "size": 7 if place else 5,
                "opacity": 0.9 if place else 0.5,
            },
            text=rows["architecture_hash"][rows[metric].notna()].str[:12],
            hovertemplate="%{text}: %{x:.3f}<extra></extra>",
        )
    figure.mark(chance, f"chance {score(chance)[:4]}")
    figure.axes(
        x=axis(f"Validation {quantity(metric).axis}"),
        y=axis(
            "",
            tickvals=[0, 1],
            ticktext=["true<br>labels", "shuffled<br>labels"],
            range=[-0.5, 1.6],
            showgrid=False,
        ),
    )
    return figure.drawn(pd.concat(parts, ignore_index=True))


def noise_by_cost(noise: Noise, cost: str) -> Drawn:
    """Draw the sd between seeds of every replicated network, with the sd used at each cost."""
    own = noise.replicates[["architecture_hash", "cost", "sd", "seeds", "mean"]]
    grid = np.geomspace(own["cost"].min(), own["cost"].max(), GRID_POINTS)
    used = pd.DataFrame({"series": "used", "cost": grid, "sd": noise.sd_at(grid)})
    frame = pd.concat([own.assign(series="network"), used], ignore_index=True)
    figure = Sketch(330)
    figure.scatter(
        x=own["cost"],
        y=own["sd"],
        mode="markers",
        name="networks trained several times",
        marker={"color": BLUE, "size": 7, "opacity": 0.75},
        text=own["architecture_hash"].str[:12],
        customdata=own[["seeds", "mean"]],
        hovertemplate="%{text}: sd %{y:.4f} of %{customdata[0]} seeds, "
        "mean %{customdata[1]:.3f}<extra></extra>",
    )
    figure.scatter(
        x=used["cost"],
        y=used["sd"],
        mode="lines",
        name="noise assumed",
        line={"color": VERMILLION, "width": 2, "dash": "dash"},
        hovertemplate="sd %{y:.4f}<extra></extra>",
    )
    figure.axes(
        x=column_axis(cost, own["cost"]),
        y=axis(
            f"Sd between seeds ({quantity(noise.metric).name}, its own unit)", rangemode="tozero"
        ),
    )
    return figure.drawn(frame)


def _with_gaps(frame: pd.DataFrame, metric: str) -> tuple[list[float | None], list[float | None]]:
    """Chain the curves into one line with gaps: one trace draws far faster than hundreds."""
    xs: list[float | None] = []
    ys: list[float | None] = []
    for _, own in frame.groupby("trial", sort=True):
        xs += [*own["epoch"].tolist(), None]
        ys += [*own[metric].tolist(), None]
    return xs, ys
