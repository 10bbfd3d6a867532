"""Augmentations that plug-ins add, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from definitions.plugins import Registry

if TYPE_CHECKING:
    import torch

Alteration = Callable[["torch.Tensor", "torch.Generator", float], "torch.Tensor"]
"""From float32 signals (records, leads, samples), a generator on their device and the sampling rate
in Hz to the altered signals; the same generator state must give the same signals."""

ALTERATIONS: Registry[Alteration] = Registry("augmentation", {})
