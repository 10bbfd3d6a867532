"""One attempt at a trial: train it, score it, keep it, and say in one value how that ended."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sqlalchemy.exc import DBAPIError

from search.database.storage import Unreachable
from search.errors import StudyError
from search.kept import KeptNetworks
from search.machine import git_commit
from search.study import Study
from search.training.folds import Folds
from search.trials.lease import LeaseKeeper, LeaseLost
from search.trials.queue import Claim, Queue

if TYPE_CHECKING:
    from data_pipeline import Store
    from data_pipeline.batches import ResidentRecords
    from search.training.outputs import Outputs
    from search.training.recipe import Recipe
    from search.training.scores import Scoring
    from search.training.train import Trained, TrialScores

SECONDS_FOR_ROOM = 600.0  # a full folder of networks may be emptied meanwhile
SECONDS_BETWEEN_TRIES = 5.0

Kind = Literal["complete", "pruned", "failed", "error", "fault", "interrupted", "refused", "lost"]
Settled = Literal["complete", "pruned", "failed", "again", "handed_back", "lost"]


class FellBehind(Exception):
    """The trial is in the worse half of its peers and ends early."""


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
        scoring: Scoring,
    ) -> TrialScores:
        """Train one network and score it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a complete trial stores."""

    scores: TrialScores
    attributes: dict[str, Any]
    outputs: Outputs | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended, before the database was told.

    complete: with a result. pruned: early, behind its peers. failed: by the trial itself, for good
    (diverged, out of time). error: an exception of the trial, which may be tried again. fault: the
    machine's (disk, GPU, memory that others hold), no error of the trial. interrupted: told to
    stop. refused: the set-up is wrong for every trial. lost: another worker has the trial.
    """

    kind: Kind
    reason: str = ""
    result: Result | None = None
    cause: Exception | None = None

    def settle(self, queue: Queue, claim: Claim, facts: dict[str, str]) -> Settled:
        """Tell the database; return what became of the trial."""
        match self.kind:
            case "complete":
                assert self.result is not None
                scores = self.result.scores
                held = queue.finish(
                    claim,
                    scores.objective,
                    self.result.attributes,
                    scores.curve,
                    scores.class_scores,
                    self.result.outputs,
                )
                return "complete" if held else "lost"
            case "pruned":
                return "pruned" if queue.prune(claim, facts) else "lost"
            case "failed":
                return "failed" if queue.fail(claim, self.reason, facts) else "lost"
            case "error":
                return queue.error(claim, self.reason)
            case "fault":
                return queue.fault(claim, self.reason)
            case "interrupted" | "refused":
                return "handed_back" if queue.hand_back(claim) else "lost"
            case "lost":
                return "lost"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Everything that an attempt needs; `say` is told of warnings."""

    study: Study
    store: Store
    folds: Folds
    device: str
    precision: str
    claim: Claim
    train: Trainer
    lease: LeaseKeeper
    stop: threading.Event
    say: Callable[[str], None]
    on_epoch: Callable[[int, float], None]
    checkpoint: Path | None
    kept: KeptNetworks | None
    facts: dict[str, str]

    def run(self) -> Ending:
        """Train the trial; every exception becomes an ending."""
        from search.training.device import is_broken
        from search.training.train import Diverged, Interrupted

        try:
            with _warnings_to(self.say):
                return Ending("complete", result=self._result())
        except LeaseLost:
            return Ending("lost", "another worker has it, result dropped")
        except FellBehind as error:
            return Ending("pruned", str(error))
        except Diverged as error:
            return Ending("failed", f"diverged: {error}")
        except Interrupted:
            if self.lease.late and not self.stop.is_set():
                return Ending("failed", self.lease.time_limit)
            return Ending("interrupted")
        except StudyError as error:
            return Ending("refused", str(error), cause=error)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            fault = isinstance(error, OSError) or is_broken(error) or self._short_of_memory(error)
            return Ending("fault" if fault else "error", reason, cause=error)

    def _result(self) -> Result:
        kept: list[Trained] = []
        scores = self._train(kept.append)
        self.lease.beat()
        self._keep(scores, kept)
        attributes, outputs = scores.attributes() | self._evaluated(kept) | self.facts, None
        if self.claim.role == "confirm":
            from search.training.held_out import score_held_out

            test = self.folds.records("test")
            self.lease.beat()
            held_out = score_held_out(
                kept[-1],
                test,
                scores.micro_batch,
                empty_classes=self.study.definition.recipe.empty_classes,
                scoring=self.study.definition.scoring,
                between=self.lease.beat,
            )
            attributes |= held_out.attributes()
            outputs = held_out.outputs(test, self.folds.sources("test"))
        return Result(scores, attributes, outputs)

    def _evaluated(self, kept: list[Trained]) -> dict[str, float]:
        """Return what the study's plug-ins measure besides."""
        plugins = self.study.definition.scoring.plugins
        if not plugins or not kept:
            return {}
        from search.training.evaluation import evaluated

        return evaluated(plugins, kept[-1].network, self.folds.records("validation"))

    def _train(self, on_finish: Callable[[Trained], None]) -> TrialScores:
        from models import Architecture

        return self.train(
            Architecture.from_json(self.claim.architecture),
            *records_of(self.folds, self.claim),
            self._recipe(),
            self.claim.seed,
            device=self.device,
            on_epoch=self._after_epoch,
            should_stop=self._should_stop,
            on_finish=on_finish,
            checkpoint=self.checkpoint,
            scoring=self.study.definition.scoring,
        )

    def _should_stop(self) -> bool:
        self.lease.beat()
        if self.lease.lost:
            raise LeaseLost
        return self.stop.is_set() or self.lease.late

    def _after_epoch(self, epoch: int, value: float) -> None:
        self.lease.report(epoch + 1, value)
        self.on_epoch(epoch + 1, value)
        if epoch + 1 == self.claim.halving and self._falls_behind(epoch + 1, value):
            raise FellBehind(f"in the worse half of its peers after epoch {epoch + 1}")

    def _falls_behind(self, epoch: int, value: float) -> bool:
        from search.trials.halving import falls_behind

        study, trial = self.study, self.claim.trial_id
        try:
            return falls_behind(study.storage, study.study_id, trial, epoch, value)
        except (DBAPIError, Unreachable):  # too many are trained on rather than too few
            return False

    def _keep(self, scores: TrialScores, kept: list[Trained]) -> None:
        """Save the network before the trial is complete, so that complete means kept.

        A disk that does not take it may in a moment: the training would be lost with it.
        """
        if self.kept is None or self.claim.role == "control" or not self._wanted(scores):
            return
        from search.training.keep import keep_network

        path = self.kept.path(self.claim.number)
        tries = int(SECONDS_FOR_ROOM / SECONDS_BETWEEN_TRIES)
        for left in reversed(range(tries)):
            try:
                for trained in kept:
                    where = path, self.study, self.store, self.claim
                    keep_network(*where, trained, scores, git_commit())
                return
            except OSError as error:
                if not left or self.stop.is_set():
                    raise
                self.say(f"no network can be kept in {self.kept.folder} ({error}); trying again")
            self.stop.wait(SECONDS_BETWEEN_TRIES)
            self._should_stop()

    def _wanted(self, scores: TrialScores) -> bool:
        assert self.kept is not None
        try:
            return self.kept.wants(self.claim.number, scores.objective)
        except (DBAPIError, Unreachable):  # too many are kept rather than too few
            return True

    def _short_of_memory(self, error: Exception) -> bool:
        """Tell whether memory was short that the trial would have had alone on the device."""
        from models import Architecture
        from search.training.device import is_out_of_memory, resolve_precision
        from search.training.run import Trial
        from search.training.train import fits_alone

        if not is_out_of_memory(error):
            return False
        architecture, recipe = Architecture.from_json(self.claim.architecture), self._recipe()
        train, validation = records_of(self.folds, self.claim)
        precision = resolve_precision(train.device, recipe.precision)
        return fits_alone(
            Trial(architecture, train, validation, recipe, self.claim.seed, precision)
        )

    def _recipe(self) -> Recipe:
        return recipe_of(self.study, self.claim).with_precision(self.precision)


def recipe_of(study: Study, claim: Claim) -> Recipe:
    """Return the study's recipe with the changes of one trial."""
    return replace(study.definition.recipe, **claim.recipe)


def records_of(folds: Folds, claim: Claim) -> tuple[ResidentRecords, ResidentRecords]:
    """Return training and validation records; a control's training labels are shuffled."""
    train, validation = folds.records("train"), folds.records("validation")
    if claim.role == "control":
        from data_pipeline.batches import shuffled_labels

        train = shuffled_labels(train, claim.seed)
    return train, validation


@contextmanager
def _warnings_to(say: Callable[[str], None]) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_, **__: say(str(message))
        yield
