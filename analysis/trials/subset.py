"""The part of a study whose networks meet a condition on their factors and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.trials.factors import FactorInfo
from analysis.trials.table import SEARCHED, TrialTable
from search.reading.query import columns, matching

KNOWN_BEFORE = ("flops", "params", "activations", "latency_ms")


def only(table: TrialTable, where: str) -> TrialTable:
    """Keep the randomly drawn networks for which a condition holds, and the controls.

    They are still drawn at random, from a smaller space: a factor with one value left is a factor
    no longer, and the others' ranges shrink to what is left. A condition on scores would choose
    networks by what is to be explained, so it is refused.

    Args:
        table: The trials.
        where: As for `ecgscale trials`: `residual and mflops < 100`.

    Raises:
        AnalysisError: the condition speaks of what was measured, or no network meets it.
        StudyError: it cannot be read.
    """
    frame = table.frame
    costs = {name for name in (*KNOWN_BEFORE, table.cost) if name in frame}
    allowed = [*table.factor_names, *sorted(costs)]
    measured = sorted(columns(where) & set(map(str, frame)) - set(allowed))
    if measured:
        raise AnalysisError(
            f"Expected a condition on factors or costs, got {measured[0]!r} in {where!r}: networks "
            "chosen by what was measured would bias every number. Choose among "
            f"{', '.join(allowed)}."
        )
    drawn = frame["role"].isin(SEARCHED).to_numpy()
    meets = drawn & matching(frame[allowed], where)
    kept = frame[meets | (frame["role"] == "control").to_numpy()]
    left = table.frame[meets]
    if left.empty:
        raise AnalysisError(f"No network of '{table.study.name}' meets {where!r}.")
    fixed = {f.name: f for f in table.factors if left[f.name].nunique(dropna=False) == 1}
    study = replace(
        table.study,
        planned=len(kept),
        condition=where,
        definition=_with_fixed(
            table.study.definition, {name: left[name].iloc[0] for name in fixed}
        ),
    )
    factors = tuple(_narrowed(f, left[f.name]) for f in table.factors if f.name not in fixed)
    return replace(table, frame=kept.reset_index(drop=True), factors=factors, study=study)


def _narrowed(factor: FactorInfo, values: pd.Series) -> FactorInfo:
    """Cut a factor to the values that are left."""
    if factor.kind == "choice":
        present = set(factor.code(values))
        return replace(
            factor, choices=tuple(c for c in factor.choices if factor.code([c])[0] in present)
        )
    return replace(factor, low=float(values.min()), high=float(values.max()))


def _with_fixed(definition: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fix factors in a definition's design space, so that networks can be built in it."""
    if "design_space" not in definition:
        return definition
    space = definition["design_space"]
    plain = {k: v.item() if hasattr(v, "item") else v for k, v in values.items()}
    return {
        **definition,
        "design_space": {
            **space,
            "factors": [f for f in space["factors"] if f["name"] not in plain],
            "fixed": [*space["fixed"], *([name, value] for name, value in plain.items())],
        },
    }
