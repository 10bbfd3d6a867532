"""Score a confirmed network on the test records: once, after everything was chosen without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_pipeline.batches import ResidentRecords
from models.fold import fold_batch_norms
from models.prediction import probabilities_of
from search.training.device import reproducible
from search.training.metrics import EmptyClasses
from search.training.outputs import Outputs
from search.training.run import predict
from search.training.scores import DEFAULT_SCORING, FoldScores, Scoring, score_fold
from search.training.train import Trained


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Scores on the test records, and the probabilities (records, classes) behind them."""

    scores: FoldScores
    probabilities: np.ndarray

    def attributes(self) -> dict[str, float]:
        """Name the scores as a trial keeps them, next to those on the validation records."""
        return {f"test_{name}": value for name, value in self.scores.values.items()}

    def outputs(self, test: ResidentRecords, sources: list[str]) -> Outputs:
        """Return what intervals and paired comparisons are computed from."""
        labels = test.labels.cpu().numpy().astype(np.uint8)
        values = self.probabilities.astype(np.float32)
        return Outputs(values, labels, test.patients, tuple(sources))


def score_held_out(
    trained: Trained,
    test: ResidentRecords,
    micro_batch: int,
    *,
    empty_classes: EmptyClasses,
    scoring: Scoring = DEFAULT_SCORING,
    between: Callable[[], None] | None = None,
) -> HeldOut:
    """Score a network with the thresholds it was given from training records.

    `micro_batch` is what fitted into memory when it was trained; `between` is called before every
    batch.
    """
    folded = fold_batch_norms(trained.network)
    size = 32 if test.device.type == "cpu" else 4 * micro_batch  # no gradients to keep
    with reproducible(0, test.device):
        logits = predict(folded, test, batch_size=size, between=between)
    # As the outputs are kept, so that the scores follow from what is kept.
    values = probabilities_of(logits, test.exclusive).astype(np.float32).astype(np.float64)
    scores = score_fold(
        test.labels.cpu().numpy(),
        values,
        trained.thresholds,
        test.classes or None,
        empty_classes=empty_classes,
        exclusive=test.exclusive,
        scoring=scoring,
    )
    return HeldOut(scores, values)
