"""A worker: take the next planned trial, train it, report it, until none is left."""

from __future__ import annotations

import os
import platform
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from search.attempt import Attempt, Ending, Settled, Trainer, recipe_of
from search.database.storage import Storage, Unreachable
from search.errors import StudyError
from search.events import Event, Log, text_log
from search.kept import Keep, KeptNetworks
from search.machine import choose_device, device_name, git_commit, stopping_signals
from search.precision import settle_precision
from search.study import Study, open_study
from search.study_plugins import require_plugins
from search.training.folds import Folds
from search.training.metric_table import Metric, objective_metric
from search.training.start import check_start
from search.trials.lease import LeaseKeeper
from search.trials.queue import Claim, Limits, Queue, WorkerName

if TYPE_CHECKING:
    from data_pipeline import Store

DONE, INTERRUPTED = 0, 75
SECONDS_TO_HAND_BACK = 20.0
ERRORS_IN_A_ROW = 6
# After a fault of the machine, doubled with every further one: a disk may be emptied meanwhile.
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
# How an attempt that did not complete is told.
EVENTS: dict[Settled, tuple[str, str]] = {
    "pruned": ("trial_pruned", ""),
    "failed": ("trial_failed", ""),
    "again": ("trial_error", "will be tried again"),
    "handed_back": ("trial_handed_back", "handed back"),
    "lost": ("trial_lost", "lost"),
}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker behaves; nothing of it changes a result.

    checkpoints: folder shared by the workers, so that any can go on with a trial; None keeps none.
    weights: folder for the trained networks of all trials but controls; None keeps none.
    keep: all of them, or the best as `search.kept.KeptNetworks` has it.
    init: where the network that the recipe starts from lies, if not where the study says.
    limits: how long a lease lasts, how long a step may take, how often a trial is tried.
    trial_seconds: a trial that takes longer fails with that reason.
    wait: stay while others still run trials, to take over those of a worker that dies.
    emulate: train in the study's precision also where the device only emulates it.
    """

    checkpoints: Path | None = None
    weights: Path | None = None
    keep: Keep = "all"
    init: Path | None = None
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
    or a plug-in is not the study's.
    """
    import torch

    from search.training.device import bound_memory, fast_precision

    options, log = options or WorkerOptions(), log or text_log(say)
    with stopping_signals() as stop:

        def away(text: str) -> None:
            log(Event("database_away", text))

        try:
            study = storage.patiently(lambda: open_study(study_name, storage), stop=stop, say=away)
        except Unreachable:  # told to stop meanwhile
            return INTERRUPTED
        check_store(study, store)
        require_plugins(study.name, study.definition.plugins)
        study = check_start(study, store, options.init)
        host, chosen = platform.node(), choose_device(device)
        who = WorkerName(options.name or f"{host}:{os.getpid()}", host, device_name(chosen))
        bound_memory(torch.device(chosen))
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
    warned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folds = Folds(self.store, self.study.definition.data, self.device)

    @property
    def objective(self) -> Metric:
        """What the study's networks are compared by."""
        return objective_metric(self.study.definition.objective)

    def run(self) -> int:
        """Loop over trials."""
        queue = Queue(self.study.storage, self.study.study_id, self.options.limits)
        self.tell(
            "worker_started",
            device=self.who.device,
            precision=self.precision,
            git_commit=git_commit(),
        )
        if self.kept is not None and (told := self._patiently(self.kept.describe)):
            self.tell("networks_kept", f"keeps {told}")
        waiting = False
        # What is wrong with this machine shows here, before it costs a trial an attempt.
        left = self._patiently(queue.remaining)
        if left is not None and left.running + left.waiting > 0:
            for fold in ("train", "validation"):
                self.folds.records(fold)
        while not self.stop.is_set():
            claim = self._patiently(lambda: queue.claim(self.who))
            if claim is not None:
                waiting = False
                if self._stops_after(self._run_trial(queue, claim)):
                    return INTERRUPTED
                continue
            left = self._patiently(queue.remaining)
            if left is None:
                break
            if not left.there:
                raise StudyError(
                    f"expected the study {self.study.name} in {self.study.storage.label}, got none "
                    "any more: somebody deleted it, or renamed it with another program; start the "
                    "worker again with the study's name of now"
                )
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

    def _run_trial(self, queue: Queue, claim: Claim) -> Ending:
        """Run one attempt and settle it; whatever came of it is told and stored here."""
        words = f"{claim.role}, attempt {claim.claims}"
        self.tell("trial_started", words, claim, role=claim.role, seed=claim.seed)
        checkpoint, facts, kept = self._checkpoint(claim), self._facts(claim), self.kept
        hang = partial(self._hang, claim)
        limit = self.options.trial_seconds
        with LeaseKeeper(queue, claim, trial_seconds=limit, on_hang=hang) as lease:
            ending = Attempt(
                study=self.study,
                store=self.store,
                folds=self.folds,
                device=self.device,
                precision=self.precision,
                claim=claim,
                train=self.train,
                lease=lease,
                stop=self.stop,
                say=self._warn,
                on_epoch=lambda epoch, value: self.tell(
                    "epoch", "", claim, **{"epoch": epoch, self.objective.name: value}
                ),
                checkpoint=checkpoint,
                kept=kept,
                facts=facts,
            ).run()
            settled = self._settle(queue, claim, ending, facts)
        if kept is not None and settled == "complete":
            with suppress(DBAPIError, Unreachable):  # the next one removes what is left
                kept.prune()
        # Of a trial that is not done it is somebody's who goes on with it.
        if checkpoint is not None and settled in ("complete", "pruned", "failed"):
            from search.training.checkpoint import remove_checkpoint

            remove_checkpoint(checkpoint)
        return ending

    def _settle(
        self, queue: Queue, claim: Claim, ending: Ending, facts: dict[str, str]
    ) -> Settled | None:
        """Tell the database how an attempt ended, then the log; None where nobody could be told."""
        given_back = ending.kind in ("interrupted", "refused")
        try:
            settled: Settled = self.study.storage.patiently(
                lambda: ending.settle(queue, claim, facts),
                say=self._away,
                seconds=SECONDS_TO_HAND_BACK if given_back else float("inf"),
            )
        except StudyError as error:
            words = f"not handed back, others will take it over; {error}"
            self.tell("trial_not_handed_back", words, claim)
            return None
        if settled == "complete":
            self._tell_complete(claim, ending)
            return settled
        name, then = EVENTS[settled]
        if ending.kind == "fault" and settled == "again":
            name, then = "machine_fault", "a fault of this machine, not counted against the trial"
        self.tell(name, "; ".join(filter(None, (ending.reason, then))), claim, reason=ending.reason)
        return settled

    def _tell_complete(self, claim: Claim, ending: Ending) -> None:
        assert ending.result is not None
        scores, values = ending.result.scores, ending.result.attributes
        name = self.objective.name
        shown = {name: scores.objective, "macro_auroc": values.get("macro_auroc", scores.objective)}
        words = ", ".join(f"{_label(one)} {value:.4f}" for one, value in shown.items())
        values = {name: scores.objective, **values}
        self.tell("trial_complete", f"{words}, {scores.seconds:.1f} s", claim, **values)

    def _stops_after(self, ending: Ending) -> bool:
        """Learn from an ending: pause after a fault, stop where nothing works any more.

        A worker on which nothing works would spoil every trial.
        """
        from search.training.device import is_broken

        if ending.kind in ("complete", "pruned"):
            self.errors_in_a_row = 0
        if ending.kind == "refused" and ending.cause is not None:
            raise ending.cause
        if ending.kind not in ("error", "fault"):
            return False
        if ending.cause is not None and is_broken(ending.cause):
            self.tell("worker_broken", "the GPU is of no use to this process any more; it ends")
            return True
        self.errors_in_a_row += 1
        if self.errors_in_a_row >= ERRORS_IN_A_ROW:
            raise StudyError(
                f"expected trials that train on {self.who.host} ({self.who.device}), got "
                f"{self.errors_in_a_row} errors in a row, the last one {ending.reason}: mend the "
                "cause and start the worker again"
            )
        if ending.kind == "fault":
            pause = PAUSE_SECONDS * 2 ** (self.errors_in_a_row - 1)
            self.stop.wait(min(pause, LONGEST_PAUSE_SECONDS))
        return False

    def _hang(self, claim: Claim, words: str) -> None:
        """End this process from the lease's thread: the trial's own hangs in a call."""
        self.tell("worker_hangs", f"{words}; this process ends", claim)
        os._exit(INTERRUPTED)

    def _warn(self, text: str) -> None:
        if text not in self.warned:
            self.warned.add(text)
            self.tell("warning", text)

    @property
    def kept(self) -> KeptNetworks | None:
        """What is kept of the trained networks."""
        folder = self.options.weights
        return None if folder is None else KeptNetworks(folder, self.options.keep, self.study)

    def _checkpoint(self, claim: Claim) -> Path | None:
        if self.options.checkpoints is None:
            return None
        return self.options.checkpoints / self.study.folder / f"{claim.number}.checkpoint"

    def _facts(self, claim: Claim) -> dict[str, str]:
        return {
            "device": self.who.device,
            "host": self.who.host,
            "git_commit": git_commit(),
            "recipe_hash": recipe_of(self.study, claim).hash,
            "data_hash": self.study.data_hash,
        }


def _label(metric: str) -> str:
    """Name a metric within a sentence."""
    label = objective_metric(metric).label
    return f"{label[0].lower()}{label[1:]}" if label[1:2].islower() else label


def check_store(study: Study, store: Store) -> None:
    """Refuse a store other than the one the study was made for."""
    if store.hash != study.data_hash:
        raise StudyError(
            f"expected the store of study {study.name} with the hash {study.data_hash}, got "
            f"{store.path} with {store.hash}: give the store the study was created with"
        )
