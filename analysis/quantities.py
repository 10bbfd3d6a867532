"""Names, units and number formats of the quantities in figures, tables and sentences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Form = Literal["score", "count", "number"]


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
    "macro_f1": Quantity("Macro-F1", "0 to 1", "score"),
    "macro_auroc": Quantity("Macro-AUROC", "0 to 1", "score"),
    "macro_auprc": Quantity("Macro-AUPRC", "0 to 1", "score"),
    "challenge_score": Quantity("Challenge score", "1 is best", "score"),
    "ece": Quantity("Calibration error", "0 to 1", "score"),
    "flops": Quantity("Compute", "FLOPs per ECG", "count"),
    "params": Quantity("Parameters", "count", "count"),
    "activations": Quantity("Activations", "count per ECG", "count"),
    "latency_ms": Quantity("Latency", "ms per ECG", "count"),
    "seconds": Quantity("Training time", "s", "count"),
    "peak_memory_bytes": Quantity("Peak memory", "bytes", "count"),
}

PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def quantity(name: str) -> Quantity:
    """Describe a column; unknown ones are called by their own name."""
    return QUANTITIES.get(name) or Quantity(name.replace("_", " "), "")


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


def written(name: str, value: float) -> str:
    """Write a value of a column in its form."""
    form = quantity(name).form
    return {"score": score, "count": short, "number": _three_digits}[form](value)


def _three_digits(value: float) -> str:
    """Keep three digits and drop trailing zeros."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text else text
