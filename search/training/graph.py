"""The training step recorded as a CUDA graph: one launch in place of hundreds.

Small networks leave a GPU waiting for the host, which takes longer to launch the operations of a
step than the GPU to compute them. A graph is recorded once and replayed with new numbers in the
same memory. What the host decides from step to step stays outside: the batch is copied into the
graph's inputs, the learning rate lies in a tensor, the weights are averaged after the replay.
https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
WARM_STEPS = 3  # real steps before the recording: lazy state and the choice of algorithms settle


class Recording(Protocol):
    """What was recorded: `replay` computes `outputs` anew from the inputs' memory."""

    outputs: tuple[Tensor, Tensor]

    def replay(self) -> None:
        """Compute once more."""


class CudaRecording:
    """A step in a CUDA graph; recording launches nothing."""

    def __init__(self, step: Step, signals: Tensor, labels: Tensor) -> None:
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self.outputs = step(signals, labels)

    def replay(self) -> None:
        """Launch the graph."""
        self._graph.replay()


class StepGraph:
    """Steps on whole batches: the first few as they are, all others by replaying a recording."""

    def __init__(self, record: Callable[[Step, Tensor, Tensor], Recording] = CudaRecording) -> None:
        self._record = record
        self._recording: Recording | None = None
        self._inputs: tuple[Tensor, Tensor] | None = None
        self._warm = 0

    def __call__(self, step: Step, signals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return loss and logits of one step on signals (batch, leads, samples).

        Every call must have the shapes of the first, and a step that changes the same tensors.
        """
        if self._warm < WARM_STEPS:
            self._warm += 1
            return self._aside(step, signals, labels)
        if self._inputs is None:
            self._inputs = signals.clone(), labels.clone()
            self._recording = self._record(step, *self._inputs)
        assert self._recording is not None
        for place, given in zip(self._inputs, (signals, labels), strict=True):
            place.copy_(given)
        self._recording.replay()
        loss, logits = self._recording.outputs  # the next replay writes over them
        return loss.clone(), logits.clone()

    @staticmethod
    def _aside(step: Step, signals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Take a real step on a side stream, as recording asks for."""
        if signals.device.type != "cuda":
            return step(signals, labels)
        stream = torch.cuda.Stream(signals.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(signals.device))
        with torch.cuda.stream(stream):
            outputs = step(signals, labels)
        torch.cuda.current_stream(signals.device).wait_stream(stream)
        return outputs
