"""Batch normalisation whose sums are accurate in channels_last memory.

Where a batch norm is followed by little more than a global average (MobileNets, networks without
residual connections), the gradient that reaches it is nearly constant per channel, and nearly all
of it cancels in its backward pass. torch's CPU kernel for channels_last adds up tens of thousands
of float32 values one by one (its kernel for contiguous memory does so in double precision), and
what is left after the cancelling is noise: 5 % of the gradient in MobileNetV2, all of it in a deep
network without residual connections. Sums by torch.sum are pairwise and lose nothing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation of (batch, channels, 1, samples), and of pooled (batch, channels).

    torch's counter of batches stays 0: only a `momentum` of None needs it, and to raise it costs
    one operation per layer and step.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; in training on a CPU with accurate sums."""
        accurate = (
            self.training
            and input.device.type == "cpu"
            and input.dtype is torch.float32
            and input.dim() == 4
            and input.is_contiguous(memory_format=torch.channels_last)
            and torch.is_grad_enabled()
        )
        assert self.momentum is not None
        self._check_input_dim(input)
        if not accurate:
            return F.batch_norm(
                input,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                self.training,
                self.momentum,
                self.eps,
            )
        out, mean, variance = _Normalise.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        count = input.numel() // input.shape[1]
        if self.running_mean is not None and self.running_var is not None:
            with torch.no_grad():
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)
        normalised: Tensor = out
        return normalised

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() not in (2, 4):
            raise ValueError(f"expected 2 or 4 dimensions, got {input.dim()}")


class _Normalise(torch.autograd.Function):
    """y = (x − mean) / sd · weight + bias over rows (batch × samples, channels)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = _rows(x)
        mean = rows.mean(0)
        centred = rows - mean
        variance = (centred * centred).mean(0)
        scale = torch.rsqrt(variance + eps)
        ctx.save_for_backward(centred, weight, scale)
        ctx.mark_non_differentiable(mean, variance)
        out = torch.empty_like(x)  # no view: activations change it in place
        torch.addcmul(bias, centred, scale * weight, out=_rows(out))
        return out, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, Tensor, None]:
        centred, weight, scale = ctx.saved_tensors
        given = gradients[0]
        given = given.contiguous(memory_format=torch.channels_last)
        rows = _rows(given)
        along = (rows * centred).sum(0) * scale  # Σ dy · x̂
        total = rows.sum(0)
        factor = weight * scale
        # dx = weight / sd · (dy − mean(dy) − x̂ · mean(dy · x̂))
        to_input = torch.empty_like(given)
        changed = torch.sub(rows, total / len(rows), out=_rows(to_input))
        changed.addcmul_(centred, scale * along / -len(rows)).mul_(factor)
        return to_input, along, total, None


def _rows(x: Tensor) -> Tensor:
    """View (batch, channels, 1, samples) in channels_last as (batch × samples, channels)."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
