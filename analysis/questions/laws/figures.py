"""Figures of scaling laws: score against compute, and the best shape beside the design's slope."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.page.quantities import difference, factor_axis, quantity
from analysis.page.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    PALE,
    SMALL_HEIGHT,
    VERMILLION,
    Drawn,
    Sketch,
    axis,
    column_axis,
)
from analysis.questions.laws.error import ErrorLaw
from analysis.questions.laws.monotone import Monotone
from analysis.questions.laws.shape import ShapeLaw
from analysis.stats.interval import PERCENT
from analysis.trials.table import TrialTable


def error_law_curve(law: ErrorLaw, table: TrialTable) -> Drawn:
    """Draw the law's curve with its band over the scores of all networks."""
    designs, cost = table.designs(), table.cost
    points = pd.DataFrame(
        {
            "series": "network",
            cost: designs[cost].astype(float),
            "objective": designs[table.objective].astype(float),
        }
    )
    best, low, high = (law.curve[name].to_numpy(float) for name in ("error", "high", "low"))
    curve = pd.DataFrame(
        {
            "series": "law",
            cost: law.curve["cost"],
            "objective": table.from_error(best),
            "low": table.from_error(low),
            "high": table.from_error(high),
        }
    )
    figure = Sketch()
    figure.points(points[cost], points["objective"], "random networks", GREY, size=5, opacity=0.5)
    figure.band(curve[cost], curve["low"], curve["high"], color=BLUE, name=f"{PERCENT} band")
    color, dash = (BLUE, "solid") if law.stands else (PALE, "dash")
    figure.curve(
        curve[cost], curve["objective"], f"law of the best {law.quantile:.0%}", color, width=2.4,
        dash=dash, hover="%{x:.3s}: %{y:.3f}<extra></extra>",
    )  # fmt: skip
    figure.axes(x=column_axis(cost, designs[cost]), y=axis(_axis(table.objective)))
    return figure.drawn(pd.concat([points, curve], ignore_index=True))


def exponent_profile(law: ErrorLaw) -> Drawn:
    """Draw how much worse the law fits with each exponent, floor and amplitude at their best."""
    figure = Sketch(SMALL_HEIGHT, legend=False)
    hover = "exponent %{x:.3f}: %{y:.3f}<extra></extra>"
    figure.curve(law.profile["exponent"], law.profile["loss"], "loss", BLUE, hover=hover)
    figure.mark(law.exponent.estimate, "best", log=True)
    title = "Exponent (error falls as compute to minus this)"
    figure.axes(
        x=axis(title, log=True, tickformat="~g", dtick="D2"),
        y=axis("Loss (relative to the best)"),
    )
    return figure.drawn(law.profile)


def shape_law_curve(law: ShapeLaw, name: str, table: TrialTable) -> Drawn:
    """Draw one factor's best value over cost, beside what the design alone would suggest."""
    values = table.designs()[name].to_numpy(float)
    cost = table.designs()[table.cost].to_numpy(float)
    found = next(exponent for exponent in law.exponents if exponent.factor == name)
    own = law.curve[law.curve["factor"] == name]
    middle = float(np.exp(np.log(values).mean()))
    ends = {"lower": values.min() / 4, "upper": values.max() * 4}
    design = middle * (own["cost"] / law.reference_cost) ** found.design_slope
    parts: dict[str, dict[str, Any]] = {
        "network": {table.cost: cost, "value": values},
        "best": {
            table.cost: own["cost"],
            "value": own["value"],
            "low": own["low"].clip(**ends),
            "high": own["high"].clip(**ends),
            "inside": own["inside"],
        },
        "design": {table.cost: own["cost"], "value": design},
    }
    frame = pd.concat(
        [pd.DataFrame({"series": series} | part) for series, part in parts.items()],
        ignore_index=True,
    ).assign(factor=name)
    best = frame[frame["series"] == "best"]
    figure = Sketch(SMALL_HEIGHT + 90)
    figure.points(cost, values, "networks tried", PALE, size=5, opacity=0.7)
    figure.band(best[table.cost], best["low"], best["high"], color=BLUE, name=f"{PERCENT} band")
    figure.curve(
        best[table.cost], best["value"], f"best value, exponent {found.exponent.estimate:.2f}",
        BLUE, width=2.4, hover="%{x:.3s}: %{y:.3g}<extra></extra>",
    )  # fmt: skip
    slope = f"the design's own slope, {found.design_slope:.2f}"
    figure.curve(own["cost"], design, slope, VERMILLION, width=1.8, dash="dash")
    figure.small()
    low, high = np.log10(values.min()) - 0.12, np.log10(values.max()) + 0.12
    figure.axes(
        x=column_axis(table.cost, cost),
        y=axis(factor_axis(name), log=True, dtick="D2", tickformat="~g", range=[low, high]),
    )
    return figure.drawn(frame)


def mean_over_cost(found: Monotone, table: TrialTable) -> Drawn:
    """Draw mean scores in bins of cost with the closest curve that never falls."""
    unit, described = difference(table.objective), quantity(table.objective)
    frame = found.curve.copy()
    frame[["score", "isotonic"]] *= 1.0 if table.maximize else -1.0
    figure = Sketch(SMALL_HEIGHT + 40)
    figure.curve(frame["cost"], frame["isotonic"], "closest curve that never falls", GREEN)
    figure.scatter(
        x=frame["cost"],
        y=frame["score"],
        mode="markers",
        name="mean ± 2 standard errors",
        marker={"color": BLACK, "size": 7},
        error_y={"type": "data", "array": 2 * frame["se"], "thickness": 1.4, "width": 3},
        customdata=frame["n"],
        hovertemplate="%{customdata} networks: %{y:.3f}<extra></extra>",
    )
    figure.axes(
        x=column_axis(table.cost, frame["cost"]),
        y=axis(f"Mean {unit.name} ({described.unit or 'its own unit'})"),
    )
    return figure.drawn(frame)


def _axis(metric: str) -> str:
    described = quantity(metric)
    return described.axis if described.unit else f"{described.name} (its own unit)"
