"""A training under way: the step, and everything that changes from step to step."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from data_pipeline.batches import ResidentRecords, batches
from models import Architecture
from models.build import build
from models.fold import fold_batch_norms
from models.modules import Outside
from models.trained import logits_alike
from search.training.averaging import AveragedWeights
from search.training.checkpoint import load_checkpoint, save_checkpoint, trial_fingerprint
from search.training.device import Precision, synchronize
from search.training.graph import StepGraph
from search.training.half_weights import HalfWeights
from search.training.loss import loss_sum, positive_weights, start_at_prevalence
from search.training.recipe import Recipe
from search.training.schedule import learning_rate, step_weight_decay
from search.training.scores import DEFAULT_SCORING, Scoring
from search.training.start import read_start

SECONDS_TO_A_HUNG_DISK = 600.0
HOPELESS_LOSS = 10.0  # times the loss before the first step


class Diverged(RuntimeError):
    """The loss left all bounds; the message says when and how."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What decides a trial's result."""

    architecture: Architecture
    train: ResidentRecords
    validation: ResidentRecords
    recipe: Recipe
    seed: int
    precision: Precision
    scoring: Scoring = DEFAULT_SCORING

    def fingerprint(self) -> str:
        """Return a hash of all of it."""
        identity = f"{self.architecture.hash} {self.recipe.hash} {self.seed} {self.precision}"
        if self.scoring != DEFAULT_SCORING:
            identity += f" {self.scoring}"
        return trial_fingerprint(identity, self.train, self.validation)


@dataclass(slots=True)
class Progress:
    """How far a training is; plain values, part of every checkpoint."""

    epoch: int = 0
    step: int = 0  # steps done in this epoch
    records: int = 0  # records trained on so far
    curve: list[float] = field(default_factory=list)  # the objective after the epochs done
    training_seconds: float = 0.0
    validation_seconds: float = 0.0


class Run:
    """Network, optimiser and averaged weights of one trial, with its progress.

    Built under a seeded generator; goes on from the checkpoint where there is one. With a `graph`
    steps on whole batches are recorded once and replayed.
    """

    def __init__(
        self,
        trial: Trial,
        micro_batch: int,
        checkpoint: Path | None,
        graph: StepGraph | None = None,
    ) -> None:
        recipe, train = trial.recipe, trial.train
        self.trial, self.checkpoint, self.device = trial, checkpoint, train.device
        self.fingerprint = trial.fingerprint() if checkpoint else ""

        # A last batch of less than half the size is left out: its noise would count as much as a
        # whole batch. Shuffling leaves out other records in every epoch.
        self.steps_per_epoch = max(int(len(train) / recipe.batch_size + 0.5), 1)
        self.steps = self.steps_per_epoch * recipe.epochs

        leads, outputs = train.signals.shape[1], train.labels.shape[1]
        self.network = build(trial.architecture, leads, outputs)
        if recipe.init_hash:
            start = read_start(recipe)
            start.require_architecture(trial.architecture)
            start.load_into(self.network)
        self.network = self.network.to(train.device)
        self.weights = positive_weights(train.labels, recipe)
        if recipe.prior_bias:
            start_at_prevalence(self.network, train.labels, self.weights, exclusive=train.exclusive)
        self._graph = graph
        decay = step_weight_decay(recipe, self.steps_per_epoch)
        # In a tensor the rate can change from step to step of a recording, too.
        on_cuda = self.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(
            decayed_and_spared(self.network, decay),
            lr=torch.tensor(0.0, device=self.device) if on_cuda else recipe.learning_rate,
            fused=True,
            capturable=on_cuda,
        )
        self.averaged = (
            AveragedWeights(self.network, recipe.average_epochs * self.steps_per_epoch)
            if recipe.average_epochs > 0
            else None
        )
        self._half = HalfWeights(self.network) if trial.precision == "bf16" else None
        self.progress = Progress()
        self._loss = self._first_loss = torch.zeros((), device=train.device)
        self._outputs: list[Tensor] = []  # of this epoch's training steps
        self._labels: list[Tensor] = []
        self._clock = self._saved = time.perf_counter()

        state = load_checkpoint(checkpoint, self.fingerprint, self.device) if checkpoint else None
        self.micro_batch = min(micro_batch, state["micro_batch"] if state else micro_batch)
        share_statistics(self.network, math.ceil(recipe.batch_size / self.micro_batch))
        if state:
            self._restore(state)

    # ---- One step ---- #

    def step(self, signals: Tensor, labels: Tensor) -> None:
        """Train on one batch, in micro-batches whose gradients add up to the batch's."""
        progress = self.progress
        self._set_rate(
            learning_rate(
                progress.epoch * self.steps_per_epoch + progress.step,
                self.steps,
                self.trial.recipe,
            )
        )
        whole = len(signals) == self.trial.recipe.batch_size == self.micro_batch
        if self._graph is not None and whole:
            loss, logits = self._graph(self._step, signals, labels)
        else:
            loss, logits = self._step(signals, labels)
        if self.averaged is not None:
            self.averaged.update()
        self._outputs.append(logits)
        self._labels.append(labels)
        self._loss = loss
        if not progress.records:
            self._first_loss = loss
        progress.step += 1
        progress.records += len(signals)

    def _set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _step(self, signals: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Move the weights; return the loss and the logits (records, classes) before the move.

        All of it happens on the device, on the same tensors at every call.
        """
        recipe = self.trial.recipe
        parts = math.ceil(len(signals) / self.micro_batch)
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        network = self.network
        if self._half is not None:
            self._half.refresh()
            network = self._half.network
        outputs = []
        for x, y in zip(signals.chunk(parts), labels.chunk(parts), strict=True):
            with self._autocast():
                logits = network(x).float()
            loss = loss_sum(logits, y, self.weights, recipe) / len(signals)
            loss.backward()  # type: ignore[no-untyped-call]
            if self._half is not None:
                self._half.hand_over_gradients()
            total += loss.detach()
            outputs.append(logits.detach())
        nn.utils.clip_grad_norm_(self.network.parameters(), recipe.gradient_clip)
        self.optimizer.step()
        return total, outputs[0] if parts == 1 else torch.cat(outputs)

    def check_loss(self) -> None:
        """Raise Diverged when the latest loss is no number or far above the first."""
        loss, first = float(self._loss), float(self._first_loss)
        if not loss <= HOPELESS_LOSS * first:
            where = f"epoch {self.progress.epoch + 1}, step {self.progress.step}"
            raise Diverged(
                f"The training loss is {loss:.4g} in {where}, after {first:.4g} at first;"
                f" try a learning rate below {self.trial.recipe.learning_rate:g}."
            )

    # ---- Scoring ---- #

    def training_outputs(
        self, at_most: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return labels and logits (records, classes) of this epoch's last training steps."""
        labels, logits = torch.cat(self._labels)[-at_most:], torch.cat(self._outputs)[-at_most:]
        return labels.cpu().numpy(), logits.cpu().numpy()

    def scored_network(self) -> nn.Module:
        """Return the network that is scored: the averaged one if the recipe has it."""
        return self.averaged.network if self.averaged is not None else self.network

    def predict(
        self, records: ResidentRecords, between: Callable[[], None] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the logits (records, classes) of the network that is scored, computed in fp32.

        In fp32 a network is handed out, whatever it was trained in: its scores are those that it
        has in use. `between` is called before every batch.
        """
        # Without gradients four times the records fit; on CPU smaller batches stay in the cache.
        size = self.micro_batch * (1 if self.device.type == "cpu" else 4)
        folded = fold_batch_norms(self.scored_network())  # a fifth to a third faster
        logits = predict(folded, records, batch_size=size, between=between)
        if not np.isfinite(logits).all():
            raise Diverged(f"The outputs are not finite after epoch {self.progress.epoch + 1}.")
        return logits

    def lap(self, kind: str) -> None:
        """Add the time since the last lap to `kind`, "training" or "validation"."""
        synchronize(self.device)
        now = time.perf_counter()
        if kind == "training":
            self.progress.training_seconds += now - self._clock
        else:
            self.progress.validation_seconds += now - self._clock
        self._clock = now

    def end_epoch(self, score: float) -> None:
        """Note an epoch's score and turn to the next epoch."""
        self.progress.curve.append(score)
        self.progress.epoch += 1
        self.progress.step = 0
        self._outputs, self._labels = [], []
        self.lap("validation")

    # ---- Checkpoints ---- #

    def seconds_since_saved(self) -> float:
        """Return the time since the last checkpoint, or since the start."""
        return time.perf_counter() - self._saved

    def save(self) -> bool:
        """Write everything that is needed to go on as if nothing had happened.

        False, with a warning, where the disk does not take it: the training goes on without.
        """
        if self.checkpoint is None:
            return False
        cuda = self.device.type == "cuda"
        state = {
            "fingerprint": self.fingerprint,
            "micro_batch": self.micro_batch,
            "progress": {name: getattr(self.progress, name) for name in Progress.__slots__},
            "first_loss": self._first_loss,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "generator": torch.get_rng_state(),
            "cuda_generator": torch.cuda.get_rng_state(self.device) if cuda else None,
            "loss": self._loss,
            "outputs": self._outputs,
            "labels": self._labels,
        }
        self._saved = time.perf_counter()
        try:
            save_checkpoint(self.checkpoint, state)
        except OSError as error:
            if isinstance(error, TimeoutError):  # each try costs as long as the last
                self._saved += SECONDS_TO_A_HUNG_DISK
            warnings.warn(
                f"no checkpoint can be written to {self.checkpoint.parent} "
                f"({error.strerror or error}); the training goes on without.",
                stacklevel=2,
            )
            return False
        return True

    def _restore(self, state: dict[str, Any]) -> None:
        self.progress = Progress(**state["progress"])
        self.network.load_state_dict(state["network"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["generator"].cpu())
        if state["cuda_generator"] is not None:
            torch.cuda.set_rng_state(state["cuda_generator"].cpu(), self.device)
        self._loss, self._first_loss = state["loss"], state["first_loss"]
        self._outputs, self._labels = state["outputs"], state["labels"]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.trial.precision == "bf16"
        )


def predict(
    network: nn.Module,
    records: ResidentRecords,
    *,
    batch_size: int,
    between: Callable[[], None] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the fp32 logits (records, classes) of a network that is in evaluation mode."""
    parts = []
    feed = batches(records, batch_size=batch_size, seed=0, epoch=0, shuffle=False)
    with torch.inference_mode():
        for signals, _ in feed:
            if between is not None:
                between()
            parts.append(logits_alike(network, signals))
    return torch.cat(parts).cpu().numpy()


def decayed_and_spared(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters into those that decay and those that do not, in their order.

    The weights of convolutions and linear layers decay; biases, normalisation and learnt factors
    per channel (layer scale) do not. Of a plug-in's module all with two dimensions or more decay.
    """
    weights = {
        module.weight for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    for module in network.modules():
        if isinstance(module, Outside):
            weights |= {parameter for parameter in module.parameters() if parameter.dim() > 1}
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p in weights], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p not in weights], "weight_decay": 0.0},
    ]


def share_statistics(network: nn.Module, parts: int) -> None:
    """Let `parts` updates of the running statistics of batch normalisation weigh as one."""
    for module in network.modules():
        if isinstance(module, _BatchNorm) and module.momentum is not None:
            module.momentum = 1 - (1 - module.momentum) ** (1 / parts)
