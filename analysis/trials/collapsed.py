"""Runs that ended with a score and without having learned: told from the rest, and why.

One such run among 24 replicated networks makes the noise several times too large, and a few per
cent of them bend every regression. They are named and set aside, never dropped in silence: whether
a choice makes networks collapse is a question of its own.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

AUROC = "macro_auroc"
GUESSING_AUROC = 0.56
"""Guessing has 0.5; on a few hundred records chance takes it 0.03 from there (sd of controls)."""
SEED_SDS = 6.0
FEWEST_NETWORKS = 6  # with several seeds, to know what seeds usually do
FEWEST_RUNS = 20  # to know what scores usually do, and to spare any
FEW = 0.1  # more runs than this share, and it may be what some choice does

GUESSES, BELOW_SEEDS, BELOW_ALL = "guesses", "far below its other seeds", "far below all others"


def why_collapsed(runs: pd.DataFrame, score: np.ndarray) -> pd.Series:
    """Say of every run with a score (n,), more being better, why it collapsed; "" if it did not.

    A run guesses if its macro-AUROC says so, where it is known. Without one only a gap tells: a
    run further below the next than that is below the best, or further below the other seeds of
    its network than 6 times what seeds usually do (median, so that they do not hide themselves).
    """
    why = np.full(len(runs), "", dtype=object)
    why[_below_seeds(runs["architecture_hash"].to_numpy(), score)] = BELOW_SEEDS
    why[_below_gap(score)] = BELOW_ALL
    if AUROC in runs:
        why[(runs[AUROC].astype(float) < GUESSING_AUROC).to_numpy()] = GUESSES
    return pd.Series(why, index=runs.index, dtype=object)


def _below_gap(score: np.ndarray) -> np.ndarray:
    """Tell the few runs below a gap that is wider than the range of all that lies above it."""
    if len(score) < FEWEST_RUNS:
        return np.zeros(len(score), dtype=bool)
    ordered = np.sort(score)
    above = ordered[1 : int(FEW * len(ordered)) + 1]
    wide = above - ordered[: len(above)] > ordered[-1] - above
    return score < above[wide][-1] if wide.any() else np.zeros(len(score), dtype=bool)


def _below_seeds(network: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Tell the runs far below the median of the other runs of their network."""
    below = np.zeros(len(score))
    spreads = []
    for rows in pd.Series(range(len(score))).groupby(network).agg(list):
        own = score[rows]
        if len(rows) > 1:
            away = [np.median(np.delete(own, i)) - one for i, one in enumerate(own)]
            below[rows] = away / np.sqrt(1 + 1 / (len(rows) - 1))  # seeds' sds, were it normal
            spreads.append(own.std(ddof=1))
    if len(spreads) < FEWEST_NETWORKS:
        return np.zeros(len(score), dtype=bool)
    # The median sd of two or three normal values is four fifths of theirs.
    usual = float(np.median(spreads)) / 0.8
    return below > SEED_SDS * usual if usual > 0 else np.zeros(len(score), dtype=bool)
