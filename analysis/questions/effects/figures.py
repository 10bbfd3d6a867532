"""Figures of effects at equal cost: a forest of all factors, and the levels of each."""

from __future__ import annotations

import html
from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.page.quantities import Unit, factor_axis, words
from analysis.page.style import (
    BLUE,
    GREY,
    NOT_SIGNIFICANT,
    SIGNIFICANT,
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
from analysis.stats.coding import LevelEstimate


def forest(found: Effects, unit: Unit) -> Drawn:
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
            name=SIGNIFICANT if settled else NOT_SIGNIFICANT,
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


def effect_of_levels(effect: FactorEffect, unit: Unit) -> Drawn:
    """Draw each level of one factor against the mean of all networks, in a small panel."""
    frame = _levels(effect.levels, unit, factor=effect.factor)
    color = BLUE if effect.settled else GREY
    return _by_level(frame, effect.factor, color, f"Against the mean ({_unit(unit)})")


def effect_within(pair: Interaction, unit: Unit) -> Drawn:
    """Draw one factor's effect for each value of another, in a small panel."""
    compared = f"{pair.level} against {pair.baseline}"
    frame = _levels(
        pair.within, unit, factor=pair.factor, compared=compared, condition=pair.condition
    )
    return _by_level(frame, pair.condition, BLUE, f"{compared} ({_unit(unit)})")


def _levels(levels: Sequence[LevelEstimate], unit: Unit, **same: str) -> pd.DataFrame:
    """Return one row per level, in the unit of the figure; `same` are columns that all share."""
    ends = np.sort(unit.scale * np.array([[one.effect.low, one.effect.high] for one in levels]))
    frame = pd.DataFrame({"level": [level.level for level in levels]}).assign(**same)
    frame["position"] = np.arange(len(levels))
    frame["n"] = [level.n for level in levels]
    frame["estimate"] = [unit.scale * level.effect.estimate for level in levels]
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


def _unit(unit: Unit) -> str:
    return unit.unit or "its own unit"


def _label(effect: FactorEffect) -> str:
    """Name the factor, and below it, smaller, what is compared."""
    compared = f"{html.escape(effect.level)} against {html.escape(effect.baseline)}"
    if effect.bent:
        compared += f"; best {html.escape(effect.best.level)}"
    return f"{html.escape(words(effect.factor))}<br><span style='font-size:10px'>{compared}</span>"
