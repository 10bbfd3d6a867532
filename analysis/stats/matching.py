"""Groups of networks compared at equal cost: bins of log cost, weights, permutations within."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DEFAULT_BINS = 8


def log_flops_bins(flops: ArrayLike, n_bins: int = DEFAULT_BINS) -> Ints:
    """Number the equal-width bins of log FLOPs that cover the data, from 0."""
    log_flops = np.log(np.asarray(flops, dtype=np.float64))
    if log_flops.size == 0:
        return np.zeros(0, dtype=np.int64)
    low, high = log_flops.min(), log_flops.max()
    if high <= low:
        return np.zeros(log_flops.size, dtype=np.int64)
    position: Ints = np.floor(n_bins * (log_flops - low) / (high - low)).astype(np.int64)
    position[position == n_bins] = n_bins - 1
    return position


def matched_weights(bins: Ints, group: NDArray[np.bool_]) -> Floats:
    """Weight a group and its complement to the same FLOPs.

    Every bin that holds both gets the same total weight in each, shared evenly by its members:
    w_i = 1 / (k m), k common bins, m members of i's side in i's bin. Networks in other bins get 0.
    """
    n_bins = int(bins.max()) + 1 if bins.size else 0
    inside = np.bincount(bins[group], minlength=n_bins)
    outside = np.bincount(bins[~group], minlength=n_bins)
    common = (inside > 0) & (outside > 0)
    weights = np.zeros(bins.size)
    if not common.any():
        return weights
    k = int(common.sum())
    members = np.where(group, inside[bins], outside[bins])
    usable = common[bins]
    weights[usable] = 1.0 / (k * members[usable])
    return weights


def permute_within(bins: Ints, copies: int, rng: np.random.Generator) -> Ints:
    """Draw `copies` permutations of row numbers that leave every row in its bin."""
    by_bin = np.argsort(bins, kind="stable")
    keys = rng.random((copies, bins.size)) + bins[by_bin][None, :]
    shuffled = np.argsort(keys, axis=1)
    permutations = np.empty_like(shuffled)
    permutations[:, by_bin] = by_bin[shuffled]
    return permutations
