"""Figures of the chapter by diagnosis."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.page.style import Drawn
from analysis.questions.diagnoses.numbers import Diagnoses
from analysis.use.curves import PRECISION, ROC
from analysis.use.figures import ranking_lines, reliability_curves
from analysis.use.tables import of_everyone

AXES = {ROC: ("1 − specificity", "Sensitivity"), PRECISION: ("Recall", "Precision")}


def curves_of_classes(found: Diagnoses, curve: str, classes: Sequence[str]) -> Drawn:
    """Draw one kind of curve of some classes."""
    own = found.curves[(found.curves["curve"] == curve) & found.curves["class"].isin(classes)]
    order = own.set_index("class").loc[list(classes)].reset_index()
    return ranking_lines(
        order.assign(name=order["class"]), _at_thresholds(found, curve), AXES[curve]
    )


def curves_of_class(found: Diagnoses, name: str) -> Drawn:
    """Draw both kinds of curves of one class."""
    own = found.curves[found.curves["class"] == name]
    points = pd.concat([_at_thresholds(found, curve).assign(curve=curve) for curve in AXES])
    at = points[points["name"] == name]
    return ranking_lines(
        own.assign(name=own["curve"]),
        at.assign(name=at["curve"]),
        ("1 − specificity; recall", "Sensitivity; precision"),
        small=True,
    )


def calibration_of_classes(found: Diagnoses, classes: Sequence[str]) -> Drawn:
    """Draw the calibration of some classes together, without intervals."""
    own = found.calibration[found.calibration["class"].isin(classes)]
    order = own.set_index("class").loc[[c for c in classes if c in set(own["class"])]]
    together = order.reset_index()
    return reliability_curves(together.assign(network=together["class"]), bars=False)


def _at_thresholds(found: Diagnoses, curve: str) -> pd.DataFrame:
    """Return where the thresholds lie on the curves: name, x, y."""
    scores = of_everyone(found.scored.scores)
    wide = scores.pivot(index="class", columns="metric", values="estimate")
    alarms = 1 - wide["specificity"]
    x, y = (alarms, wide["sensitivity"]) if curve == ROC else (wide["sensitivity"], wide["ppv"])
    return pd.DataFrame({"name": wide.index, "x": x.to_numpy(), "y": y.to_numpy()})
