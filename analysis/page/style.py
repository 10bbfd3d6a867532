"""The one look of all figures: Okabe-Ito colours, quiet axes, labels with units."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from analysis.page.quantities import quantity, written
from analysis.trials.factors import label

# Okabe & Ito (2008), readable with every common kind of colour blindness.
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
SKY = "#56B4E9"
PURPLE = "#CC79A7"
YELLOW = "#F0E442"
BLACK = "#1B1B1B"
GREY = "#8A8A8A"
PALE = "#C4C4C4"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
# Dark to light, ordered in lightness as well as hue: Viridis without its pale end.
SEQUENTIAL = ("#440154", "#414487", "#2A788E", "#22A884", "#7AD151")

SIGNIFICANT = "statistically significant"
NOT_SIGNIFICANT = "not statistically significant"
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, sans-serif"
GRID = "#E8E8E8"
HEIGHT = 430
SMALL_HEIGHT = 270


Numbers = Sequence[float] | pd.Series | NDArray[np.float64]


class Drawn(NamedTuple):
    """A figure and the table of exactly what it shows."""

    figure: go.Figure
    data: pd.DataFrame


class Sketch:
    """A figure in the making, as plain data.

    Plotly's own objects take ten times as long to build up piece by piece as to make at once,
    and it checks them all the same when `drawn` hands them over.
    """

    def __init__(self, height: int = HEIGHT, *, legend: bool = True) -> None:
        self._traces: list[dict[str, Any]] = []
        self._layout: dict[str, Any] = {
            "template": "none",
            "height": height,
            "autosize": True,
            "font": {"family": FONT, "size": 13, "color": BLACK},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "colorway": CYCLE,
            "hoverlabel": {"font": {"family": FONT, "size": 12}, "align": "left"},
            "hovermode": "closest",
            "margin": {"l": 64, "r": 16, "t": 12, "b": 56},
            "showlegend": legend,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.01,
                "yanchor": "bottom",
                "font": {"size": 12},
                "itemsizing": "constant",
            },
            "shapes": [],
            "annotations": [],
        }

    def scatter(self, **settings: Any) -> None:
        """Add points or a line."""
        self._traces.append({"type": "scatter", **settings})

    def points(
        self,
        x: Numbers,
        y: Numbers,
        name: str,
        color: str,
        *,
        size: Any = 6,
        hover: str = "",
        text: Sequence[str] | None = None,
        **marker: Any,
    ) -> None:
        """Add points; without a template `hover` they say nothing when pointed at."""
        look = {"color": color, "size": size, **marker}
        said = {"hovertemplate": hover, "text": text} if hover else {"hoverinfo": "skip"}
        self.scatter(x=x, y=y, mode="markers", name=name, marker=look, **said)

    def hide_last(self) -> None:
        """Leave what was added last out of the legend."""
        self._traces[-1]["showlegend"] = False

    def curve(
        self, x: Numbers, y: Numbers, name: str, color: str, *, hover: str = "", **line: Any
    ) -> None:
        """Add a line; without a template `hover` it says nothing when pointed at."""
        look = {"color": color, "width": 2, **line}
        said = {"hovertemplate": hover} if hover else {"hoverinfo": "skip"}
        self.scatter(x=x, y=y, mode="lines", name=name, line=look, **said)

    def band(
        self,
        x: Numbers,
        lower: Numbers,
        upper: Numbers,
        *,
        color: str,
        name: str,
        shape: str = "linear",
    ) -> None:
        """Shade between two curves."""
        shared: dict[str, Any] = {
            "x": x,
            "mode": "lines",
            "line": {"width": 0, "shape": shape, "color": color},
            "hoverinfo": "skip",
            "legendgroup": name,
        }
        filled = {"fill": "tonexty", "fillcolor": translucent(color, 0.16), "name": name}
        self.scatter(y=lower, showlegend=False, **shared)
        self.scatter(y=upper, **filled, **shared)

    def axes(self, x: dict[str, Any], y: dict[str, Any]) -> None:
        """Set both axes."""
        self._layout |= {"xaxis": x, "yaxis": y}

    def tighten(self, **margin: int) -> None:
        """Set margins, in pixels."""
        self._layout["margin"] |= margin

    def small(self) -> None:
        """Fit a panel of a grid."""
        self.tighten(l=50, r=8, t=8, b=44)
        self._layout["legend"]["font"] = {"size": 11}

    def line(self, **settings: Any) -> None:
        """Draw a straight line; `xref` or `yref` "paper" spans the plot."""
        self._layout["shapes"].append({"type": "line", "layer": "below", **settings})

    def zero(self, *, x: float | None = None, y: float | None = None) -> None:
        """Draw a thin line across the plot."""
        line = {"color": "#777777", "width": 1}
        if x is not None:
            self.line(x0=x, x1=x, yref="paper", y0=0, y1=1, line=line)
        if y is not None:
            self.line(y0=y, y1=y, xref="paper", x0=0, x1=1, line=line)

    def mark(self, x: float, text: str, *, log: bool = False) -> None:
        """Draw a dashed vertical line and say above the plot what it is.

        On a logarithmic axis (`log`) plotly places shapes by value, but texts by exponent.
        """
        line = {"color": "#555555", "width": 1, "dash": "dash"}
        self.line(yref="paper", y0=0, y1=1, x0=x, x1=x, line=line)
        self._layout["annotations"].append(
            {
                "x": float(np.log10(x)) if log else x,
                "yref": "paper",
                "y": 1.0,
                "xanchor": "center",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 11, "color": "#444444"},
                "text": text,
            }
        )
        self.tighten(t=26)

    def drawn(self, data: pd.DataFrame) -> Drawn:
        """Finish the figure of these data."""
        figure = go.Figure({"data": self._traces, "layout": self._layout})
        return Drawn(figure, data.reset_index(drop=True))


def axis(title: str, *, log: bool = False, **more: Any) -> dict[str, Any]:
    """Describe an axis: line and ticks outside, light grid, SI prefixes when logarithmic."""
    settings: dict[str, Any] = {
        "title": {"text": title, "standoff": 8, "font": {"size": 13}},
        "showline": True,
        "linecolor": "#555555",
        "linewidth": 1,
        "ticks": "outside",
        "ticklen": 4,
        "tickcolor": "#555555",
        "gridcolor": GRID,
        "zeroline": False,
        "automargin": True,
    }
    if log:
        settings |= {"type": "log", "tickformat": "~s", "minor": {"ticks": "outside", "ticklen": 2}}
    return settings | more


def row_axis(names: Sequence[str], **more: Any) -> dict[str, Any]:
    """Describe an axis with a name for each of the positions 0, 1, 2, …; no ticks."""
    settings: dict[str, Any] = {
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "range": [-0.6, len(names) - 0.4],
        "ticks": "",
        "showline": False,
    }
    return axis("", **(settings | more))


def column_axis(name: str, values: Numbers | None = None) -> dict[str, Any]:
    """Describe the axis of a column: counts and times are logarithmic, scores plain."""
    described = quantity(name)
    if described.form not in ("count", "time"):
        return axis(described.axis)
    decades = 3.0
    if values is not None:
        positive = np.asarray(values, dtype=float)
        positive = positive[positive > 0]
        decades = float(np.ptp(np.log10(positive))) if positive.size else 0.0
    # Decades alone leave a short axis with one label; 1-2-5 would crowd a long one.
    ticks: dict[str, Any] = {"dtick": 1 if decades >= 2 else "D2"}
    if described.form == "time":  # half a millisecond is no 500m of them
        ticks["tickformat"] = "~g"
    return axis(described.axis, log=True, **ticks)


def interval(estimate: pd.Series, low: pd.Series, high: pd.Series, color: str) -> dict[str, Any]:
    """Describe error bars that reach from `low` to `high`."""
    return {
        "type": "data",
        "symmetric": False,
        "color": color,
        "thickness": 1.6,
        "width": 4,
        "array": high - estimate,
        "arrayminus": estimate - low,
    }


def certainty(certain: bool, color: str = BLUE) -> dict[str, Any]:
    """Describe markers: filled and coloured for what is certain, open and grey for the rest."""
    return {
        "color": color if certain else GREY,
        "size": 9,
        "symbol": "circle" if certain else "circle-open",
        "line": {"width": 1.6},
    }


def translucent(color: str, opacity: float) -> str:
    """Write a hex colour as rgba."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"


def hover_texts(
    frame: pd.DataFrame,
    factors: Sequence[str],
    columns: Sequence[str],
) -> list[str]:
    """Describe each network: hash, what was measured, and its factors."""
    present = [name for name in columns if name in frame]
    texts = []
    for row in frame.to_dict("records"):
        lines = [f"<b>{html.escape(str(row.get('architecture_hash', ''))[:12])}</b>"]
        lines += [
            f"{html.escape(quantity(name).name)} {written(name, float(row[name]))}"
            for name in present
        ]
        lines += [
            html.escape(f"{name.replace('_', ' ')} {label(row[name])}")
            for name in factors
            if name in row
        ]
        texts.append("<br>".join(lines))
    return texts
