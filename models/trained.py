"""A trained network that takes raw ECGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.fold import fold_batch_norms
from models.modules import Network
from models.prediction import Logits, Prediction, Predictor

# Convolutions may add up in another order for a few records than for many.
SMALLEST_BATCH = 16


class TrainedNetwork(Network):
    """A network with what its model card says; in evaluation mode, on the CPU until moved."""

    def __init__(self, network: Network, facts: Mapping[str, Any]) -> None:
        super().__init__(network.body)
        self.facts = dict(facts)

    def predict(
        self, signals_mv: Any, rate_hz: float, leads: Sequence[str] | None = None, **how: Any
    ) -> Prediction:
        """Return what the network says of one ECG (leads, samples) in mV, or of a list of them.

        See `Predictor.predict` for all arguments. For many calls take a `predictor()` once.
        """
        return self.predictor().predict(signals_mv, rate_hz, leads, **how)

    def predictor(self) -> Predictor:
        """Return the network as it is now, ready for many predictions."""
        return Predictor.of_card(self.facts, torch_logits(self))


def logits_alike(network: nn.Module, signals: Tensor) -> Tensor:
    """Return the logits of a batch, with the bits that its records have in any other batch.

    Small batches are filled up: an ECG alone gets what it got among the validation records.
    """
    lacking = max(SMALLEST_BATCH - len(signals), 0)
    filled = torch.cat([signals, signals.new_zeros(lacking, *signals.shape[1:])])
    logits: Tensor = network(filled)[: len(signals)]
    return logits


def torch_logits(network: nn.Module) -> Logits:
    """Return a function from float32 signals to fp32 logits, computed as in validation."""
    folded = fold_batch_norms(network)
    device = next(folded.parameters()).device

    def logits(signals: NDArray[np.float32]) -> NDArray[np.float32]:
        # Without TF32, so that fp32 means the same everywhere.
        exact = torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        )
        with torch.inference_mode(), exact:
            found = logits_alike(folded, torch.from_numpy(signals).to(device))
        values: NDArray[np.float32] = found.cpu().numpy()
        return values

    return logits
