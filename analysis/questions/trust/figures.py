"""Figures of what can be trusted: the leak check, the seed noise."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.quantities import quantity, score
from analysis.page.style import (
    BLUE,
    GREY,
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
