"""From a raw ECG to probabilities and decisions, around any function that gives logits.

With numpy alone, so that it travels with a network to PyTorch or to onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError
from models.preprocessing import Preprocessing

Logits = Callable[[NDArray[np.float32]], NDArray[np.float32]]
BATCH_SIZE = 64
AGGREGATES = ("mean", "max")


def probabilities_of(logits: Any, exclusive: bool = False) -> NDArray[np.float64]:
    """Return probabilities (records, classes) in float64, where confident outputs stay apart.

    The sigmoid of each class; of exclusive classes the softmax over them.
    """
    values = np.asarray(logits, dtype=np.float64)
    if exclusive:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
        return shares
    return 1 / (1 + np.exp(-np.clip(values, -500, 500)))


def decided(probabilities: Any, thresholds: Any, exclusive: bool = False) -> NDArray[np.bool_]:
    """Return which classes are decided (records, classes).

    Those above their thresholds; of exclusive classes the most probable one, whatever thresholds.
    """
    values = np.asarray(probabilities)
    if exclusive:
        most: NDArray[np.bool_] = values.argmax(axis=1)[:, None] == np.arange(values.shape[1])
        return most
    above: NDArray[np.bool_] = values > np.asarray(thresholds)
    return above


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a network says of one ECG (classes,), or of several (ecgs, classes).

    `decisions` are probabilities above the thresholds, of exclusive classes the highest one;
    `windows` counts what was aggregated.
    """

    classes: tuple[str, ...]
    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    probabilities: NDArray[np.float64]
    decisions: NDArray[np.bool_]
    windows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(np.atleast_2d(self.probabilities))

    def __getitem__(self, index: int) -> Prediction:
        return Prediction(
            self.classes,
            self.names,
            self.thresholds,
            np.atleast_2d(self.probabilities)[index],
            np.atleast_2d(self.decisions)[index],
            np.atleast_1d(self.windows)[index],
        )

    def findings(self) -> dict[str, float]:
        """Return the probability of each diagnosis that is decided, the most probable first."""
        if self.probabilities.ndim != 1:
            raise ModelError("expected the prediction of one ECG: take one, as in prediction[0]")
        found = [k for k in np.argsort(-self.probabilities, kind="stable") if self.decisions[k]]
        return {self.names[k]: float(self.probabilities[k]) for k in found}


@dataclass(frozen=True, slots=True)
class Predictor:
    """A network with everything that turns raw ECGs into decisions.

    logits: float32 (batch, leads, samples) to (batch, classes); thresholds are NaN
    where classes are `exclusive`: then exactly one is decided.
    """

    logits: Logits
    classes: tuple[str, ...]
    names: tuple[str, ...]
    thresholds: tuple[float, ...]
    preprocessing: Preprocessing | None
    exclusive: bool = False

    @classmethod
    def of_card(cls, card: Mapping[str, Any], logits: Logits) -> Predictor:
        """Return the predictor that a model card (as plain data) describes."""
        classes = tuple(card["classes"])
        prepared = card.get("preprocessing")
        exclusive = bool(card.get("exclusive", False))
        usual = float("nan") if exclusive else 0.5
        return cls(
            logits=logits,
            classes=classes,
            names=tuple(card.get("diagnoses") or classes),
            thresholds=tuple(card.get("thresholds") or (usual,) * len(classes)),
            preprocessing=None if prepared is None else Preprocessing.from_dict(prepared),
            exclusive=exclusive,
        )

    def predict(
        self,
        signals_mv: Any,
        rate_hz: float,
        leads: Sequence[str] | None = None,
        *,
        windows: int = 0,
        aggregate: str = "mean",
        batch_size: int = BATCH_SIZE,
    ) -> Prediction:
        """Return what the network says of one ECG (leads, samples) in mV, or of a list of them.

        `leads` names the rows where they are not the network's in its order. An ECG longer than the
        network's window is read in `windows` windows (0: all that fit, 1: the middle one), whose
        probabilities are aggregated by their "mean" or "max". Raises ModelError for a signal that
        the network cannot read.
        """
        preprocessing = self.required_preprocessing()
        alone = _is_single(signals_mv)
        cut = [
            preprocessing.windows_of(signal, rate_hz, leads, windows=windows)
            for signal in ([signals_mv] if alone else signals_mv)
        ]
        said = self.aggregated(cut, aggregate=aggregate, batch_size=batch_size)
        return said[0] if alone else said

    def required_preprocessing(self) -> Preprocessing:
        """Return how signals are prepared; ModelError for a file of before that was kept."""
        if self.preprocessing is None:
            raise ModelError(
                "expected a network that says how its signals are prepared, but this file is of "
                "before that was kept: add it with `ecgscale export FILE --data STORE --out NEW`"
            )
        return self.preprocessing

    def aggregated(
        self,
        cut: Sequence[NDArray[np.int16]],
        *,
        aggregate: str = "mean",
        batch_size: int = BATCH_SIZE,
    ) -> Prediction:
        """Return what the network says of ECGs that are int16 windows (windows, leads, samples)."""
        if aggregate not in AGGREGATES:
            raise ModelError(f"expected aggregate out of {AGGREGATES}, got {aggregate!r}")
        step = self.required_preprocessing().step
        counts = np.array([len(windows) for windows in cut], dtype=np.int64)
        of_windows = (
            self.of_prepared(np.concatenate(cut), step, batch_size=batch_size)
            if len(cut)
            else np.zeros((0, len(self.classes)))
        )
        parts = np.split(of_windows, np.cumsum(counts)[:-1]) if len(cut) else []
        joined = [getattr(part, aggregate)(axis=0) if len(part) > 1 else part[0] for part in parts]
        probabilities = np.stack(joined) if joined else of_windows
        return Prediction(
            self.classes,
            self.names,
            self.thresholds,
            probabilities,
            decided(probabilities, self.thresholds, self.exclusive),
            counts,
        )

    def of_prepared(
        self, signals: NDArray[np.int16], step: float, *, batch_size: int = BATCH_SIZE
    ) -> NDArray[np.float64]:
        """Return probabilities (records, classes) of prepared signals int16, units of `step`."""
        parts = []
        for start in range(0, len(signals), batch_size):
            batch = np.asarray(signals[start : start + batch_size], np.float32) * np.float32(step)
            parts.append(self.logits(batch))
        return probabilities_of(np.concatenate(parts), self.exclusive)


def _is_single(signals: Any) -> bool:
    """Tell one ECG (leads, samples) from several, which may be a list of any lengths."""
    return len(signals) > 0 and np.ndim(signals[0]) == 1
