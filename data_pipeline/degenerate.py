"""Stores from which some class, or every class, cannot be learned or judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_NAMED = 8


def label_warnings(
    labels: NDArray[np.uint8], splits: Mapping[str, NDArray[np.int64]], classes: Sequence[str]
) -> list[str]:
    """Return a sentence for everything about labels (records, classes) that spoils a study."""
    used = np.concatenate([*splits.values()]) if splits else np.arange(len(labels))
    positive = labels[used].sum(axis=0)
    everywhere, nowhere = positive == len(used), positive == 0
    warnings = [
        _sentence(classes, everywhere & ~nowhere, f"positive in all {len(used):,} records"),
        _sentence(classes, nowhere, "positive in no record"),
    ]
    for split, rows in splits.items():
        if len(rows) == 0:
            warnings.append(f"the {split} split has no records")
            continue
        count = labels[rows].sum(axis=0)
        warnings += [
            _sentence(classes, (count == 0) & ~nowhere, f"without positives in the {split} split"),
            _sentence(
                classes,
                (count == len(rows)) & ~everywhere,
                f"without negatives in the {split} split",
            ),
        ]
    return [warning for warning in warnings if warning]


def learnable(labels: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which classes have positives and negatives among the rows."""
    count = labels[rows].sum(axis=0)
    chosen: NDArray[np.bool_] = (count > 0) & (count < len(rows))
    return chosen


def _sentence(classes: Sequence[str], chosen: NDArray[np.bool_], what: str) -> str:
    names = [name for name, yes in zip(classes, chosen, strict=True) if yes]
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what}: {', '.join(names[:_NAMED])}{more}"
