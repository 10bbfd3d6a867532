"""What the surrogate learned from more networks."""

from __future__ import annotations

from analysis.page.style import BLUE, SMALL_HEIGHT, Drawn, Sketch, axis
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
