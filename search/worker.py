"""A worker: take the next planned trial, train it, report it, until none is left."""

from __future__ import annotations

import os
import platform
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from search.database.storage import Storage, Unreachable
from search.errors import StudyError
from search.events import Event, Log, text_log
from search.machine import choose_device, device_name, git_commit, stopping_signals
from search.precision import settle_precision
from search.study import Study, open_study
from search.training.folds import Folds
from search.training.recipe import Recipe
from search.trials.lease import LeaseKeeper, LeaseLost
from search.trials.queue import Claim, Limits, Queue, WorkerName

if TYPE_CHECKING:
    from data_pipeline import Store
    from data_pipeline.batches import ResidentRecords
    from search.training.train import Trained, TrialScores

DONE, INTERRUPTED = 0, 75
# What of TrialScores is stored as it is; the rest is the value, the curve and the classes.
NOT_ATTRIBUTES = ("macro_f1", "curve", "class_scores")
SECONDS_TO_HAND_BACK = 20.0
ERRORS_IN_A_ROW = 6


class Trainer(Protocol):
    """What `search.training.train.train_one` does; tests put another in its place."""

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
    emulate: train in the study's precision also where the device only emulates it.
    """

    checkpoints: Path | None = None
    weights: Path | None = None
    limits: Limits = field(default_factory=Limits)
    trial_seconds: float | None = None
    wait: bool = True
    name: str | None = None
    emulate: bool = False


def run_worker(
    study_name: str,
    storage: Storage,
    store: Store,
    device: str = "auto",
    *,
    options: WorkerOptions | None = None,
    train: Trainer | None = None,
    say: Callable[[str], None] = print,
    log: Log | None = None,
) -> int:
    """Run planned trials until none is left; return 0, or 75 after SIGTERM, SIGUSR1 or Ctrl-C.

    What happens goes to `log`, as sentences to `say` without one. Raises StudyError if the store
    is not the study's.
    """
    import torch

    from search.training.device import fast_precision

    options, log = options or WorkerOptions(), log or text_log(say)
    with stopping_signals() as stop:

        def away(text: str) -> None:
            log(Event("database_away", text))

        try:
            study = storage.patiently(lambda: open_study(study_name, storage), stop=stop, say=away)
        except Unreachable:  # told to stop meanwhile
            return INTERRUPTED
        check_store(study, store)
        host, chosen = platform.node(), choose_device(device)
        who = WorkerName(options.name or f"{host}:{os.getpid()}", host, device_name(chosen))
        fast = fast_precision(torch.device(chosen))
        precision = settle_precision(study, fast, who.device, emulate=options.emulate)
        train = train or _train_one()
        return Worker(study, store, who, chosen, precision, options, log, stop, train).run()


def _train_one() -> Trainer:
    from search.training.train import train_one

    return train_one


@dataclass(slots=True)
class Worker:
    """One worker at work."""

    study: Study
    store: Store
    who: WorkerName
    device: str
    precision: str
    options: WorkerOptions
    log: Log
    stop: threading.Event
    train: Trainer
    folds: Folds = field(init=False)
    errors_in_a_row: int = 0

    def __post_init__(self) -> None:
        self.folds = Folds(self.store, self.study.definition.data, self.device)

    def run(self) -> int:
        """Loop over trials."""
        queue = Queue(self.study.storage, self.study.study_id, self.options.limits)
        self.tell(
            "worker_started",
            device=self.who.device,
            precision=self.precision,
            git_commit=git_commit(),
        )
        waiting = False
        # What is wrong with this machine shows here, before it costs a trial an attempt.
        left = self._patiently(queue.remaining)
        if left is not None and left.running + left.waiting > 0:
            self._records()
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
                self.tell("worker_done", f"nothing left to do in {self.study.name}")
                return DONE
            if not waiting:
                words = f"{left.running} trials run elsewhere; waiting in case a worker dies"
                self.tell("worker_waits", words, running=left.running)
                waiting = True
            pause = min(self.options.limits.grace_seconds / 6, 10.0)
            self.stop.wait(pause * random.uniform(0.5, 1.0))
        self.tell("worker_interrupted", "interrupted")
        return INTERRUPTED

    def tell(self, event: str, text: str = "", claim: Claim | None = None, **values: Any) -> None:
        """Log an event; the sentence of one about a trial begins with its number."""
        if claim is not None:
            text = text and f"trial {claim.number}: {text}"
            values = {"trial": claim.number, "attempt": claim.claims, **values}
        self.log(Event(event, text, values))

    def _away(self, text: str) -> None:
        self.tell("database_away", text)

    def _patiently(self, action: Callable[[], Any]) -> Any:
        """Wait for the database; None when told to stop meanwhile."""
        try:
            return self.study.storage.patiently(action, stop=self.stop, say=self._away)
        except StudyError:
            if self.stop.is_set():
                return None
            raise

    def _run_trial(self, queue: Queue, claim: Claim) -> None:
        from search.training.device import is_broken
        from search.training.train import Diverged, Interrupted

        words = f"{claim.role}, attempt {claim.claims}"
        self.tell("trial_started", words, claim, role=claim.role, seed=claim.seed)
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
                self.tell("epoch", "", claim, epoch=epoch + 1, macro_f1=value)

            try:
                kept: list[Trained] = []
                scores = self._train(claim, checkpoint, on_epoch, should_stop, kept.append)
                self._keep(claim, scores, kept)
                self._finish(queue, claim, scores, kept)
            except LeaseLost:
                self.tell("trial_lost", "another worker has it, result dropped", claim)
                return
            except Diverged as error:
                reason = f"diverged: {error}"
                ours = patiently(
                    lambda: queue.fail(claim, reason, self._facts(claim)), say=self._away
                )
                if not ours:
                    self.tell("trial_lost", f"{reason}; another worker has it", claim)
                    return
                self.tell("trial_failed", reason, claim, reason=reason)
            except Interrupted:
                if not self._interrupted(queue, claim, started):
                    return
            except StudyError:  # a fault of the set-up, the same for every trial
                patiently(lambda: queue.hand_back(claim), seconds=SECONDS_TO_HAND_BACK)
                raise
            except Exception as error:
                reason = f"{type(error).__name__}: {error}"
                outcome = patiently(lambda: queue.error(claim, reason), say=self._away)
                then = {"again": "will be tried again", "done": "failed", "lost": "lost"}[outcome]
                name = {"again": "trial_error", "done": "trial_failed", "lost": "trial_lost"}
                self.tell(name[outcome], f"{reason}; {then}", claim, reason=reason)
                if is_broken(error):  # it would spoil every trial: another process may not
                    raise
                self._count_error(reason)
                if outcome != "done":  # the checkpoint is somebody's who goes on with it
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

        train, validation = self._records()
        if claim.role == "control":
            from data_pipeline.batches import shuffled_labels

            train = shuffled_labels(train, claim.seed)
        return self.train(
            Architecture.from_json(claim.architecture),
            train,
            validation,
            Recipe.from_dict(self._recipe(claim).to_dict() | {"precision": self.precision}),
            claim.seed,
            device=self.device,
            on_epoch=on_epoch,
            should_stop=should_stop,
            on_finish=on_finish,
            checkpoint=checkpoint,
        )

    def _keep(self, claim: Claim, scores: TrialScores, kept: list[Trained]) -> None:
        """Save the network before the trial is complete, so that complete means kept."""
        if self.options.weights is None or claim.role == "control":
            return
        from search.training.keep import keep_network

        for trained in kept:
            keep_network(
                self.options.weights, self.study, self.store, claim, trained, scores, git_commit()
            )

    def _finish(self, queue: Queue, claim: Claim, scores: TrialScores, kept: list[Trained]) -> None:
        values = {k: v for k, v in asdict(scores).items() if k not in NOT_ATTRIBUTES}
        attributes = values | self._facts(claim)
        outputs = None
        if claim.role == "confirm":
            from search.training.held_out import score_held_out

            test = self.folds.records("test")
            held_out = score_held_out(kept[-1], test, scores.micro_batch)
            attributes |= held_out.attributes()
            outputs = held_out.outputs(test, self.folds.sources("test"))
        held = self.study.storage.patiently(
            lambda: queue.finish(
                claim, scores.macro_f1, attributes, scores.curve, scores.class_scores, outputs
            ),
            say=self._away,
        )
        if not held:
            raise LeaseLost
        self.errors_in_a_row = 0
        words = f"macro-F1 {scores.macro_f1:.4f}, macro-AUROC {scores.macro_auroc:.4f}"
        values = {"macro_f1": scores.macro_f1, **values}
        self.tell("trial_complete", f"{words}, {scores.seconds:.1f} s", claim, **values)

    def _interrupted(self, queue: Queue, claim: Claim, started: float) -> bool:
        """Hand a trial back, or fail one that took too long; say whether it has ended for good."""
        if self._late(started) and not self.stop.is_set():
            reason = f"time limit: {self.options.trial_seconds:g} s were not enough"
            ended = self.study.storage.patiently(
                lambda: queue.fail(claim, reason, self._facts(claim))
            )
            self.tell("trial_failed", reason, claim, reason=reason)
            return bool(ended)
        try:
            self.study.storage.patiently(
                lambda: queue.hand_back(claim), seconds=SECONDS_TO_HAND_BACK
            )
            self.tell("trial_handed_back", "handed back", claim)
        except StudyError as error:
            words = f"not handed back, others will take it over; {error}"
            self.tell("trial_not_handed_back", words, claim)
        return False

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

    def _records(self) -> tuple[ResidentRecords, ResidentRecords]:
        return self.folds.records("train"), self.folds.records("validation")

    def _checkpoint(self, claim: Claim) -> Path | None:
        if self.options.checkpoints is None:
            return None
        folder = self.options.checkpoints / f"{self.study.name}-{self.study.uid[:8]}"
        return folder / f"{claim.number}.checkpoint"

    def _recipe(self, claim: Claim) -> Recipe:
        """Return the study's recipe with the changes of one trial."""
        return replace(self.study.definition.recipe, **claim.recipe)

    def _facts(self, claim: Claim) -> dict[str, str]:
        return {
            "device": self.who.device,
            "host": self.who.host,
            "git_commit": git_commit(),
            "recipe_hash": self._recipe(claim).hash,
            "data_hash": self.study.data_hash,
        }


def check_store(study: Study, store: Store) -> None:
    """Refuse a store other than the one the study was made for."""
    if store.hash != study.data_hash:
        raise StudyError(
            f"expected the store of study {study.name} with the hash {study.data_hash}, got "
            f"{store.path} with {store.hash}: give the store the study was created with"
        )
