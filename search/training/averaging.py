"""An exponential moving average of a network's weights."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class AveragedWeights:
    """A second network whose weights follow the first over about `horizon_steps` steps.

    The running statistics of batch normalisation are averaged like weights: they belong to the
    weights they were measured with. Early on the horizon grows with the steps done, so that the
    random start is forgotten (decay = min(1 − 1/horizon, (1 + n) / (10 + n))).
    """

    def __init__(self, network: nn.Module, horizon_steps: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self.decay = max(0.0, 1 - 1 / max(horizon_steps, 1.0))
        self.updates = 0
        self._pairs = _floats(self.network), _floats(network)

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the network as it is now."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(*self._pairs, 1 - decay)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs."""
        return {"network": self.network.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.updates = state["updates"]


def _floats(network: nn.Module) -> list[Tensor]:
    return [t for t in network.state_dict(keep_vars=True).values() if t.is_floating_point()]
