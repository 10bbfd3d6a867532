"""Figures of a confirmation: references beside the front, and differences on test records."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.page.quantities import difference, quantity, short
from analysis.page.style import (
    BLACK,
    BLUE,
    CYCLE,
    GREY,
    NOT_SIGNIFICANT,
    SIGNIFICANT,
    SYMBOLS,
    Drawn,
    Sketch,
    axis,
    certainty,
    column_axis,
    interval,
)
from analysis.questions.confirmation.classes import split
from analysis.questions.confirmation.results import SEARCHED, Comparison
from analysis.questions.fronts.pareto import EstimatedFront
from analysis.stats.interval import ALPHA, PERCENT
from analysis.trials.table import TrialTable

# Group, what the legend says, colour, symbol.
GROUPS = (
    ("searched", "searched, fresh seeds", BLUE, "star"),
    ("law", "by the law", BLUE, "triangle-up"),
    ("against the law", "against the law", BLUE, "triangle-down-open"),
)


def rivals_on_front(
    table: TrialTable, comparison: Comparison, cost: str, front: EstimatedFront | None
) -> Drawn:
    """Draw confirmed networks over a cost, with all random ones and the estimated front behind.

    Scores are on validation records, as the front is; each reference architecture has a mark.
    """
    designs, objective = table.designs(), comparison.objective
    figure = Sketch(500)
    figure.scatter(
        x=designs[cost],
        y=designs[objective],
        mode="markers",
        name="random networks",
        marker={"color": GREY, "size": 5, "opacity": 0.35},
        hoverinfo="skip",
    )
    frames = [designs[["architecture_hash", cost, objective]].assign(group="random")]
    if front is not None:
        figure.band(
            front.grid_cost, front.lower, front.upper, color=BLUE, name=f"{PERCENT} band",
            shape="hv",
        )  # fmt: skip
        figure.scatter(
            x=front.grid_cost,
            y=front.expected,
            mode="lines",
            name="estimated front",
            line={"color": BLUE, "width": 1.8, "shape": "hv"},
            hoverinfo="skip",
        )
    confirmed = comparison.to_frame().drop_duplicates("architecture_hash")
    columns = ["architecture_hash", "name", "group", cost, "validation", "validation_sd"]
    for group, legend, color, symbol in GROUPS:
        rows = confirmed[confirmed["group"] == group]
        if rows.empty or cost not in rows:
            continue
        frames.append(rows[columns].rename(columns={"validation": objective}))
        _marks(figure, rows, cost, legend, color, symbol)
    known = confirmed[confirmed["group"] == "reference"]
    if not known.empty and cost in known:
        frames.append(known[columns].rename(columns={"validation": objective}))
        # Names at the points would cover each other: references crowd within a budget.
        for place, (base, rows) in enumerate(known.groupby(known["name"].str.partition("@")[0])):
            symbol = SYMBOLS[place % len(SYMBOLS)]
            _marks(figure, rows, cost, str(base), CYCLE[1 + place % (len(CYCLE) - 1)], symbol)
    figure.axes(x=column_axis(cost, designs[cost]), y=axis(quantity(objective).axis))
    return figure.drawn(pd.concat(frames, ignore_index=True))


def _marks(
    figure: Sketch, rows: pd.DataFrame, cost: str, legend: str, color: str, symbol: str
) -> None:
    """Draw mean and sd over fresh seeds of some confirmed networks."""
    figure.scatter(
        x=rows[cost],
        y=rows["validation"],
        mode="markers",
        name=legend,
        marker={"color": color, "symbol": symbol, "size": 9, "line": {"width": 1, "color": BLACK}},
        error_y={
            "type": "data",
            "array": rows["validation_sd"].fillna(0.0),
            "thickness": 1,
            "width": 2,
            "color": color,
        },
        customdata=rows["name"],
        hovertemplate="%{customdata}: %{y:.3f}<extra>" + legend + "</extra>",
    )


def differences_on_test(comparison: Comparison, metric: str) -> Drawn:
    """Draw per budget the searched network's test score minus each reference's."""
    unit = difference(split(metric)[1])
    found = comparison.compared(SEARCHED, metric)
    frame = pd.DataFrame(
        {
            "budget": [d.budget for d in found],
            "searched": [d.first for d in found],
            "reference": [d.second for d in found],
            "estimate": [unit.scale * d.interval.estimate for d in found],
            "low": [unit.scale * d.interval.low for d in found],
            "high": [unit.scale * d.interval.high for d in found],
            "p_adjusted": [d.p_adjusted for d in found],
        }
    ).sort_values(["budget", "estimate"], ascending=[True, False], ignore_index=True)
    position, ticks, labels = [], [], []
    place = 0.0
    previous = None
    for budget, name in zip(frame["budget"], frame["reference"], strict=True):
        if budget != previous:
            place -= 1.0 if previous is None else 1.6
            ticks.append(place)
            labels.append(f"<b>within {short(budget)} FLOPs</b>")
            previous = budget
        place -= 1.0
        position.append(place)
        ticks.append(place)
        labels.append(name)
    frame["position"] = position
    settled = frame["p_adjusted"] < ALPHA
    figure = Sketch(int(110 - 24 * place))
    for certain, text in ((True, f"{SIGNIFICANT} (Holm)"), (False, NOT_SIGNIFICANT)):
        rows = frame[settled == certain]
        figure.scatter(
            x=rows["estimate"],
            y=rows["position"],
            mode="markers",
            name=text,
            marker=certainty(certain),
            error_x=interval(
                rows["estimate"], rows["low"], rows["high"], BLUE if certain else GREY
            ),
            customdata=np.column_stack([rows["reference"], rows["p_adjusted"]]),
            hovertemplate="%{customdata[0]}: %{x:+.1f}, p = %{customdata[1]:.2g}<extra></extra>",
        )
    figure.zero(x=0)
    figure.axes(
        x=axis(unit.axis_of_pairs, nticks=8),
        y=axis(
            "", tickvals=ticks, ticktext=labels, range=[place - 0.8, -0.2], ticks="", showline=False
        ),
    )
    return figure.drawn(frame)
