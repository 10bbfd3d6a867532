"""Fixed splits: every label in every part in its share, every patient in one part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def stratified_split(
    labels: NDArray[np.uint8],
    groups: Sequence[str],
    shares: Sequence[float],
    seed: int,
) -> NDArray[np.int64]:
    """Deal groups of rows out to parts; return the part (records,) of every row.

    Iterative stratification (Sechidis et al. 2011, doi:10.1007/978-3-642-23808-6_10), with
    patients in place of single records: the rarest label that is still to be dealt out goes
    first, each of its groups to the part that lacks most of it, and within equals to the part
    that lacks most records. The order of the rows does not matter.
    """
    names, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    counts = np.zeros((len(names), labels.shape[1]))
    np.add.at(counts, index, labels)
    sizes = np.bincount(index, minlength=len(names)).astype(float)
    fractions = np.asarray(shares, dtype=float)
    lacking = np.outer(fractions, counts.sum(axis=0))
    lacking_rows = fractions * sizes.sum()
    part = np.full(len(names), -1, dtype=np.int64)
    luck = np.random.default_rng(seed).random(len(names))
    parts = np.flatnonzero(fractions > 0)

    def deal(group: int, wanted: NDArray[np.float64]) -> None:
        best = max(parts.tolist(), key=lambda p: (round(float(wanted[p]), 9), lacking_rows[p]))
        part[group] = best
        lacking[best] -= counts[group]
        lacking_rows[best] -= sizes[group]

    while True:
        remaining = counts[part < 0].sum(axis=0)
        if not remaining.any():
            break
        label = int(np.where(remaining > 0, remaining, np.inf).argmin())
        members = np.flatnonzero((part < 0) & (counts[:, label] > 0))
        # Large groups first: small ones can still level out what those upset.
        for group in members[np.lexsort((luck[members], -counts[members, label]))]:
            deal(int(group), lacking[:, label])
    unlabelled = np.flatnonzero(part < 0)
    for group in unlabelled[np.lexsort((luck[unlabelled], -sizes[unlabelled]))]:
        deal(int(group), lacking_rows)
    return part[index]


LOW_DATA: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)


def nested_fractions(
    labels: NDArray[np.uint8], groups: Sequence[str], seed: int
) -> NDArray[np.float64]:
    """Return for every row the smallest share of LOW_DATA that holds it.

    The rows up to 0.03 contain those up to 0.01 and so on, each share stratified over labels with
    groups kept together, so that results at little data can be compared with those at more.
    """
    steps = np.diff(LOW_DATA, prepend=0.0)
    return np.asarray(LOW_DATA)[stratified_split(labels, groups, steps.tolist(), seed)]
