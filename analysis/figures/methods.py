"""Figures that hold methods against each other, and show how factors are tied in the design."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from analysis.agreement import Agreement
from analysis.design import COST, Design
from analysis.figures.style import (
    BLUE,
    GREEN,
    GREY,
    SMALL_HEIGHT,
    SYMBOLS,
    VERMILLION,
    Drawn,
    Sketch,
    axis,
)
from analysis.power import Power
from analysis.quantities import words

# Blue to white to vermillion: strong ties of either sign stand out, colour-blind safe.
DIVERGING = [[0.0, "#0072B2"], [0.5, "#FFFFFF"], [1.0, "#D55E00"]]


def rankings(found: Agreement) -> Drawn:
    """Draw each method's share of importance per factor, side by side."""
    shares = 100 * found.importances.clip(lower=0) / found.importances.clip(lower=0).sum()
    order = shares.mean(axis=1).sort_values(kind="stable").index
    shares = shares.loc[order]
    figure = Sketch(110 + 32 * len(shares))
    parts = []
    for place, method in enumerate(shares):
        offset = (place - (len(shares.columns) - 1) / 2) * -0.22
        part = pd.DataFrame(
            {
                "method": method,
                "factor": shares.index,
                "share_percent": shares[method].to_numpy(),
                "position": np.arange(len(shares)) + offset,
            }
        )
        parts.append(part)
        figure.scatter(
            x=part["share_percent"],
            y=part["position"],
            mode="markers",
            cliponaxis=False,
            name=method,
            marker={
                "color": (BLUE, VERMILLION, GREEN)[place % 3],
                "symbol": SYMBOLS[place % len(SYMBOLS)],
                "size": 9,
            },
            text=[words(name) for name in shares.index],
            hovertemplate="%{text}: %{x:.0f} %<extra>" + str(method) + "</extra>",
        )
    figure.axes(
        x=axis("Share of all importance (%)", rangemode="tozero"),
        y=axis(
            "",
            tickvals=list(range(len(shares))),
            ticktext=[words(str(name)) for name in shares.index],
            range=[-0.6, len(shares) - 0.4],
        ),
    )
    return figure.drawn(pd.concat(parts, ignore_index=True))


def ties(found: Design) -> Drawn:
    """Draw how strongly every pair of factors, and each factor and the cost, go together."""
    frame = found.to_frame()
    names = list(dict.fromkeys([*frame["first"], *frame["second"]]))
    names.sort(key=lambda name: (name == COST, words(name)))
    place = {name: i for i, name in enumerate(names)}
    grid = np.full((len(names), len(names)), np.nan)
    text = np.full(grid.shape, "", dtype=object)
    for pair in found.pairs:
        row, column = sorted((place[pair.first], place[pair.second]), reverse=True)
        grid[row, column] = pair.strength
        text[row, column] = f"{pair.strength:.2f}".replace("-", "−") if pair.material else ""
    shown = [words(name) for name in names]
    figure = Sketch(130 + 34 * len(names), legend=False)
    figure.heatmap(
        z=[[None if np.isnan(v) else float(v) for v in row] for row in grid[1:]],
        x=shown[:-1],
        y=shown[1:],
        text=text[1:].tolist(),
        texttemplate="%{text}",
        textfont={"size": 11},
        colorscale=DIVERGING,
        zmin=-1,
        zmax=1,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        hovertemplate="%{y} and %{x}: %{z:.2f}<extra></extra>",
        colorbar={"title": {"text": "strength (−1 to 1)", "side": "right", "font": {"size": 11}},
                  "thickness": 10, "len": 0.7, "outlinewidth": 0},
    )  # fmt: skip
    figure.axes(
        x=axis("", ticks="", showgrid=False, tickangle=-45),
        y=axis("", ticks="", showgrid=False, autorange="reversed"),
    )
    return figure.drawn(frame)


def learning_curve(power: Power) -> Drawn:
    """Draw the surrogate's R² on unseen networks against how many it was fitted to."""
    frame = power.learning
    figure = Sketch(SMALL_HEIGHT + 60)
    figure.band(frame["n"], frame["low"], frame["high"], color=BLUE, name="80 % of subsets")
    figure.scatter(
        x=frame["n"],
        y=frame["r2"],
        mode="lines+markers",
        name="mean",
        line={"color": BLUE, "width": 2},
        hovertemplate="%{x} networks: R² %{y:.2f}<extra></extra>",
    )
    figure.axes(x=axis("Networks fitted to (count)"), y=axis("R² on unseen networks (1 is best)"))
    return figure.drawn(frame)


def networks_needed(power: Power) -> Drawn:
    """Draw for each question how many networks would answer it, against how many there are."""
    frame = power.to_frame()
    frame = frame[frame["kind"] != "noise"].iloc[::-1].reset_index(drop=True)
    frame["position"] = np.arange(len(frame))
    figure = Sketch(90 + 26 * len(frame), legend=False)
    for settled, color, name in (
        (True, BLUE, "answered already"),
        (False, GREY, "networks needed"),
    ):
        rows = frame[frame["settled"] == settled]
        figure.scatter(
            x=rows["needed"],
            y=rows["position"],
            mode="markers",
            name=name,
            marker={
                "color": color,
                "size": 9,
                "symbol": "circle" if settled else "circle-open",
                "line": {"width": 1.6},
            },
            text=rows["question"],
            hovertemplate="%{text}: %{x:.3s}<extra></extra>",
        )
    if len(frame):
        figure.mark(int(frame["n"].max()), "trained", log=True)
    figure.axes(
        x=axis("Networks needed in all (count)", log=True, dtick=1),
        y=axis(
            "",
            tickvals=frame["position"].tolist(),
            ticktext=[_question(row) for row in frame.to_dict("records")],
            range=[-0.6, len(frame) - 0.4],
            ticks="",
        ),
    )
    return figure.drawn(frame)


def _question(row: Mapping[Hashable, object]) -> str:
    """Name a question in few words."""
    question = str(row["question"])
    if row["kind"] == "effect":
        return words(question.split(":")[0])
    name = question.removeprefix("growth of ").removesuffix(" with cost")
    return question if name == question else f"growth: {words(name)}"
