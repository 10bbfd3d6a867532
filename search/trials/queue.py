"""The queue of planned trials: every step is one short transaction, guarded by a lease.

A trial is run under a lease with a token. Whoever writes must still hold the token; a worker that
was paused or cut off for longer than the grace period has lost it, and its result is dropped. No
row is ever added: a trial that is taken over stays the same trial.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Connection, Row, text

from search.database.storage import Storage
from search.errors import StudyError
from search.training.outputs import Outputs
from search.trials import statements as sql

Outcome = Literal["failed", "again", "lost"]


@dataclass(frozen=True, slots=True)
class Limits:
    """When a lease is stale, and how often a trial is tried.

    grace_seconds: a lease that was not renewed for so long is stale.
    patience_seconds: a step may take so long, the first of an attempt three times as long; then the
        lease is no longer renewed.
    losses: workers that may vanish with a trial.
    errors: exceptions that a trial itself may raise.
    faults: faults of machines (disk, GPU, memory that others hold) that may meet a trial; so many
        that it is likely their cause.
    """

    grace_seconds: float = 180.0
    patience_seconds: float = 600.0
    losses: int = 20
    errors: int = 3
    faults: int = 20

    def __post_init__(self) -> None:
        for name in ("grace_seconds", "patience_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise StudyError(
                    f"expected {name} as a number of seconds above 0, got {getattr(self, name)}: "
                    "change it"
                )


@dataclass(frozen=True, slots=True)
class WorkerName:
    """Who holds a lease."""

    worker: str
    host: str
    device: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that is ours as long as the token holds; `recipe` has what it changes of it.

    `halving`: the epoch after which it ends unless it is in the better half of its peers.
    """

    trial_id: int
    number: int
    token: str
    role: str
    seed: int
    architecture: str
    claims: int
    recipe: dict[str, Any] = field(default_factory=dict)
    halving: int | None = None

    @classmethod
    def planned(cls, number: int, role: str, seed: int, architecture: str, recipe: str) -> Claim:
        """Return what a worker would get of a trial, under no lease; recipe is JSON."""
        return cls(0, number, "", role, seed, architecture, 0, json.loads(recipe))


@dataclass(frozen=True, slots=True)
class Remaining:
    """Trials that are not done; `there` says whether the study still exists."""

    waiting: int
    running: int
    there: bool = True


@dataclass(frozen=True, slots=True)
class Queue:
    """The trials of one study."""

    storage: Storage
    study_id: int
    limits: Limits = field(default_factory=Limits)

    def claim(self, who: WorkerName) -> Claim | None:
        """Take the next trial: a fresh one, one that erred before, or else a vanished worker's.

        None when nothing can be taken now. Others may still hold trials: see `remaining`.
        """
        values: dict[str, Any] = {"study": self.study_id, "lease": self.limits.grace_seconds}
        values |= {"worker": who.worker, "host": who.host, "device": who.device}
        with self.storage.engine.begin() as connection:
            while True:
                for statement in sql.CLAIMS:
                    token = uuid.uuid4().hex
                    row = connection.execute(text(statement), values | {"token": token}).first()
                    if row is not None:
                        break
                else:
                    return None
                if row.losses <= self.limits.losses:
                    return _claim(row, token)
                reason = f"vanished: {row.losses} workers died or were cut off while they ran it"
                _end(connection, row.trial_id, "FAIL", {"failure": reason})

    def heartbeat(self, claim: Claim) -> bool:
        """Renew the lease; False when it is lost."""
        with self.storage.engine.begin() as connection:
            done = connection.execute(text(sql.HEARTBEAT), _key(claim))
            return done.rowcount == 1

    def holds(self, claim: Claim) -> bool:
        """Say whether the lease is still ours, without renewing it."""
        with self.storage.engine.connect() as connection:
            return connection.scalar(text(sql.HOLDS), _key(claim)) is not None

    def report(self, claim: Claim, epoch: int, value: float) -> bool:
        """Store the score after an epoch (counted from 1), and renew; False when lost."""
        with self.storage.engine.begin() as connection:
            values = _key(claim) | {"step": epoch} | dict(_stored(value))
            return connection.execute(text(sql.REPORT), values).rowcount == 1

    def finish(
        self,
        claim: Claim,
        value: float,
        attributes: Mapping[str, Any],
        curve: Sequence[float],
        class_scores: Sequence[Mapping[str, Any]],
        test_outputs: Outputs | None = None,
    ) -> bool:
        """Complete a trial with all its results at once; False when the lease is lost."""
        with self.storage.engine.begin() as connection:
            state = _hold(connection, claim)
            if state != "RUNNING":
                return state == "COMPLETE"  # our own commit, whose answer got lost
            trial = {"trial": claim.trial_id}
            connection.execute(text(sql.ADD_VALUE), trial | {"value": value})
            steps = [
                {"step": epoch, **_stored(score)} for epoch, score in enumerate(curve, start=1)
            ]
            connection.execute(text(sql.DELETE_CURVE), trial)
            connection.execute(text(sql.ADD_CURVE), trial | {"rows": json.dumps(steps)})
            rows = json.dumps([_finite(row) for row in class_scores])
            connection.execute(text(sql.ADD_CLASS_SCORES), trial | {"rows": rows})
            if test_outputs is not None:
                values = {"study": self.study_id} | test_outputs.encoded_records()
                connection.execute(text(sql.ADD_TEST_RECORDS), values)
                values = trial | {"outputs": test_outputs.encoded()}
                connection.execute(text(sql.ADD_TEST_OUTPUTS), values)
            _end(connection, claim.trial_id, "COMPLETE", attributes)
            return True

    def fail(self, claim: Claim, reason: str, attributes: Mapping[str, Any] | None = None) -> bool:
        """Record a failed trial with its reason; False when the lease is lost."""
        return self._close(claim, "FAIL", {**(attributes or {}), "failure": reason})

    def prune(self, claim: Claim, attributes: Mapping[str, Any]) -> bool:
        """Record that a trial ended for falling behind its peers; False when the lease is lost."""
        return self._close(claim, "PRUNED", attributes)

    def _close(self, claim: Claim, ended: str, attributes: Mapping[str, Any]) -> bool:
        with self.storage.engine.begin() as connection:
            state = _hold(connection, claim)
            if state != "RUNNING":
                return state == ended
            _end(connection, claim.trial_id, ended, attributes)
            return True

    def error(self, claim: Claim, reason: str) -> Outcome:
        """Count an exception of the trial: it waits to be tried again, or fails at the limit."""
        return self._again(claim, sql.COUNT_ERROR, self.limits.errors, "error", reason)

    def fault(self, claim: Claim, reason: str) -> Outcome:
        """Count a fault of the machine: the trial waits to be tried again, elsewhere if need be."""
        return self._again(claim, sql.COUNT_FAULT, self.limits.faults, "machine", reason)

    def _again(self, claim: Claim, count: str, limit: int, kind: str, reason: str) -> Outcome:
        with self.storage.engine.begin() as connection:
            state = _hold(connection, claim)
            if state != "RUNNING":
                return "failed" if state == "FAIL" else "lost"
            values = {"trial": claim.trial_id, "reason": reason}
            if connection.scalar(text(count), values) < limit:
                connection.execute(text(sql.RELEASE), {"trial": claim.trial_id})
                return "again"
            _end(connection, claim.trial_id, "FAIL", {"failure": f"{kind}: {reason}"})
            return "failed"

    def hand_back(self, claim: Claim) -> bool:
        """Give an unfinished trial back, for any worker to go on with it; False when lost."""
        with self.storage.engine.begin() as connection:
            if _hold(connection, claim) != "RUNNING":
                return False
            connection.execute(text(sql.RELEASE), {"trial": claim.trial_id})
            connection.execute(text(sql.COUNT_HAND_BACK), {"trial": claim.trial_id})
            return True

    def remaining(self) -> Remaining:
        """Count the trials that wait or run."""
        with self.storage.engine.connect() as connection:
            row = connection.execute(text(sql.REMAINING), {"study": self.study_id}).one()
            return Remaining(row.waiting, row.running, row.there)

    def retry(self, number: int | None = None) -> list[int]:
        """Let a failed trial, or all of them, wait again; return their numbers."""
        with self.storage.begin() as connection:
            values = {"study": self.study_id, "number": number}
            return sorted(connection.scalars(text(sql.RETRY), values))


def _claim(row: Row[Any], token: str) -> Claim:
    return Claim(
        trial_id=row.trial_id,
        number=row.number,
        token=token,
        role=json.loads(row.role),
        seed=json.loads(row.seed),
        architecture=row.architecture,
        claims=row.claims,
        recipe=json.loads(row.recipe or "{}"),
        halving=row.halving,
    )


def _key(claim: Claim) -> dict[str, Any]:
    return {"trial": claim.trial_id, "token": claim.token}


def _hold(connection: Connection, claim: Claim) -> str | None:
    """Lock a trial that is still ours and return its state, None when the lease is lost."""
    state: str | None = connection.scalar(text(sql.HOLD), _key(claim))
    return state


def _end(connection: Connection, trial_id: int, state: str, attributes: Mapping[str, Any]) -> None:
    rows = json.dumps(_finite(attributes))
    connection.execute(text(sql.SET_ATTRIBUTES), {"trial": trial_id, "values": rows})
    connection.execute(text(sql.END), {"trial": trial_id, "state": state})


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write NaN and infinities as null: JSON has no words for them."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _stored(value: float) -> dict[str, Any]:
    """Write an intermediate value as Optuna does."""
    if math.isnan(value):
        return {"value": None, "type": "NAN"}
    if math.isinf(value):
        return {"value": None, "type": "INF_POS" if value > 0 else "INF_NEG"}
    return {"value": value, "type": "FINITE"}
