"""Figures of how scores are distributed: curves, FLOPs-matched curves per factor, best of n."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.page.quantities import cost_word, quantity, short
from analysis.page.style import (
    BLACK,
    CYCLE,
    DASHES,
    SEQUENTIAL,
    SMALL_HEIGHT,
    Drawn,
    Sketch,
    axis,
)
from analysis.questions.distributions.curves import (
    BestOfN,
    MatchedComparison,
    ScoreCurve,
    best_of_n,
    score_curve,
)
from analysis.stats.interval import PERCENT
from analysis.trials.table import TrialTable

SHARE = "Share of networks that score at least this (%)"


def score_distribution(table: TrialTable, metric: str) -> Drawn:
    """Draw the share of networks that reach each score: all, with a band, and by compute."""
    designs = table.whole.designs()
    designs = designs[designs[metric].notna()]
    curves = [score_curve(f"all {len(designs)} networks", designs[metric])]
    if len(designs) >= 15:
        parts = np.array_split(np.arange(len(designs)), 3)  # designs are sorted by cost
        for part in parts:
            costs = designs[table.cost].iloc[part]
            name = f"{short(costs.min())} to {short(costs.max())} {cost_word(table.cost)}"
            curves.append(score_curve(name, designs[metric].iloc[part]))
    frame = pd.concat([_curve_frame(curve, i == 0) for i, curve in enumerate(curves)])
    figure = Sketch()
    whole = frame[frame["networks"] == curves[0].name]
    figure.band(
        whole["score"],
        whole["lower"],
        whole["upper"],
        color=BLACK,
        name=f"{PERCENT} band",
        shape="vh",
    )
    for index, curve in enumerate(curves):
        part_frame = frame[frame["networks"] == curve.name]
        color = BLACK if index == 0 else CYCLE[index - 1]
        figure.scatter(**_curve(part_frame, curve.name, color, DASHES[index]))
    figure.axes(x=axis(quantity(metric).axis), y=axis(SHARE, range=[0, 102]))
    return figure.drawn(frame.reset_index(drop=True))


def factor_distribution(comparison: MatchedComparison, metric: str) -> Drawn:
    """Draw one factor's score curves, weighted to equal FLOPs, in a small panel."""
    curves = comparison.curves
    frame = pd.concat([_curve_frame(curve, True) for curve in curves]).assign(
        factor=comparison.factor
    )
    colors = _ordered_colors(len(curves))
    figure = Sketch(SMALL_HEIGHT)
    for index, curve in enumerate(curves):
        part = frame[frame["networks"] == curve.name]
        # Many ordered values differ in lightness; dashes on top would only flicker.
        dash = DASHES[index] if len(curves) <= 3 else "solid"
        figure.scatter(**_curve(part, curve.name, colors[index], dash, width=1.8))
    figure.small()
    figure.axes(
        x=axis(quantity(metric).axis, nticks=5), y=axis("Networks at or above (%)", range=[0, 102])
    )
    return figure.drawn(frame.reset_index(drop=True))


def best_of_n_curve(table: TrialTable, metric: str) -> Drawn:
    """Draw the best score to expect from n random networks, overall and by compute."""
    designs = table.whole.designs()
    designs = designs[designs[metric].notna()]
    curves: list[tuple[str, BestOfN]] = [("all networks", best_of_n(designs[metric]))]
    if len(designs) >= 15:
        for part in np.array_split(np.arange(len(designs)), 3):
            costs = designs[table.cost].iloc[part]
            name = f"{short(costs.min())} to {short(costs.max())} {cost_word(table.cost)}"
            curves.append((name, best_of_n(designs[metric].iloc[part])))
    frame = pd.concat(
        [
            pd.DataFrame(
                {
                    "networks": name,
                    "n": curve.sizes,
                    "expected_best": curve.expected,
                    "lower": curve.lower,
                    "upper": curve.upper,
                }
            )
            for name, curve in curves
        ],
        ignore_index=True,
    )
    figure = Sketch()
    for index, (name, _) in enumerate(curves):
        part_frame = frame[frame["networks"] == name]
        figure.scatter(
            x=part_frame["n"],
            y=part_frame["expected_best"],
            mode="lines",
            name=name,
            line={"color": BLACK if index == 0 else CYCLE[index - 1], "dash": DASHES[index]},
            hovertemplate="best of %{x}: %{y:.3f}<extra>" + name + "</extra>",
        )
    figure.axes(
        x=axis("Networks trained (count)", log=True, dtick=1 if len(designs) > 99 else "D2"),
        y=axis(f"Expected best {quantity(metric).axis}"),
    )
    return figure.drawn(frame)


def _curve_frame(curve: ScoreCurve, with_band: bool) -> pd.DataFrame:
    """Tabulate a curve in per cent."""
    share = 100 * curve.share
    half = 100 * curve.band if with_band else np.nan
    return pd.DataFrame(
        {
            "networks": curve.name,
            "score": curve.scores,
            "share_percent": share,
            "lower": np.clip(share - half, 0, 100),
            "upper": np.clip(share + half, 0, 100),
            "n": curve.n,
        }
    )


def _curve(
    frame: pd.DataFrame, name: str, color: str, dash: str, width: float = 2.2
) -> dict[str, Any]:
    """Draw a survival step function: it falls at each score, just after it."""
    return {
        "x": frame["score"],
        "y": frame["share_percent"],
        "mode": "lines",
        "name": name,
        "line": {"color": color, "shape": "vh", "width": width, "dash": dash},
        "hovertemplate": "%{y:.0f} % score at least %{x:.3f}<extra>" + name + "</extra>",
    }


def _ordered_colors(count: int) -> tuple[str, ...]:
    """Colour few groups by hue and many by an ordered scale."""
    return CYCLE[:count] if count <= 3 else (*SEQUENTIAL, BLACK, CYCLE[1])[:count]
