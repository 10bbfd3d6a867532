"""Figures that hold methods against each other, and show how factors are tied in the design."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from analysis.page.quantities import words
from analysis.page.style import (
    BLUE,
    GREEN,
    SMALL_HEIGHT,
    SYMBOLS,
    VERMILLION,
    Drawn,
    Sketch,
    axis,
    certainty,
    row_axis,
)
from analysis.questions.importance.agreement import Agreement
from analysis.questions.importance.ties import Design
from analysis.questions.power.needs import Power

MOST_TIES = 15


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
        y=row_axis([words(str(name)) for name in shares.index]),
    )
    return figure.drawn(pd.concat(parts, ignore_index=True))


def ties(found: Design) -> Drawn:
    """Draw the strongest ties between factors, and between factors and the cost."""
    frame = found.to_frame().assign(material=[pair.material for pair in found.pairs])
    shown = frame.head(MOST_TIES).iloc[::-1].reset_index(drop=True)
    shown["position"] = np.arange(len(shown))
    figure = Sketch(100 + 26 * len(shown))
    for material in (True, False):
        rows = shown[shown["material"] == material]
        figure.scatter(
            x=rows["strength"],
            y=rows["position"],
            mode="markers",
            name="strong enough to matter" if material else "weak, or chance",
            marker=certainty(material, VERMILLION),
            text=[f"{_pair(row)}, {row['measure']}" for row in rows.to_dict("records")],
            hovertemplate="%{text}: %{x:.2f}<extra></extra>",
        )
    figure.zero(x=0)
    figure.axes(
        x=axis("Strength of the tie (−1 to 1)", range=[-1.04, 1.04], nticks=5),
        y=row_axis(
            [_pair(row).replace(" and ", "<br>and ") for row in shown.to_dict("records")],
            tickfont={"size": 10},
        ),
    )
    return figure.drawn(frame.merge(shown[["first", "second", "position"]], how="left"))


def _pair(row: Mapping[Hashable, object]) -> str:
    return f"{words(str(row['first']))} and {words(str(row['second']))}"


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
    for settled, name in ((True, "answered already"), (False, "networks needed")):
        rows = frame[frame["settled"] == settled]
        figure.scatter(
            x=rows["needed"],
            y=rows["position"],
            mode="markers",
            name=name,
            marker=certainty(settled),
            text=rows["question"],
            hovertemplate="%{text}: %{x:.3s}<extra></extra>",
        )
    if len(frame):
        figure.mark(int(frame["n"].max()), "trained", log=True)
    figure.axes(
        x=axis("Networks needed in all (count)", log=True, dtick=1),
        y=row_axis([_question(row) for row in frame.to_dict("records")]),
    )
    return figure.drawn(frame)


def _question(row: Mapping[Hashable, object]) -> str:
    """Name a question in few words."""
    question = str(row["question"])
    if row["kind"] == "effect":
        return words(question.split(":")[0])
    name = question.removeprefix("growth of ").removesuffix(" with cost")
    return question if name == question else f"growth: {words(name)}"
