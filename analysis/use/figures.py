"""Figures of an evaluation: scores by class and by group, and reliability curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.page.style import (
    CYCLE,
    GREY,
    SYMBOLS,
    Drawn,
    Sketch,
    axis,
    interval,
    row_axis,
)

ROW_PIXELS = 15
WITH_BARS = 3


def scores_by_row(scores: pd.DataFrame, column: str, rows: Sequence[str], title: str) -> Drawn:
    """Draw one score of every network, with intervals, in rows named by a column, top down."""
    networks = list(dict.fromkeys(scores["network"]))
    names = list(rows)[::-1]
    figure = Sketch(max(260, 110 + len(names) * (8 + ROW_PIXELS * len(networks))))
    for number, name in enumerate(networks):
        own = scores[(scores["network"] == name) & scores[column].isin(names)]
        color = CYCLE[number % len(CYCLE)]
        shift = 0.36 - 0.72 * (number + 0.5) / len(networks)
        figure.scatter(
            x=own["estimate"],
            y=[names.index(row) + shift for row in own[column]],
            mode="markers",
            name=name,
            marker={"color": color, "size": 8, "symbol": SYMBOLS[number % len(SYMBOLS)]},
            error_x=interval(own["estimate"], own["low"], own["high"], color),
            customdata=own[["positives", "records"]],
            hovertemplate=f"{name}: %{{x:.3f}}, %{{customdata[0]}} positive of "
            "%{customdata[1]} records<extra></extra>",
        )
    figure.axes(x=axis(title), y=row_axis(names))
    return figure.drawn(scores[scores[column].isin(names)])


def reliability_curves(
    curves: pd.DataFrame, *, small: bool = False, bars: bool | None = None
) -> Drawn:
    """Draw the observed share over the mean probability of each bin, by network.

    Intervals of many networks would hide the curves; then only the table has them.
    """
    if bars is None:
        bars = curves["network"].nunique() <= WITH_BARS
    figure = Sketch(300 if small else 460, legend=not small)
    figure.scatter(
        x=[0, 1],
        y=[0, 1],
        mode="lines",
        name="perfect",
        line={"color": GREY, "width": 1, "dash": "dash"},
        hoverinfo="skip",
    )
    for number, (name, own) in enumerate(curves.groupby("network", sort=False)):
        color = CYCLE[number % len(CYCLE)]
        figure.scatter(
            x=own["predicted"],
            y=own["observed"],
            mode="lines+markers",
            name=str(name),
            line={"color": color, "width": 1.6},
            marker={"size": 6, "symbol": SYMBOLS[number % len(SYMBOLS)]},
            error_y=interval(own["observed"], own["low"], own["high"], color) if bars else None,
            customdata=np.asarray(own["cases"]),
            hovertemplate="%{x:.3f} predicted, %{y:.3f} observed, %{customdata} cases"
            f"<extra>{name}</extra>",
        )
    if small:
        figure.small()
    figure.axes(
        x=axis("Mean probability", range=[-0.02, 1.02]),
        y=axis("Observed share", range=[-0.02, 1.02]),
    )
    return figure.drawn(curves)


def ranking_lines(
    curves: pd.DataFrame, points: pd.DataFrame, axes: tuple[str, str], *, small: bool = False
) -> Drawn:
    """Draw curves within the unit square, a colour per `name`; a dot is at the network's threshold.

    curves: name, x, y; points: name, x, y.
    """
    figure = Sketch(300 if small else 430)
    for number, (name, own) in enumerate(curves.groupby("name", sort=False)):
        color = CYCLE[number % len(CYCLE)]
        figure.curve(
            own["x"],
            own["y"],
            str(name),
            color,
            width=1.8,
            hover=f"%{{x:.2f}}, %{{y:.2f}}<extra>{name}</extra>",
        )
        at = points[points["name"] == name]
        figure.points(
            at["x"],
            at["y"],
            f"{name}, threshold",
            color,
            size=9,
            hover=f"at the threshold: %{{x:.2f}}, %{{y:.2f}}<extra>{name}</extra>",
            symbol="circle-open",
            line={"width": 2},
        )
        figure.hide_last()
    if small:
        figure.small()
    horizontal, vertical = axes
    figure.axes(
        x=axis(horizontal, range=[-0.02, 1.02]),
        y=axis(vertical, range=[-0.02, 1.02]),
    )
    return figure.drawn(curves)
