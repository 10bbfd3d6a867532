"""Figures of how many more networks would settle what is open."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np

from analysis.page.quantities import words
from analysis.page.style import (
    BLUE,
    SMALL_HEIGHT,
    Drawn,
    Sketch,
    axis,
    certainty,
    row_axis,
)
from analysis.questions.power.needs import Power


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
    frame = (
        frame[(frame["kind"] != "noise") & frame["needed"].notna()]
        .iloc[::-1]
        .reset_index(drop=True)
    )
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
