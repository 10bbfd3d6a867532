"""Batched augmentation of ECGs on the device they lie on."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from data_pipeline.alterations import Alteration

_POOL = 1 << 16
"""Places where a stretch of white noise may start."""


@dataclass(frozen=True, slots=True)
class AugmentOptions:
    """Choose how much each batch is altered; zero switches an alteration off.

    crop_samples: length of a random crop; None keeps the whole record.
    gain: sd of the logarithm of a factor per record.
    noise: sd of white noise, in the units of the signals.
    wander: largest amplitude of a baseline wander of 0.05-0.5 Hz, in the units of the signals.
    lead_dropout: probability that a lead is blanked.
    mask: largest share of the record that is blanked in all leads, in one piece.
    warp: largest relative change of speed.
    own: a plug-in's alteration, after all others.
    """

    crop_samples: int | None = None
    gain: float = 0.0
    noise: float = 0.0
    wander: float = 0.0
    lead_dropout: float = 0.0
    mask: float = 0.0
    warp: float = 0.0
    own: Alteration | None = None


def alter(
    signals: Tensor, options: AugmentOptions, generator: torch.Generator, sample_rate_hz: float
) -> Tensor:
    """Alter float signals (records, leads, samples); changes them in place where it can.

    The generator must live on the device of the signals. Wander is one sine per lead, with a
    frequency common to the record, as breathing is.
    """
    records, leads, samples = signals.shape
    device = signals.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    if options.warp > 0:
        signals = _warp(signals, 1 + options.warp * (2 * uniform(records, 1) - 1))
    if options.crop_samples is not None and options.crop_samples < samples:
        room = samples - options.crop_samples + 1
        start = (uniform(records) * room).long().clamp_(max=room - 1)
        index = start[:, None, None] + torch.arange(options.crop_samples, device=device)
        signals = signals.gather(2, index.expand(-1, leads, -1))
        samples = options.crop_samples
    if options.gain > 0:
        signals.mul_(torch.exp(options.gain * normal(records, 1, 1)))
    if options.wander > 0:
        hz = 0.05 + 0.45 * uniform(records, 1)
        angle = 2 * math.pi * hz * (torch.arange(samples, device=device) / sample_rate_hz)
        waves = torch.stack([angle.sin(), angle.cos()], dim=1)
        phase = 2 * math.pi * uniform(records, leads)
        height = options.wander * uniform(records, leads)
        # sin(angle + phase) for all leads from one sine and cosine per record.
        parts = torch.stack([height * phase.cos(), height * phase.sin()], dim=2)
        signals.baddbmm_(parts, waves)
    if options.noise > 0:
        # Stretches of one pool that start anywhere: drawing every sample takes ten times as long.
        pool = options.noise * normal(samples + _POOL)
        start = (uniform(records * leads) * _POOL).long()
        signals.add_(pool.unfold(0, samples, 1).index_select(0, start).view_as(signals))
    if options.mask > 0:
        length = options.mask * samples * uniform(records, 1)
        start = uniform(records, 1) * (samples - length)
        time = torch.arange(samples, device=device)
        masked = (time >= start) & (time < start + length)
        signals.mul_((~masked).float()[:, None, :])
    if options.lead_dropout > 0:
        signals.mul_((uniform(records, leads, 1) >= options.lead_dropout).float())
    if options.own is not None:
        signals = options.own(signals, generator, sample_rate_hz)
    return signals


def _warp(signals: Tensor, speed: Tensor) -> Tensor:
    """Replay every record at its own speed (records, 1) by linear interpolation, centre fixed."""
    samples = signals.shape[2]
    centre = (samples - 1) / 2
    time = torch.arange(samples, device=signals.device) - centre
    position = (centre + speed * time).clamp_(0, samples - 1)
    left = position.floor().long().clamp_(max=max(samples - 2, 0))
    share = (position - left)[:, None, :]
    index = left[:, None, :].expand_as(signals)
    following = (index + 1).clamp(max=samples - 1)
    return torch.lerp(signals.gather(2, index), signals.gather(2, following), share)
