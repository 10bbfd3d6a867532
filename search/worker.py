"""A worker: take the next planned trial, train it, report it, until none is left."""

from __future__ import annotations

import os
import platform
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from search.database.storage import Storage
from search.errors import StudyError
from search.lease import LeaseKeeper, LeaseLost
from search.machine import choose_device, device_name, git_commit, stopping_signals
from search.queue import Claim, Limits, Queue, WorkerName
from search.study import Study, open_study

if TYPE_CHECKING:
    from data_pipeline import Store
    from data_pipeline.batches import ResidentRecords
    from search.train import Trained, TrialScores

DONE, INTERRUPTED = 0, 75
# What of TrialScores is stored as it is; the rest is the value, the curve and the classes.
NOT_ATTRIBUTES = ("macro_f1", "curve", "class_scores")
SECONDS_TO_HAND_BACK = 20.0
ERRORS_IN_A_ROW = 6


class Trainer(Protocol):
    """What `search.train.train_one` does; tests put another in its place."""

    def __call__(
        self,
        architecture: Any,
        train: ResidentRecords,
        validation: ResidentRecords,
        recipe: Any,
        seed: int,
        *,
        device: Any,
        on_epoch: Callable[[int, float], None] | None,
        should_stop: Callable[[], bool] | None,
        on_finish: Callable[[Trained], None] | None,
        checkpoint: Path | None,
    ) -> TrialScores:
        """Train one network and score it."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker behaves; nothing of it changes a result.

    checkpoints: folder shared by the workers, so that any can go on with a trial; None keeps none.
    weights: folder for the trained networks of all trials but controls; None keeps none.
    trial_seconds: a trial that takes longer fails with that reason.
    wait: stay while others still run trials, to take over those of a worker that dies.
    """

    checkpoints: Path | None = None
    weights: Path | None = None
    limits: Limits = field(default_factory=Limits)
    trial_seconds: float | None = None
    wait: bool = True
    name: str | None = None


def run_worker(
    study_name: str,
    storage: Storage,
    store: Store,
    device: str = "auto",
    *,
    options: WorkerOptions | None = None,
    train: Trainer | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """Run planned trials until none is left; return 0, or 75 after SIGTERM, SIGUSR1 or Ctrl-C.

    Raises StudyError if the store is not the study's.
    """
    options = options or WorkerOptions()
    with stopping_signals() as stop:
        study = open_study(study_name, storage)
        check_store(study, store)
        host = platform.node()
        who = WorkerName(options.name or f"{host}:{os.getpid()}", host, choose_device(device))
        return Worker(study, store, who, options, train or _train_one(), say, stop).run()


def _train_one() -> Trainer:
    from search.train import train_one

    return train_one


@dataclass(slots=True)
class Worker:
    """One worker at work."""

    study: Study
    store: Store
    who: WorkerName
    options: WorkerOptions
    train: Trainer
    say: Callable[[str], None]
    stop: threading.Event
    records: tuple[ResidentRecords, ResidentRecords] | None = None
    errors_in_a_row: int = 0

    def run(self) -> int:
        """Loop over trials."""
        queue = Queue(self.study.storage, self.study.study_id, self.options.limits)
        waiting = False
        # What is wrong with this machine shows here, before it costs a trial an attempt.
        left = self._patiently(queue.remaining)
        if left is not None and left.running + left.waiting > 0:
            self._resident()
        while not self.stop.is_set():
            claim = self._patiently(lambda: queue.claim(self.who))
            if claim is not None:
                waiting = False
                self._run_trial(queue, claim)
                continue
            left = self._patiently(queue.remaining)
            if left is None:
                break
            if left.running + left.waiting == 0 or not (self.options.wait or left.waiting):
                self.say(f"nothing left to do in {self.study.name}")
                return DONE
            if not waiting:
                self.say(f"{left.running} trials run elsewhere; waiting in case a worker dies")
                waiting = True
            pause = min(self.options.limits.grace_seconds / 6, 10.0)
            self.stop.wait(pause * random.uniform(0.5, 1.0))
        self.say("interrupted")
        return INTERRUPTED

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """Wait for the database; None when told to stop meanwhile."""
        try:
            return self.study.storage.patiently(action, stop=self.stop, say=self.say)
        except StudyError:
            if self.stop.is_set():
                return None
            raise

    def _run_trial(self, queue: Queue, claim: Claim) -> None:
        from search.train import Diverged, Interrupted

        self.say(f"trial {claim.number}: {claim.role}, attempt {claim.claims}")
        patiently = self.study.storage.patiently
        started = time.monotonic()
        checkpoint = self._checkpoint(claim)
        with LeaseKeeper(queue, claim) as lease:

            def should_stop() -> bool:
                if lease.lost:
                    raise LeaseLost
                return self.stop.is_set() or self._late(started)

            def on_epoch(epoch: int, value: float) -> None:
                lease.report(epoch + 1, value)

            try:
                kept: list[Trained] = []
                scores = self._train(claim, checkpoint, on_epoch, should_stop, kept.append)
                self._keep(claim, scores, kept)
                self._finish(queue, claim, scores)
            except LeaseLost:
                self.say(f"trial {claim.number}: another worker has it, result dropped")
                return
            except Diverged as error:
                reason = f"diverged: {error}"
                patiently(lambda: queue.fail(claim, reason, self._facts()), say=self.say)
                self.say(f"trial {claim.number}: {reason}")
            except Interrupted:
                self._interrupted(queue, claim, started)
                return
            except StudyError:  # a fault of the set-up, the same for every trial
                patiently(lambda: queue.hand_back(claim), seconds=SECONDS_TO_HAND_BACK)
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                outcome = patiently(lambda: queue.error(claim, reason), say=self.say)
                then = {"again": "will be tried again", "done": "failed", "lost": "lost"}[outcome]
                self.say(f"trial {claim.number}: {reason}; {then}")
                self._count_error(reason)
                if outcome == "again":
                    return
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)

    def _train(
        self,
        claim: Claim,
        checkpoint: Path | None,
        on_epoch: Callable[[int, float], None],
        should_stop: Callable[[], bool],
        on_finish: Callable[[Trained], None],
    ) -> TrialScores:
        from models import Architecture

        train, validation = self._resident()
        if claim.role == "control":
            from data_pipeline.batches import shuffled_labels

            train = shuffled_labels(train, claim.seed)
        return self.train(
            Architecture.from_json(claim.architecture),
            train,
            validation,
            self.study.definition.recipe,
            claim.seed,
            device=self.who.device,
            on_epoch=on_epoch,
            should_stop=should_stop,
            on_finish=on_finish,
            checkpoint=checkpoint,
        )

    def _keep(self, claim: Claim, scores: TrialScores, kept: list[Trained]) -> None:
        """Save the network before the trial is complete, so that complete means kept."""
        if self.options.weights is None or claim.role == "control":
            return
        from search.keep import keep_network

        for trained in kept:
            keep_network(
                self.options.weights, self.study, self.store, claim, trained, scores, git_commit()
            )

    def _finish(self, queue: Queue, claim: Claim, scores: TrialScores) -> None:
        values = {k: v for k, v in asdict(scores).items() if k not in NOT_ATTRIBUTES}
        attributes = values | self._facts()
        held = self.study.storage.patiently(
            lambda: queue.finish(
                claim, scores.macro_f1, attributes, scores.curve, scores.class_scores
            ),
            say=self.say,
        )
        if not held:
            raise LeaseLost
        self.errors_in_a_row = 0
        self.say(
            f"trial {claim.number}: macro-F1 {scores.macro_f1:.4f}, "
            f"macro-AUROC {scores.macro_auroc:.4f}, {scores.seconds:.1f} s"
        )

    def _interrupted(self, queue: Queue, claim: Claim, started: float) -> None:
        if self._late(started) and not self.stop.is_set():
            reason = f"time limit: {self.options.trial_seconds:g} s were not enough"
            self.study.storage.patiently(lambda: queue.fail(claim, reason, self._facts()))
            self.say(f"trial {claim.number}: {reason}")
            return
        try:
            self.study.storage.patiently(
                lambda: queue.hand_back(claim), seconds=SECONDS_TO_HAND_BACK
            )
            self.say(f"trial {claim.number}: handed back")
        except StudyError as error:
            self.say(f"trial {claim.number}: not handed back, others will take it over; {error}")

    def _count_error(self, reason: str) -> None:
        """Stop a worker on which nothing works, before it spoils every trial."""
        self.errors_in_a_row += 1
        if self.errors_in_a_row >= ERRORS_IN_A_ROW:
            raise StudyError(
                f"expected trials that train on {self.who.host} ({self.who.device}), got "
                f"{self.errors_in_a_row} errors in a row, the last one {reason}: mend the cause "
                "and start the worker again"
            )

    def _late(self, started: float) -> bool:
        limit = self.options.trial_seconds
        return limit is not None and time.monotonic() - started > limit

    def _resident(self) -> tuple[ResidentRecords, ResidentRecords]:
        """Load the training and validation records onto the device, once."""
        if self.records is None:
            import torch

            from data_pipeline.batches import ResidentRecords

            device = torch.device(self.who.device)
            self.records = (
                ResidentRecords.from_store(self.store, self.store.rows("train"), device),
                ResidentRecords.from_store(self.store, self.store.rows("validation"), device),
            )
        return self.records

    def _checkpoint(self, claim: Claim) -> Path | None:
        if self.options.checkpoints is None:
            return None
        folder = self.options.checkpoints / f"{self.study.name}-{self.study.uid[:8]}"
        return folder / f"{claim.number}.checkpoint"

    def _facts(self) -> dict[str, str]:
        return {
            "device": device_name(self.who.device),
            "host": self.who.host,
            "git_commit": git_commit(),
            "recipe_hash": self.study.definition.recipe.hash,
            "data_hash": self.study.data_hash,
        }


def check_store(study: Study, store: Store) -> None:
    """Refuse a store other than the one the study was made for."""
    if store.hash != study.data_hash:
        raise StudyError(
            f"expected the store of study {study.name} with the hash {study.data_hash}, got "
            f"{store.path} with {store.hash}: give the store the study was created with"
        )
