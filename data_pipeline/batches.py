"""Batches of ECGs from an int16 tensor that stays on the device.

No loader processes and no float copy of the data: a batch is one gather and one scaling on the
device, so that feeding costs a few per cent of the training step of even the smallest network.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_pipeline.augment import AugmentOptions, alter
from data_pipeline.errors import DataError
from data_pipeline.store import Store

__all__ = ["AugmentOptions", "ResidentRecords", "batches", "shuffled_labels"]

_BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class ResidentRecords:
    """Records on a device: signals int16 (n, leads, samples), labels float32 (n, classes).

    step is the value of one int16 unit. rows are the row numbers in the store and patients
    numbers that are equal where the patient is, both int64 (n,) on the host. classes names the
    columns of labels where that is known; exclusive says that every record has exactly one.
    """

    signals: Tensor
    labels: Tensor
    step: float
    sample_rate_hz: float
    rows: NDArray[np.int64]
    patients: NDArray[np.int64]
    classes: tuple[str, ...] = ()
    exclusive: bool = False

    @classmethod
    def from_store(
        cls,
        store: Store,
        rows: NDArray[np.int64],
        device: torch.device | str,
        *,
        exclusive: bool = False,
    ) -> ResidentRecords:
        """Copy the given rows of a store to a device, block by block."""
        if len(rows) == 0:
            raise DataError(
                f"Expected records, but the split asked of {store.path} has none; "
                "prepare more records or another split."
            )
        signals = torch.empty(
            (len(rows), *store.signals.shape[1:]), dtype=torch.int16, device=device
        )
        for start in range(0, len(rows), _BLOCK):
            block = np.asarray(store.signals[rows[start : start + _BLOCK]])
            signals[start : start + _BLOCK] = torch.from_numpy(block)
        labels = torch.from_numpy(store.labels[rows].astype(np.float32)).to(device)
        patients = store.patient_numbers(rows)
        facts = store.step, store.sample_rate_hz, np.asarray(rows), patients
        return cls(signals, labels, *facts, store.classes, exclusive)

    def __len__(self) -> int:
        return len(self.signals)

    @property
    def device(self) -> torch.device:
        """Device the records lie on."""
        return self.signals.device


def shuffled_labels(records: ResidentRecords, seed: int) -> ResidentRecords:
    """Return the same records with labels dealt out at random: a control that learns nothing."""
    order = np.random.default_rng(seed).permutation(len(records))
    index = torch.from_numpy(order).to(records.device)
    return replace(records, labels=records.labels.index_select(0, index))


def batches(
    records: ResidentRecords,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    shuffle: bool,
    augment: AugmentOptions | None = None,
    first_step: int = 0,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield signals float32 (b, leads, samples) and labels float32 (b, classes) of one epoch.

    The order depends on (seed, epoch) alone and the alterations on (seed, epoch, step), so an
    epoch that goes on at `first_step` sees what an uninterrupted one would. Every record comes
    once; the last batch may be smaller.
    """
    device = records.device
    order: Tensor | None = None
    if shuffle:
        generator = torch.Generator().manual_seed(_seed(seed, epoch))
        order = torch.randperm(len(records), generator=generator).to(device)
    altering = torch.Generator(device=device) if augment is not None else None
    steps = -(-len(records) // batch_size)
    for step in range(first_step, steps):
        chosen = slice(step * batch_size, min((step + 1) * batch_size, len(records)))
        if order is None:
            raw, labels = records.signals[chosen], records.labels[chosen]
        else:
            raw = records.signals.index_select(0, order[chosen])
            labels = records.labels.index_select(0, order[chosen])
        signals = raw.to(torch.float32).mul_(records.step)
        if augment is not None and altering is not None:
            altering.manual_seed(_seed(seed, epoch, step))
            signals = alter(signals, augment, altering, records.sample_rate_hz)
        yield signals, labels


def _seed(*numbers: int) -> int:
    """Mix numbers into one seed of 63 bits, so that neighbours share nothing."""
    words = np.random.SeedSequence(numbers).generate_state(2, np.uint32).tolist()
    return int(words[0] << 31 ^ words[1])
