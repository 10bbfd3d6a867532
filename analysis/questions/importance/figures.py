"""Figures of what matters: importances with intervals, beeswarms."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import pandas as pd

from analysis.page.quantities import quantity, words
from analysis.page.style import (
    BLUE,
    GREY,
    SEQUENTIAL,
    SYMBOLS,
    VERMILLION,
    Drawn,
    Sketch,
    axis,
    certainty,
    interval,
    row_axis,
)
from analysis.questions.importance.agreement import Agreement
from analysis.questions.importance.shap import Importance
from analysis.stats.ties import Design
from analysis.trials.factors import FactorInfo, label
from analysis.trials.table import TrialTable

MOST_TIES = 15


def importance_bars(result: Importance, metric: str) -> Drawn:
    """Draw mean |SHAP| of every factor with its interval, and the level of permuted factors."""
    frame = result.to_frame()
    shown = frame.iloc[::-1]
    figure = Sketch(90 + 30 * len(frame), legend=False)
    for important in (True, False):
        rows = shown[shown["important"] == important]
        figure.scatter(
            x=rows["importance"],
            y=rows["factor"].map(words),
            mode="markers",
            name="above the noise floor" if important else "within the noise floor",
            marker=certainty(important),
            error_x=interval(
                rows["importance"], rows["low"], rows["high"], BLUE if important else GREY
            ),
            customdata=rows[["low", "high", "rank_low", "rank_high"]],
            hovertemplate="%{y}: %{x:.4f} (%{customdata[0]:.4f} to %{customdata[1]:.4f})<br>"
            "rank %{customdata[2]} to %{customdata[3]}<extra></extra>",
        )
    if np.isfinite(result.floor):
        figure.mark(result.floor, "permuted factors reach")
    figure.axes(
        x=axis(
            f"Mean |SHAP| ({_in_units_of(metric)})",
            rangemode="tozero",
        ),
        y=axis(
            "",
            categoryorder="array",
            categoryarray=list(shown["factor"].map(words)),
            ticks="",
            showline=False,
        ),
    )
    return figure.drawn(frame)


def beeswarm(result: Importance, table: TrialTable, metric: str) -> Drawn:
    """Draw every network's SHAP values, one row per factor, coloured by the factor's value."""
    names = list(result.values.columns)
    figure = Sketch(110 + 38 * len(names), legend=False)
    parts = []
    for place, name in enumerate(names[::-1]):
        phi = result.values[name].to_numpy(float)
        position = _rank_position(table.factor(name), result.designs[name])
        frame = pd.DataFrame(
            {
                "factor": name,
                "architecture_hash": result.designs["architecture_hash"],
                "value": result.designs[name].map(label),
                "colour_position": position,
                "shap": phi,
                "offset": _swarm(phi),
            }
        )
        parts.append(frame)
        figure.scatter(
            x=phi,
            y=place + 0.8 * frame["offset"],
            mode="markers",
            marker={
                "size": 4.5,
                "opacity": 0.85,
                "color": position,
                "cmin": 0,
                "cmax": 1,
                "colorscale": _scale(),
                "showscale": place == 0,
                "colorbar": {
                    "orientation": "h",  # beside the points it would take half a telephone
                    "x": 0,
                    "xanchor": "left",
                    "y": 1.0,
                    "yanchor": "bottom",
                    "title": {"text": "value of the factor", "side": "top", "font": {"size": 11}},
                    "tickvals": [0, 1],
                    "ticktext": ["low", "high"],
                    "thickness": 8,
                    "len": 0.6,
                    "outlinewidth": 0,
                },
            },
            text=frame["value"],
            hovertemplate=f"{words(name)} %{{text}}: %{{x:+.4f}}<extra></extra>",
        )
    figure.zero(x=0)
    figure.tighten(t=56)
    figure.axes(
        x=axis(f"SHAP value ({_in_units_of(metric)})"),
        y=row_axis([words(n) for n in names[::-1]]),
    )
    return figure.drawn(pd.concat(parts[::-1], ignore_index=True))


def predicted_against_observed(predictions: pd.DataFrame, metric: str) -> Drawn:
    """Draw what the surrogate says of networks it has not seen against what they scored."""
    frame = predictions.copy()
    figure = Sketch(360, legend=False)
    ends = [
        float(frame[["score", "predicted"]].to_numpy().min()),
        float(frame[["score", "predicted"]].to_numpy().max()),
    ]
    figure.line(
        x0=ends[0],
        x1=ends[1],
        y0=ends[0],
        y1=ends[1],
        line={"color": VERMILLION, "width": 1.2, "dash": "dash"},
    )
    figure.scatter(
        x=frame["predicted"],
        y=frame["score"],
        mode="markers",
        marker={"size": 5.5, "color": BLUE, "opacity": 0.6},
        text=frame["architecture_hash"].str[:12],
        hovertemplate="%{text}: predicted %{x:.3f}, scored %{y:.3f}<extra></extra>",
    )
    figure.axes(
        x=axis(f"Predicted {quantity(metric).axis}"), y=axis(f"Observed {quantity(metric).axis}")
    )
    return figure.drawn(frame)


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
                "color": (BLUE, VERMILLION)[place % 2],
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


def _in_units_of(metric: str) -> str:
    described = quantity(metric)
    return f"{described.name}, {described.unit or 'its own unit'}"


def _scale() -> list[list[object]]:
    return [[i / (len(SEQUENTIAL) - 1), color] for i, color in enumerate(SEQUENTIAL)]


def _rank_position(factor: FactorInfo, values: pd.Series) -> np.ndarray:
    """Place values between 0 (lowest) and 1 (highest) of what occurs, evenly by code."""
    code = factor.code(values)
    distinct, position = np.unique(code, return_inverse=True)
    return np.asarray(position / max(1, distinct.size - 1), dtype=float)


def _swarm(values: np.ndarray, bins: int = 60) -> np.ndarray:
    """Move points of like value apart, as far as they are many: offsets within ±0.5."""
    span = float(np.ptp(values)) or 1.0
    cell = np.floor((values - values.min()) / span * bins).astype(int)
    offset = np.zeros(len(values))
    crowd = max(8, int(np.bincount(cell).max()))
    for number in np.unique(cell):
        members = np.flatnonzero(cell == number)
        # Alternate sides outwards from the middle: 0, +1, -1, +2, -2, ...
        step = (np.arange(members.size) + 1) // 2 * np.where(np.arange(members.size) % 2, 1, -1)
        offset[members] = step / crowd
    return offset
