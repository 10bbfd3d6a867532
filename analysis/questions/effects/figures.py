"""Figures of effects at equal cost: a forest of all factors, and the levels of each."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.page.quantities import Difference, factor_axis, words
from analysis.page.style import (
    BLUE,
    GREY,
    SMALL_HEIGHT,
    Drawn,
    Sketch,
    axis,
    certainty,
    interval,
    row_axis,
)
from analysis.questions.effects.interactions import Interaction
from analysis.questions.effects.main import Effects, FactorEffect
from analysis.questions.importance.ale import Ale
from analysis.stats.coding import LevelEstimate
from analysis.trials.factors import FactorInfo


def forest(found: Effects, unit: Difference) -> Drawn:
    """Draw every factor's effect at equal cost with its interval; filled where it is settled."""
    frame = found.to_frame()
    frame["settled"] = [effect.settled for effect in found.effects]
    frame["shown_estimate"] = unit.scale * frame["estimate"]
    ends = np.sort(unit.scale * frame[["low", "high"]].to_numpy(float), axis=1)
    frame["shown_low"], frame["shown_high"] = ends.T
    frame["position"] = np.arange(len(frame))[::-1]
    figure = Sketch(100 + 44 * len(frame))
    for settled in (True, False):
        rows = frame[frame["settled"] == settled]
        figure.scatter(
            x=rows["shown_estimate"],
            y=rows["position"],
            mode="markers",
            name="beyond doubt" if settled else "not told from chance",
            marker=certainty(settled),
            error_x=interval(
                rows["shown_estimate"],
                rows["shown_low"],
                rows["shown_high"],
                BLUE if settled else GREY,
            ),
            customdata=np.column_stack(
                [rows["factor"].map(words), rows["level"], rows["baseline"], rows["p_adjusted"]]
            ),
            hovertemplate="%{customdata[0]}, %{customdata[1]} against %{customdata[2]}: "
            "%{x:+.2f}, p = %{customdata[3]:.2g}<extra></extra>",
        )
    figure.zero(x=0)
    figure.axes(
        x=axis(unit.axis, nticks=7),
        y=row_axis([_label(effect) for effect in reversed(found.effects)]),
    )
    return figure.drawn(frame)


def effect_of_levels(effect: FactorEffect, unit: Difference) -> Drawn:
    """Draw each level of one factor against the mean of all networks, in a small panel."""
    frame = _levels(effect.levels, unit, factor=effect.factor)
    color = BLUE if effect.settled else GREY
    return _by_level(frame, effect.factor, color, f"Against the mean ({_unit(unit)})")


def effect_within(pair: Interaction, unit: Difference) -> Drawn:
    """Draw one factor's effect for each value of another, in a small panel."""
    compared = f"{pair.level} against {pair.baseline}"
    frame = _levels(
        pair.within, unit, factor=pair.factor, compared=compared, condition=pair.condition
    )
    return _by_level(frame, pair.condition, BLUE, f"{compared} ({_unit(unit)})")


def _levels(levels: Sequence[LevelEstimate], unit: Difference, **same: str) -> pd.DataFrame:
    """Return one row per level, in the unit of the figure; `same` are columns that all share."""
    ends = np.sort([[unit.scale * level.low, unit.scale * level.high] for level in levels])
    frame = pd.DataFrame({"level": [level.level for level in levels]}).assign(**same)
    frame["position"] = np.arange(len(levels))
    frame["n"] = [level.n for level in levels]
    frame["estimate"] = [unit.scale * level.estimate for level in levels]
    frame["low"], frame["high"] = ends.T
    return frame


def _by_level(frame: pd.DataFrame, factor: str, color: str, title: str) -> Drawn:
    """Draw an estimate with its interval for each level of a factor."""
    figure = Sketch(SMALL_HEIGHT, legend=False)
    figure.scatter(
        x=frame["position"],
        y=frame["estimate"],
        mode="markers",
        marker={"color": color, "size": 8},
        error_y=interval(frame["estimate"], frame["low"], frame["high"], color),
        text=frame["level"],
        customdata=frame["n"],
        hovertemplate="%{text}: %{y:+.2f} (%{customdata} networks)<extra></extra>",
    )
    figure.zero(y=0)
    figure.small()
    figure.axes(
        x=axis(
            factor_axis(factor),
            tickvals=frame["position"].tolist(),
            ticktext=[html.escape(level).replace(" to ", "<br>to ") for level in frame["level"]],
            range=[-0.5, len(frame) - 0.5],
        ),
        y=axis(title, nticks=6),
    )
    return figure.drawn(frame)


def _unit(unit: Difference) -> str:
    return unit.unit or "its own unit"


def accumulated_effect(found: Ale, factor: FactorInfo, unit: Difference) -> Drawn:
    """Draw a factor's accumulated local effect with its band, in a small panel."""
    frame = found.curve.assign(factor=found.factor)
    for column in ("effect", "low", "high"):
        frame[column] = unit.scale * frame[column]
    choice = factor.kind == "choice"
    frame["position"] = (
        np.arange(len(frame)) if choice else 2.0 ** frame["code"] if factor.log else frame["code"]
    )
    figure = Sketch(SMALL_HEIGHT, legend=False)
    if choice:
        x_axis = axis(
            factor_axis(found.factor),
            tickvals=frame["position"].tolist(),
            ticktext=[html.escape(value) for value in frame["value"]],
            range=[-0.5, len(frame) - 0.5],
        )
    else:
        x_axis = axis(factor_axis(found.factor), log=factor.log, dtick="D2" if factor.log else None)
    figure.band(frame["position"], frame["low"], frame["high"], color=BLUE, name="95 % band")
    figure.scatter(
        x=frame["position"],
        y=frame["effect"],
        mode="lines+markers",
        line={"color": BLUE, "width": 2},
        marker={"size": 6},
        text=frame["value"],
        hovertemplate="%{text}: %{y:+.2f}<extra></extra>",
    )
    figure.zero(y=0)
    figure.small()
    figure.axes(x=x_axis, y=axis(f"Against the mean ({_unit(unit)})", nticks=6))
    return figure.drawn(frame)


def _label(effect: FactorEffect) -> str:
    """Name the factor, and below it, smaller, what is compared."""
    compared = f"{html.escape(effect.level)} against {html.escape(effect.baseline)}"
    if effect.bent:
        compared += f"; best {html.escape(effect.best.level)}"
    return f"{html.escape(words(effect.factor))}<br><span style='font-size:10px'>{compared}</span>"
