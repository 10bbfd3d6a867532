"""Train one network and score it on the validation records.

The data stay on the device as int16; a step gathers and scales a batch, alters it, goes forward in
bf16 or fp32, backward, clips, takes a fused AdamW step and lets the averaged
weights follow. The score is that of the last epoch, never of the best one. Thresholds for F1 come
from training records: after every epoch from outputs that the training steps made anyway, for
the final score from a pass over the training records in evaluation mode. A search passes the
validation records of its store; the test split is for `confirm`.

The same architecture, records, recipe and seed give the same score bit for bit on one type of
device, also when interrupted and resumed anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from data_pipeline.batches import ResidentRecords, batches
from models import Architecture
from models.memory import training_memory
from models.prediction import decided, probabilities_of
from search.errors import StudyError
from search.training import device as devices
from search.training.loss import check_loss
from search.training.metric_table import OBJECTIVE, Fold, objective_metric
from search.training.metrics import best_thresholds
from search.training.recipe import Recipe
from search.training.run import Diverged, Run, Trial
from search.training.scores import DEFAULT_SCORING, FoldScores, Scoring, score_fold

__all__ = ["Diverged", "Interrupted", "Trained", "TrialScores", "train_one"]

MEMORY_SLACK = 1.25  # for the allocator and workspaces, which the estimate leaves out
SECONDS_FOR_MEMORY = 60.0  # that others hold
TRIES_AT_SIZE = 3  # while memory comes and goes
SMALLEST_MICRO_BATCH = 8  # batch normalisation over fewer records is another method
STEPS_BETWEEN_LOSS_CHECKS = 50  # reading the loss waits for the device
SECONDS_BETWEEN_CHECKPOINTS = 60.0

# The score after each epoch takes this share of the training records, out of the validation
# records: a record costs a forward pass here and three there, so about 2 % of the time. It draws a
# curve; the score of the trial takes all validation records.
CURVE_SHARE = 0.08
CURVE_RECORDS = 64  # at least
# Its thresholds come from the last so many outputs of the training steps: an epoch is shuffled, and
# to sort the outputs of all of 88,000 records took the host a third of a second an epoch.
CURVE_OUTPUTS = 8192


class Interrupted(RuntimeError):
    """The trial was asked to stop; its checkpoint holds all that was done."""


@dataclass(frozen=True, slots=True)
class TrialScores:
    """Validation scores of the last epoch, and what they took.

    `values` has every metric of the study; `curve` is the objective after each epoch, on part of
    the validation records, and ends with that of all. `seconds` is everything,
    `validation_seconds` its part spent on scoring; `records_per_second` is training alone.
    `micro_batch` is below the recipe's batch size where memory was short; batch normalisation then
    sees the micro-batch.
    """

    values: dict[str, float]
    class_scores: list[dict[str, Any]]
    curve: list[float]
    seconds: float
    validation_seconds: float
    records_per_second: float
    peak_memory_bytes: int
    micro_batch: int
    precision: str
    objective_name: str = OBJECTIVE.name

    @property
    def objective(self) -> float:
        """The metric that the study is about."""
        return self.values[self.objective_name]

    def attributes(self) -> dict[str, Any]:
        """Return what a trial keeps beside its objective, its curve and its scores by class.

        An objective other than the usual one is among them, so that all studies have all metrics.
        """
        usual = self.objective_name == OBJECTIVE.name
        told = {k: v for k, v in self.values.items() if not (usual and k == OBJECTIVE.name)}
        besides = ("values", "class_scores", "curve", "objective_name")
        return told | {k: v for k, v in asdict(self).items() if k not in besides}


@dataclass(frozen=True, slots=True)
class Trained:
    """A network as it was scored, its thresholds, and its probabilities on the validation records.

    `network` is in evaluation mode; copy its weights before training goes on elsewhere.
    """

    network: nn.Module
    thresholds: npt.NDArray[np.float64]
    probabilities: npt.NDArray[np.float64]


def train_one(
    architecture: Architecture,
    train: ResidentRecords,
    validation: ResidentRecords,
    recipe: Recipe,
    seed: int,
    *,
    device: torch.device | str | None = None,
    on_epoch: Callable[[int, float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_finish: Callable[[Trained], None] | None = None,
    checkpoint: Path | None = None,
    scoring: Scoring = DEFAULT_SCORING,
) -> TrialScores:
    """Train an architecture on `train` and return its scores on `validation`.

    `on_epoch(epoch, objective)` is called after every epoch, counted from 0. `should_stop()` is
    asked after every step, and before every batch that is scored; once true, the checkpoint is
    written and Interrupted raised, and the same call goes on from there (without a path the work
    is lost). The caller removes the file.
    `on_finish(trained)` gets the network and its outputs, to keep weights or to score further.
    Micro-batches start as large as the memory estimate allows. Out of memory, the trial goes on
    from its checkpoint, or starts again: with the same size where others held the memory and gave
    it back, since batch statistics are part of the method, else with half of it. Raises Diverged
    when the loss does, Unsupported where cuDNN cannot compute a layer even for the smallest
    micro-batch.
    """
    wanted = torch.device(device).type if device is not None else train.device.type
    if not wanted == train.device.type == validation.device.type:
        raise StudyError(
            f"Expected records on {wanted}, got training records on {train.device} and validation"
            f" records on {validation.device}; load both onto the training device."
        )
    check_loss(recipe, train)
    precision = devices.resolve_precision(train.device, recipe.precision)
    trial = Trial(architecture, train, validation, recipe, seed, precision, scoring)
    _wait_for_memory(trial, recipe.batch_size, should_stop)
    micro_batch, tries = _micro_batch_that_fits(trial), 0
    while True:
        try:
            with devices.reproducible(seed, train.device):
                return _train(trial, micro_batch, on_epoch, should_stop, on_finish, checkpoint)
        except (RuntimeError, MemoryError) as error:
            unsupported = devices.is_unsupported(error)
            if not unsupported and not devices.is_out_of_memory(error):
                raise
            if micro_batch <= SMALLEST_MICRO_BATCH and unsupported:
                raise devices.Unsupported.of(train.device, micro_batch, error) from error
            # Its traceback would keep the failed attempt's tensors alive.
            failed = error.with_traceback(None)
        finally:
            devices.release_memory(train.device)  # others may share it
        tries += 1
        if tries < TRIES_AT_SIZE and _wait_for_memory(trial, micro_batch, should_stop):
            continue
        if micro_batch <= SMALLEST_MICRO_BATCH:
            raise failed
        micro_batch, tries = max(micro_batch // 2, SMALLEST_MICRO_BATCH), 0


def _wait_for_memory(
    trial: Trial, micro_batch: int, should_stop: Callable[[], bool] | None
) -> bool:
    """Wait for memory that others hold, where a step fits the device; say whether it came free."""
    device, needed = trial.train.device, _step_memory_bytes(trial, micro_batch)
    until, waited = time.monotonic() + SECONDS_FOR_MEMORY, False
    while devices.is_shared(device) and devices.free_memory_bytes(
        device
    ) < needed <= devices.total_memory_bytes(device):
        if should_stop is not None and should_stop():
            raise Interrupted
        if time.monotonic() > until:
            return False
        waited = True
        time.sleep(0.5)
    return waited


def fits_alone(trial: Trial) -> bool:
    """Tell whether the device could train a trial if nobody else held memory of it."""
    total = devices.total_memory_bytes(trial.train.device)
    return _step_memory_bytes(trial, SMALLEST_MICRO_BATCH) <= total


def _micro_batch_that_fits(trial: Trial) -> int:
    """Return the batch size, halved until the estimate of a step's memory fits the device."""
    free = devices.free_memory_bytes(trial.train.device)
    size = trial.recipe.batch_size
    while size > SMALLEST_MICRO_BATCH and _step_memory_bytes(trial, size) > free:
        size = max(size // 2, SMALLEST_MICRO_BATCH)
    return size


def _step_memory_bytes(trial: Trial, micro_batch: int) -> float:
    """Estimate what a training step takes."""
    _, leads, samples = trial.train.signals.shape
    memory = training_memory(
        trial.architecture,
        batch=micro_batch,
        samples=trial.recipe.augment_crop_samples or samples,
        leads=leads,
        outputs=trial.train.labels.shape[1],
        bytes_per_element=2 if trial.precision == "bf16" else 4,
    )
    return MEMORY_SLACK * memory.peak_bytes


def _train(
    trial: Trial,
    micro_batch: int,
    on_epoch: Callable[[int, float], None] | None,
    should_stop: Callable[[], bool] | None,
    on_finish: Callable[[Trained], None] | None,
    checkpoint: Path | None,
) -> TrialScores:
    recipe = trial.recipe
    devices.reset_peak_memory(trial.train.device)
    run = Run(trial, micro_batch, checkpoint)
    progress = run.progress
    curve_records = max(CURVE_RECORDS, int(CURVE_SHARE * len(trial.train)))
    on_curve = _spread(trial.validation, curve_records)

    def pause(doing: str) -> None:
        """Save and stop if told to; what is left of an epoch is done by the next call."""
        if should_stop is not None and should_stop():
            run.lap(doing)
            run.save()
            raise Interrupted(f"Stopped after step {progress.step} of epoch {progress.epoch + 1}.")

    between_batches = partial(pause, "validation")

    while True:
        _train_epoch(run, pause)
        if progress.epoch + 1 == recipe.epochs:
            break
        score = _score_on_curve(run, on_curve, between_batches)
        run.end_epoch(score)
        if on_epoch is not None:
            on_epoch(progress.epoch - 1, score)
        if run.seconds_since_saved() > SECONDS_BETWEEN_CHECKPOINTS:
            run.save()

    trained, scores = _score_finally(run, between_batches)
    objective = scores.values[trial.scoring.objective]
    run.end_epoch(objective)
    if on_epoch is not None:
        on_epoch(progress.epoch - 1, objective)
    if on_finish is not None:
        on_finish(trained)
    return TrialScores(
        values=dict(scores.values),
        class_scores=list(scores.per_class),
        curve=progress.curve,
        seconds=progress.training_seconds + progress.validation_seconds,
        validation_seconds=progress.validation_seconds,
        records_per_second=progress.records / progress.training_seconds,
        peak_memory_bytes=devices.peak_memory_bytes(trial.train.device),
        micro_batch=run.micro_batch,
        precision=trial.precision,
        objective_name=trial.scoring.objective,
    )


def _train_epoch(run: Run, pause: Callable[[str], None]) -> None:
    """Take the steps that are left of an epoch; `pause` is called after each."""
    trial, progress = run.trial, run.progress
    feed = batches(
        trial.train,
        batch_size=trial.recipe.batch_size,
        seed=trial.seed,
        epoch=progress.epoch,
        shuffle=True,
        augment=trial.recipe.augment_options(),
        first_step=progress.step,
    )
    run.network.train()
    for signals, labels in islice(feed, run.steps_per_epoch - progress.step):
        run.step(signals, labels)
        if progress.step % STEPS_BETWEEN_LOSS_CHECKS == 0:
            run.check_loss()
        pause("training")
    run.check_loss()
    run.lap("training")


def _score_on_curve(run: Run, records: ResidentRecords, between: Callable[[], None]) -> float:
    """Score part of the validation records, with thresholds from the epoch's training steps."""
    trial = run.trial
    labels, logits = run.training_outputs(CURVE_OUTPUTS)
    thresholds = _thresholds(trial, labels, probabilities_of(logits, trial.train.exclusive))
    chances = probabilities_of(run.predict(records, between), trial.train.exclusive)
    fold = Fold(
        _labels(records),
        chances,
        decided(chances, thresholds, trial.train.exclusive),
        trial.recipe.empty_classes,
        records.classes,
    )
    return objective_metric(trial.scoring.objective, records.classes or None).compute(fold)


def _score_finally(run: Run, between: Callable[[], None]) -> tuple[Trained, FoldScores]:
    """Score all validation records, with thresholds from all training records."""
    trial, train, validation = run.trial, run.trial.train, run.trial.validation
    exclusive = train.exclusive
    seen = probabilities_of(run.predict(train, between), exclusive)
    thresholds = _thresholds(trial, _labels(train), seen)
    chances = probabilities_of(run.predict(validation, between), exclusive)
    scores = score_fold(
        _labels(validation),
        chances,
        thresholds,
        validation.classes or None,
        empty_classes=trial.recipe.empty_classes,
        exclusive=exclusive,
        scoring=trial.scoring,
    )
    return Trained(run.scored_network().eval(), thresholds, chances), scores


def _thresholds(trial: Trial, labels: Any, chances: Any) -> npt.NDArray[np.float64]:
    """Return the threshold of each class; exclusive classes have none, NaN."""
    if trial.train.exclusive:
        return np.full(labels.shape[1], np.nan)
    return best_thresholds(labels, chances, slack=trial.recipe.threshold_slack)


def _labels(records: ResidentRecords) -> npt.NDArray[np.float32]:
    return records.labels.cpu().numpy()


def _spread(records: ResidentRecords, count: int) -> ResidentRecords:
    """Return about `count` records, evenly spread over all and thereby over their sources."""
    if len(records) <= count:
        return records
    chosen = np.linspace(0, len(records) - 1, count).astype(np.int64)
    index = torch.from_numpy(chosen).to(records.device)
    return replace(
        records,
        signals=records.signals.index_select(0, index),
        labels=records.labels.index_select(0, index),
        rows=records.rows[chosen],
        patients=records.patients[chosen],
    )
