"""The few torch modules that torch has not.

All work on (batch, channels, 1, samples) in channels_last memory: on CPU, Conv2d with a kernel of
(1, k) is 1.3 to 1.7 times faster that way than Conv1d.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DepthwiseConv(nn.Conv2d):
    """Depthwise convolution that leaves bf16 autocast on CPU, where bf16 is twice as slow."""

    def forward(self, input: Tensor) -> Tensor:
        """Convolve; on CPU always in the precision of the weights."""
        if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.to(self.weight.dtype))
        return super().forward(input)


class SamePad(nn.Module):
    """Pad time to give ceil(length / stride) after a window, the odd sample on the right."""

    def __init__(self, kernel: int, stride: int, value: float = 0.0) -> None:
        super().__init__()
        self.kernel, self.stride, self.value = kernel, stride, value

    def forward(self, x: Tensor) -> Tensor:
        """Return x padded."""
        length = x.shape[-1]
        after = -(-length // self.stride)
        pad = max((after - 1) * self.stride + self.kernel - length, 0)
        return F.pad(x, (pad // 2, pad - pad // 2), value=self.value)


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over channels, at each sample by itself."""

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (batch, channels, 1, samples), or pooled (batch, channels)."""
        if input.dim() == 2:
            return super().forward(input)
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalPool2d(nn.Module):
    """Pool (batch, channels, 1, samples) to (batch, channels), or twice the channels for maxavg."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        """Return the means, the maxima, or maxima and means."""
        parts = []
        if "max" in self.kind:
            parts.append(x.amax((2, 3)))
        if "avg" in self.kind:
            parts.append(x.mean((2, 3)))
        return torch.cat(parts, 1) if len(parts) > 1 else parts[0]


class Gate(nn.Module):
    """Squeeze-and-excitation: multiply each channel by a gate computed from all means."""

    def __init__(self, channels: int, hidden: int, act: nn.Module, bias: bool) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden, bias)
        self.act = act
        self.excite = nn.Linear(hidden, channels, bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return x gated."""
        gate = torch.sigmoid(self.excite(self.act(self.squeeze(x.mean((2, 3))))))
        return x * gate[:, :, None, None].to(x.dtype)


class SelfAttention(nn.Module):
    """Multi-head self-attention over time, softmax(q k' / √d) v (Vaswani et al. 2017).

    Written as plain products, so that it is counted, exported and run alike everywhere.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project_in = nn.Conv2d(channels, 3 * channels, 1)
        self.project_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend among the samples of (batch, channels, 1, samples)."""
        batch, channels, _, samples = x.shape
        split = (batch, 3, self.heads, channels // self.heads, samples)
        query, key, value = self.project_in(x).reshape(split).unbind(1)
        weights = (query.transpose(-1, -2) @ key * split[3] ** -0.5).softmax(-1)
        mixed = value @ weights.transpose(-1, -2)
        result: Tensor = self.project_out(mixed.reshape(batch, channels, 1, samples))
        return result


class ChannelScale(nn.Module):
    """One learnt factor per channel."""

    def __init__(self, channels: int, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((channels, 1, 1), start))

    def forward(self, x: Tensor) -> Tensor:
        """Return x scaled."""
        return x * self.weight


class ChannelPad(nn.Module):
    """Zero channels on both sides."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.before, self.after = (out - channels) // 2, (out - channels + 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Return x padded."""
        return F.pad(x, (0, 0, 0, 0, self.before, self.after))


class FlattenTo(nn.Module):
    """Average time to a fixed number of positions, then flatten channels and positions."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        """Return (batch, channels × length)."""
        return F.adaptive_avg_pool2d(x, (1, self.length)).flatten(1)


class Sum(nn.Module):
    """Sum of branches that see the same input."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum."""
        total: Tensor = self.branches[0](x)
        for branch in self.branches[1:]:
            total = total + branch(x)
        return total


class Join(nn.Module):
    """Branches that see the same input, joined along the channels."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined outputs."""
        return torch.cat([branch(x) for branch in self.branches], 1)


class Outside(nn.Module):
    """A plug-in's module, which reads (batch, leads, samples), among those of ours."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """Return the module's output (batch, outputs) for x (batch, leads, 1, samples)."""
        y: Tensor = self.module(x.squeeze(2).contiguous())
        return y


class Network(nn.Module):
    """A built architecture: float32 (batch, leads, samples) to logits (batch, outputs)."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        image = x.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.body(image)
        return logits
