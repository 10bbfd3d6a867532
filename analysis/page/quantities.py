"""Names, units and number formats of the quantities in figures, tables and sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from analysis.stats.interval import Interval
from search.training.evaluation import EVALUATIONS
from search.training.metric_table import METRICS, PER_CLASS, objective_metric

Form = Literal["score", "count", "time", "number"]


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a column is called and counted; `unit` is what one of it is."""

    name: str
    unit: str
    form: Form = "number"

    @property
    def axis(self) -> str:
        """Title of an axis."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


QUANTITIES = {
    "flops": Quantity("Compute", "FLOPs per ECG", "count"),
    "params": Quantity("Parameters", "count", "count"),
    "activations": Quantity("Activations", "count per ECG", "count"),
    "latency_ms": Quantity("Latency", "ms per ECG", "time"),
    "seconds": Quantity("Training time", "s", "time"),
    "peak_memory_bytes": Quantity("Peak memory", "bytes", "count"),
}

# Factors whose name alone says little to a reader who does not build networks.
FACTORS = {
    "residual": "residual connections",
    "se_ratio": "squeeze-and-excitation",
    "stem_kernel": "stem kernel size",
    "width_growth": "width multiplier per stage",
    "grouping": "grouped convolution",
    "expansion": "block expansion",
    "stem": "stem of one or three convolutions",
    "stem_pool": "max pooling after the stem",
    "halving": "halving apart or within a block",
}

FACTOR_UNITS = {
    "depth": "blocks",
    "stages": "count",
    "width": "channels",
    "width_growth": "ratio per stage",
    "kernel_size": "samples",
    "stem_kernel": "samples",
    "expansion": "ratio",
    "grouping": "kind",
    "residual": "on or off",
    "se_ratio": "ratio",
    "stem": "kind",
    "stem_width": "ratio",
    "stem_pool": "on or off",
    "halving": "kind",
    "head": "kind",
    "activation": "kind",
}

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def quantity(name: str) -> Quantity:
    """Describe a column; unknown ones are called by their own name."""
    if name in QUANTITIES:
        return QUANTITIES[name]
    kind, colon, _ = name.partition(":")
    if name in METRICS or (colon and kind in PER_CLASS):
        metric = objective_metric(name)
        return Quantity(metric.label, metric.unit, "score" if metric.high <= 1 else "number")
    if name in EVALUATIONS:
        return Quantity(EVALUATIONS[name].label, EVALUATIONS[name].unit)
    return Quantity(name.replace("_", " "), "")


def cost_word(name: str) -> str:
    """Name the unit of a cost in a legend."""
    return "FLOPs" if name == "flops" else quantity(name).name.lower()


def words(name: str) -> str:
    """Write a factor's name as people read it."""
    return FACTORS.get(name, name.replace("_", " "))


def factor_axis(name: str) -> str:
    """Title the axis of a factor."""
    return f"{words(name)} ({FACTOR_UNITS.get(name, 'value')})"


@dataclass(frozen=True, slots=True)
class Unit:
    """How differences of a metric are written: scores in percentage points, others as they are.

    `scale` turns a difference where more is better into one of the metric: negative for a loss.
    """

    scale: float
    unit: str
    name: str

    def number(self, value: float, half: float | None = None) -> str:
        """Write a signed difference, with as many digits as its margin makes sense of."""
        places = self._places(value if half is None else half)
        return f"{self.scale * value:+.{places}f}".replace("-", "−")

    def written(self, found: Interval) -> str:
        """Write a difference with its margin if that is known: +0.6 ± 0.3 points."""
        if not found.known:
            return f"{self.number(found.estimate, abs(found.estimate))} {self.unit}".strip()
        return (
            f"{self.number(found.estimate, found.half)} ± {self.size(found.half)} {self.unit}"
        ).strip()

    def size(self, value: float) -> str:
        """Write a difference without its sign."""
        return f"{abs(self.scale * value):.{self._places(value)}f}"

    @property
    def axis(self) -> str:
        """Title of an axis, short enough for a telephone."""
        return f"{self.name} difference{self._in_unit}"

    @property
    def axis_of_pairs(self) -> str:
        """Title of an axis of searched networks' scores minus references'."""
        return f"{self.name}, searched minus reference{self._in_unit}"

    @property
    def _in_unit(self) -> str:
        return f" ({self.unit})" if self.unit else ""

    def _places(self, margin: float) -> int:
        size = abs(self.scale * margin)
        if not math.isfinite(size) or size == 0:
            return 1
        return max(1, min(4, math.ceil(-math.log10(size)) + (0 if self.unit else 1)))


def difference(metric: str, maximize: bool = True) -> Unit:
    """Say how differences of a metric are written."""
    described = quantity(metric)
    scaled = described.form == "score"
    size = (100.0 if scaled else 1.0) * (1.0 if maximize else -1.0)
    return Unit(size, "points" if scaled else "", described.name)


def short(value: float) -> str:
    """Write a count in three digits: 12.3M, 1G, 950."""
    if not math.isfinite(value):
        return "–"
    for size, prefix in PREFIXES:
        if abs(value) >= 0.9995 * size:
            return f"{_three_digits(value / size)}{prefix}"
    return _three_digits(value)


def score(value: float) -> str:
    """Write a score or a difference of scores with three decimals."""
    return f"{value:.3f}".replace("-", "−") if math.isfinite(value) else "–"


def percent(share: float) -> str:
    """Write a share as a percentage."""
    if not math.isfinite(share):
        return "–"
    return f"{100 * share:.1f} %" if abs(share) < 0.0995 else f"{100 * share:.0f} %"


def p_value(p: float) -> str:
    """Write a p-value as papers do."""
    return f"p = {p:.3f}" if p >= 0.001 else "p < 0.001"


def p_cell(p: float) -> str:
    """Write a p-value for a column that is called so."""
    return p_value(p).removeprefix("p ").removeprefix("= ")


def written(name: str, value: float) -> str:
    """Write a value of a column in its form."""
    form = quantity(name).form
    return {"score": score, "count": short}.get(form, _three_digits)(value)


def _three_digits(value: float) -> str:
    """Keep three digits and drop trailing zeros."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text else text


def fixed(value: float, digits: int = 2, sign: bool = False) -> str:
    """Write a number with so many decimals and a true minus sign."""
    if not math.isfinite(value):
        return "–"
    return f"{value:{'+' if sign else ''}.{digits}f}".replace("-", "−")
