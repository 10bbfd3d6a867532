"""Factors as columns of a regression: codes, contrasts and groups of values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.factors import FactorInfo, label

FREE_OF_COST = 0.02


@dataclass(frozen=True, slots=True)
class LevelEstimate:
    """What was estimated for one level (or range) of a factor, with its 95 % interval."""

    level: str
    n: int
    estimate: float
    low: float
    high: float


def factor_columns(factor: FactorInfo, codes: np.ndarray) -> np.ndarray:
    """Code a factor for least squares: dummies, or standardised value and its square."""
    if not factor.ordered:
        return np.column_stack([codes == k for k in np.unique(codes)[1:]]).astype(float)
    z = (codes - codes.mean()) / codes.std()
    return z[:, None] if len(np.unique(codes)) < 4 else np.column_stack([z, z**2])


def ends(codes: np.ndarray) -> tuple[int, int]:
    """Return a row with the 10th percentile of the codes (n,), and one with the 90th.

    The lowest and the highest where there are two values, or where the percentiles are equal.
    """
    low, high = codes.min(), codes.max()
    if len(np.unique(codes)) > 2:
        tenth, ninetieth = (np.quantile(codes, q, method="nearest") for q in (0.1, 0.9))
        if tenth < ninetieth:
            low, high = tenth, ninetieth
    return int(np.flatnonzero(codes == low)[0]), int(np.flatnonzero(codes == high)[0])


def groups(
    factor: FactorInfo, values: pd.Series, codes: np.ndarray
) -> tuple[np.ndarray, Sequence[str]]:
    """Return each row's group (n,), and the groups' names: levels, or thirds of many values."""
    present = np.unique(codes)
    if len(present) <= 6:
        firsts = [values.iloc[int(np.flatnonzero(codes == code)[0])] for code in present]
        return np.searchsorted(present, codes), [label(value) for value in firsts]
    edges = np.quantile(codes, [1 / 3, 2 / 3], method="nearest")
    group = np.searchsorted(edges, codes)
    names = []
    for g in np.unique(group):
        inside = values[group == g].astype(float)
        names.append(f"{label(inside.min())} to {label(inside.max())}")
    return np.searchsorted(np.unique(group), group), names


def free_of_cost(columns: dict[str, np.ndarray], log_cost: np.ndarray) -> set[str]:
    """Name the factors that do not go with the cost: as covariates they change no meaning."""
    return {name for name, block in columns.items() if _explained(block, log_cost) < FREE_OF_COST}


def _explained(block: np.ndarray, c: np.ndarray) -> float:
    """Return the share of the variance of ln cost that a factor explains."""
    if np.ptp(c) == 0:
        return 0.0
    design = np.column_stack([np.ones(len(c)), block])
    left = c - design @ np.linalg.lstsq(design, c, rcond=None)[0]
    return float(1 - left.var() / c.var() * (len(c) - 1) / max(len(c) - design.shape[1], 1))
