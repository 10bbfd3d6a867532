"""The bf16 weights of a training in mixed precision, cast all at once."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from models.modules import DepthwiseConv


class HalfWeights:
    """A copy of a network with convolutions and linear layers in bf16; all else is shared.

    Autocast casts every weight by itself, and its gradient back: a fifth of all operations of a
    step, and a GPU's time goes by operations where networks are small. Here one call casts all
    weights before the batch and one all gradients after it, with the same rounding and so the same
    bits. Depthwise convolutions on a CPU stay in fp32 (models.modules).
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = copy.deepcopy(network).train()
        self._masters: list[Tensor] = []
        self._halves: list[Tensor] = []
        for own, twin in zip(network.modules(), self.network.modules(), strict=True):
            twin._buffers.update(own._buffers)
            for name, master in own._parameters.items():
                if master is None or not _in_half(own, master):
                    twin._parameters[name] = master
                    continue
                half = nn.Parameter(master.detach().to(torch.bfloat16))
                twin._parameters[name] = half
                self._masters.append(master)
                self._halves.append(half)
        self._sums = [torch.empty_like(master) for master in self._masters]

    @torch.no_grad()
    def refresh(self) -> None:
        """Cast the weights as they are now; to be called before a step's first batch."""
        torch._foreach_copy_(self._halves, self._masters)

    @torch.no_grad()
    def hand_over_gradients(self) -> None:
        """Add the gradients of the bf16 weights to those of the network's own, in fp32."""
        given = [half.grad for half in self._halves if half.grad is not None]
        if self._masters and self._masters[0].grad is None:
            torch._foreach_copy_(self._sums, given)
            for master, total in zip(self._masters, self._sums, strict=True):
                master.grad = total
        else:
            torch._foreach_add_(self._sums, given)
        for half in self._halves:
            half.grad = None


def _in_half(module: nn.Module, weight: Tensor) -> bool:
    if isinstance(module, DepthwiseConv) and weight.device.type == "cpu":
        return False
    return isinstance(module, nn.Conv2d | nn.Linear)
