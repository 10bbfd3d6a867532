"""Figures of scaling laws: score against compute, and the best shape beside the design's slope."""

from __future__ import annotations

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
    designs = table.designs()
    best = law.curve["error"].to_numpy(float)
    points = pd.DataFrame(
        {
            "series": "network",
            table.cost: designs[table.cost].astype(float),
            "objective": designs[table.objective].astype(float),
        }
    )
    curve = pd.DataFrame(
        {
            "series": "law",
            table.cost: law.curve["cost"],
            "objective": table.from_error(best),
            "low": table.from_error(law.curve["high"].to_numpy(float)),
            "high": table.from_error(law.curve["low"].to_numpy(float)),
        }
    )
    figure = Sketch()
    figure.scatter(
        x=points[table.cost],
        y=points["objective"],
        mode="markers",
        name="random networks",
        marker={"color": GREY, "size": 5, "opacity": 0.5},
        hoverinfo="skip",
    )
    color = BLUE if law.stands else PALE
    figure.band(curve[table.cost], curve["low"], curve["high"], color=BLUE, name=f"{PERCENT} band")
    figure.scatter(
        x=curve[table.cost],
        y=curve["objective"],
        mode="lines",
        name=f"law of the best {law.quantile:.0%}",
        line={"color": color, "width": 2.4, "dash": "solid" if law.stands else "dash"},
        hovertemplate="%{x:.3s}: %{y:.3f}<extra></extra>",
    )
    figure.axes(x=column_axis(table.cost, designs[table.cost]), y=axis(_axis(table.objective)))
    return figure.drawn(pd.concat([points, curve], ignore_index=True))


def exponent_profile(law: ErrorLaw) -> Drawn:
    """Draw how much worse the law fits with each exponent, floor and amplitude at their best."""
    figure = Sketch(SMALL_HEIGHT, legend=False)
    figure.scatter(
        x=law.profile["exponent"],
        y=law.profile["loss"],
        mode="lines",
        line={"color": BLUE, "width": 2},
        hovertemplate="exponent %{x:.3f}: %{y:.3f}<extra></extra>",
    )
    figure.mark(law.exponent.estimate, "best", log=True)
    figure.axes(
        x=axis("Exponent (error falls as compute to minus this)", log=True, tickformat="~g",
               dtick="D2"),
        y=axis("Loss (relative to the best)"),
    )  # fmt: skip
    return figure.drawn(law.profile)


def shape_law_curve(law: ShapeLaw, name: str, table: TrialTable) -> Drawn:
    """Draw one factor's best value over cost, beside what the design alone would suggest."""
    designs = table.designs()
    values = designs[name].to_numpy(float)
    cost = designs[table.cost].to_numpy(float)
    found = next(exponent for exponent in law.exponents if exponent.factor == name)
    own = law.curve[law.curve["factor"] == name]
    middle = float(np.exp(np.log(values).mean()))
    frame = pd.concat(
        [
            pd.DataFrame({"series": "network", table.cost: cost, "value": values}),
            pd.DataFrame(
                {
                    "series": "best",
                    table.cost: own["cost"],
                    "value": own["value"],
                    "low": own["low"].clip(lower=values.min() / 4, upper=values.max() * 4),
                    "high": own["high"].clip(lower=values.min() / 4, upper=values.max() * 4),
                    "inside": own["inside"],
                }
            ),
            pd.DataFrame(
                {
                    "series": "design",
                    table.cost: own["cost"],
                    "value": middle * (own["cost"] / law.reference_cost) ** found.design_slope,
                }
            ),
        ],
        ignore_index=True,
    ).assign(factor=name)
    best, design = (frame[frame["series"] == series] for series in ("best", "design"))
    figure = Sketch(SMALL_HEIGHT + 90)
    figure.scatter(
        x=cost,
        y=values,
        mode="markers",
        name="networks tried",
        marker={"color": PALE, "size": 5, "opacity": 0.7},
        hoverinfo="skip",
    )
    figure.band(best[table.cost], best["low"], best["high"], color=BLUE, name=f"{PERCENT} band")
    figure.scatter(
        x=best[table.cost],
        y=best["value"],
        mode="lines",
        name=f"best value, exponent {found.exponent.estimate:.2f}",
        line={"color": BLUE, "width": 2.4},
        hovertemplate="%{x:.3s}: %{y:.3g}<extra></extra>",
    )
    figure.scatter(
        x=design[table.cost],
        y=design["value"],
        mode="lines",
        name=f"the design's own slope, {found.design_slope:.2f}",
        line={"color": VERMILLION, "width": 1.8, "dash": "dash"},
        hoverinfo="skip",
    )
    figure.small()
    low, high = np.log10(values.min()) - 0.12, np.log10(values.max()) + 0.12
    figure.axes(
        x=column_axis(table.cost, cost),
        y=axis(factor_axis(name), log=True, dtick="D2", tickformat="~g", range=[low, high]),
    )
    return figure.drawn(frame)


def mean_over_cost(found: Monotone, table: TrialTable) -> Drawn:
    """Draw mean scores in bins of cost with the closest curve that never falls."""
    unit = difference(table.objective)
    frame = found.curve.copy()
    sign = 1.0 if table.maximize else -1.0
    frame[["score", "isotonic"]] *= sign
    figure = Sketch(SMALL_HEIGHT + 40)
    figure.scatter(
        x=frame["cost"],
        y=frame["isotonic"],
        mode="lines",
        name="closest curve that never falls",
        line={"color": GREEN, "width": 2},
        hoverinfo="skip",
    )
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
        y=axis(f"Mean {unit.name} ({quantity(table.objective).unit or 'its own unit'})"),
    )
    return figure.drawn(frame)


def _axis(metric: str) -> str:
    described = quantity(metric)
    return described.axis if described.unit else f"{described.name} (its own unit)"
