"""Heads: from features over time to one output per class."""

from __future__ import annotations

from models.layers import BATCH_NORM, RELU, Dropout, GlobalPool, Linear, Sequence

AVERAGE_HEAD = Sequence((GlobalPool(), Linear()), name="head")
PEAK_HEAD = Sequence((GlobalPool("maxavg"), Linear()), name="head")


def concat_head(hidden: int = 128) -> Sequence:
    """Return the head of Strodthoff et al. 2021: maxima and means, then two linear layers."""
    layers = (
        GlobalPool("maxavg"),
        BATCH_NORM,
        Dropout(0.25),
        Linear(hidden),
        RELU,
        BATCH_NORM,
        Dropout(0.5),
        Linear(),
    )
    return Sequence(layers, name="head")
