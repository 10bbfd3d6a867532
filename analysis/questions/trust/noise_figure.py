"""Figure of the seed noise: what training again with another seed changes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.quantities import quantity
from analysis.page.style import BLUE, VERMILLION, Drawn, Sketch, axis, column_axis
from analysis.stats.noise import Noise

GRID_POINTS = 40


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
        y=axis(f"Sd between seeds ({quantity(noise.metric).name}, 0 to 1)", rangemode="tozero"),
    )
    return figure.drawn(frame)
