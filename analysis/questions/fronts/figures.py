"""Figures of score over cost: every network, the observed and the estimated Pareto front."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.quantities import quantity
from analysis.page.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SMALL_HEIGHT,
    VERMILLION,
    Drawn,
    Sketch,
    axis,
    column_axis,
    hover_texts,
)
from analysis.questions.fronts.pareto import EstimatedFront, front
from analysis.stats.interval import PERCENT
from analysis.trials.table import TrialTable

GRID = "expected of the best within this cost"


def pareto_front(
    table: TrialTable,
    metric: str,
    cost: str,
    estimated: EstimatedFront | None = None,
    *,
    small: bool = False,
) -> Drawn:
    """Draw all networks over a cost with the observed front and, where given, the estimated one.

    Reference networks are drawn beside the random ones but are no part of either front.
    """
    designs = table.designs()
    designs = designs[designs[metric].notna()].reset_index(drop=True)
    turned = metric == table.objective and not table.maximize
    members = front(designs[cost], -designs[metric] if turned else designs[metric])
    drawn = designs[["architecture_hash", *dict.fromkeys([cost, metric, *table.costs, "repeats"])]]
    drawn = drawn.assign(series="network", on_observed_front=False, front_probability=np.nan)
    drawn.loc[members, "on_observed_front"] = True
    frames = [drawn]
    figure = Sketch(SMALL_HEIGHT if small else 470, legend=not small)
    if estimated is not None:
        drawn["front_probability"] = estimated.membership
        frames.append(_add_estimated(figure, estimated, cost, metric, -1.0 if turned else 1.0))
    # A page of small panels would repeat every network's factors many times over.
    shown = (metric, cost) if small else [*table.metrics, *table.costs, "repeats"]
    texts = hover_texts(designs, () if small else table.factor_names, shown)
    x, y = designs[cost], designs[metric]
    size = 5 if small or len(designs) > 400 else 6
    hover = "%{text}<extra></extra>"
    figure.points(x, y, "random networks", GREY, size=size, opacity=0.55, text=texts, hover=hover)
    figure.scatter(
        x=x.iloc[members],
        y=y.iloc[members],
        mode="lines+markers",
        name="observed front",
        line={"color": VERMILLION, "width": 1.6, "shape": "hv"},
        marker={"color": VERMILLION, "size": 7 if small else 8},
        text=[texts[i] for i in members],
        hovertemplate="%{text}<extra>observed front</extra>",
    )
    if estimated is not None:
        _add_likely(figure, estimated, x, y, texts)
    references = _references(table, metric, cost)
    if len(references):
        frames.append(references)
        figure.points(
            references[cost], references[metric], "reference architectures", ORANGE, size=10,
            symbol="diamond", line={"color": BLACK, "width": 1},
            text=references["architecture_hash"].tolist(),
            hover="%{text}: %{y:.3f}<extra>reference architecture</extra>",
        )  # fmt: skip
    figure.axes(x=column_axis(cost, x), y=axis(quantity(metric).axis))
    if small:
        figure.small()
    return figure.drawn(pd.concat(frames, ignore_index=True))


def _add_likely(
    figure: Sketch, estimated: EstimatedFront, x: pd.Series, y: pd.Series, texts: list[str]
) -> None:
    """Circle the networks that may be on the true front, the likelier the larger."""
    rows = np.flatnonzero(estimated.membership >= 0.1)
    chances = estimated.membership[rows]
    said = [f"{texts[i]}<br>on the true front: {p:.0%}" for i, p in zip(rows, chances, strict=True)]
    figure.points(
        x.iloc[rows], y.iloc[rows], "P(on true front) ≥ 10 %", BLUE, size=9 + 9 * chances,
        symbol="circle-open", line={"width": 1.6}, text=said, hover="%{text}<extra></extra>",
    )  # fmt: skip


def _add_estimated(
    figure: Sketch, estimated: EstimatedFront, cost: str, metric: str, sign: float
) -> pd.DataFrame:
    """Draw what the best to choose within each cost is expected to score; tabulate it."""
    grid = estimated.grid_cost
    expected, lower, upper = (
        sign * one for one in (estimated.expected, estimated.lower, estimated.upper)
    )
    figure.band(grid, lower, upper, color=BLUE, name=f"{PERCENT} band", shape="hv")
    hover = "expected best within %{x:.3s}: %{y:.3f}<extra></extra>"
    figure.curve(grid, expected, "estimated front", BLUE, shape="hv", dash="dash", hover=hover)
    return pd.DataFrame(
        {"series": GRID, cost: grid, metric: expected, "lower": lower, "upper": upper}
    )


def _references(table: TrialTable, metric: str, cost: str) -> pd.DataFrame:
    """Average the seeds of the reference architectures that were trained beside the random ones."""
    frame = table.complete(["reference"])
    if metric not in frame or frame.empty:
        return pd.DataFrame()
    means = frame.groupby("architecture_hash", sort=True)[[cost, metric]].mean().reset_index()
    return means.assign(series="reference architecture")


def hypervolume_curve(
    sizes: np.ndarray, mean: np.ndarray, low: np.ndarray, high: np.ndarray
) -> Drawn:
    """Draw how the observed front's hypervolume grows with the number of networks trained."""
    frame = pd.DataFrame({"networks": sizes, "hypervolume": mean, "low": low, "high": high})
    figure = Sketch(SMALL_HEIGHT + 60)
    figure.band(frame["networks"], frame["low"], frame["high"], color=GREEN, name="90 % of orders")
    figure.scatter(
        x=frame["networks"],
        y=frame["hypervolume"],
        mode="lines+markers",
        name="mean",
        line={"color": GREEN},
        hovertemplate="%{x} networks: %{y:.3f}<extra></extra>",
    )
    figure.axes(x=axis("Networks trained (count)"), y=axis("Hypervolume (share of box)"))
    return figure.drawn(frame)
