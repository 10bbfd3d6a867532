"""Confirmation: fresh seeds for the best candidates and the references, scored on the test split.

The candidates are chosen by `analysis.questions.confirmation` from scores on validation records.
Their trials run like all others; only they are scored on the test records, once each.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from models import Architecture
from search.definition import StudyDefinition, check_planned
from search.errors import StudyError
from search.study import Study, add_planned, read_attribute, write_attribute
from search.trials.plan import PlannedTrial, trial_seed

CONFIRMATIONS = "confirmations"
SEEDS = 3  # fresh ones of each network
BUDGETS = (1e7, 3e7, 1e8, 3e8, 1e9)


def budgets_within(flops: tuple[float, float]) -> list[float]:
    """Return the usual budgets within a study's range of FLOPs, or its upper end without any."""
    low, high = flops
    return [budget for budget in BUDGETS if low < budget <= high] or [high]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network to confirm within a budget.

    group: "searched", "reference", "law" or "against the law". name: what to call it.
    """

    architecture: Architecture
    budget: float
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate as a study remembers it."""

    architecture_hash: str
    budget: float
    group: str
    name: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One round: each candidate with `seeds` fresh seeds at each of the learning rates."""

    entries: tuple[Entry, ...]
    seeds: int
    learning_rates: tuple[float, ...]

    @property
    def budgets(self) -> tuple[float, ...]:
        """Budgets in ascending order."""
        return tuple(sorted({entry.budget for entry in self.entries}))

    @property
    def trials(self) -> int:
        """How many trials were planned: a network of several budgets is trained for all at once."""
        networks = {entry.architecture_hash for entry in self.entries}
        return len(networks) * self.seeds * len(self.learning_rates)


def confirm_study(
    study: Study,
    candidates: Sequence[Candidate],
    *,
    seeds: int | None = None,
    learning_rates: Sequence[float] | None = None,
    again: bool = False,
) -> Study:
    """Plan the trials of a confirmation, also while others still run; workers do the rest.

    Every candidate gets the same seeds-per-network and the same learning rates: by default three
    and the recipe's alone, or the ends and the middle of the range that the study drew its rates
    from; in a later round those of the first. Raises StudyError if the study has a confirmation
    already, unless `again`: who chooses candidates after seeing test scores no longer has an
    untouched test split.
    """
    earlier = read_confirmations(study)
    if seeds is None:
        seeds = earlier[0].seeds if earlier else SEEDS
    default = earlier[0].learning_rates if earlier else _rates(study.definition)
    rates = tuple(learning_rates or default)
    if not candidates or seeds < 1:
        raise StudyError("expected candidates and at least one seed each, got none: plan some")
    if not study.data["splits"].get("test"):
        raise StudyError(
            f"expected test records in the store of {study.name}, got none: prepare a store with a "
            "test split and make a study on it"
        )
    round_ = Confirmation(
        entries=tuple(Entry(c.architecture.hash, c.budget, c.group, c.name) for c in candidates),
        seeds=seeds,
        learning_rates=rates,
    )
    check_planned(study.planned + round_.trials)

    def more(known: tuple[PlannedTrial, ...]) -> list[PlannedTrial]:
        return _trials(study, known, candidates, seeds, rates)

    with study.storage.begin() as connection:
        extended = add_planned(connection, study, more)
        rounds = _stored(connection, study)
        if not again:
            require_unconfirmed(study, rounds)
        content = [asdict(one) for one in (*rounds, round_)]
        write_attribute(connection, study.study_id, CONFIRMATIONS, content)
    return extended


def require_unconfirmed(study: Study, rounds: Sequence[Confirmation]) -> None:
    """Refuse a second choice of candidates, which would know the scores on the test records."""
    if rounds:
        raise StudyError(
            f"expected {study.name} without a confirmation, got one of "
            f"{len(rounds[0].entries)} candidates: the test records were read for it, and a second "
            "choice would know their scores; use --again if that is meant. Reference architectures "
            f"can be brought in: ecgscale confirm-references {study.name} --reference NAME"
        )


def read_confirmations(study: Study) -> tuple[Confirmation, ...]:
    """Read all rounds of a study, the first one first."""
    with study.storage.connect() as connection:
        return _stored(connection, study)


def _stored(connection: Connection, study: Study) -> tuple[Confirmation, ...]:
    stored = json.loads(read_attribute(connection, study.study_id, CONFIRMATIONS) or "[]")
    return tuple(
        Confirmation(
            entries=tuple(Entry(**entry) for entry in one["entries"]),
            seeds=one["seeds"],
            learning_rates=tuple(one["learning_rates"]),
        )
        for one in stored
    )


def _rates(definition: StudyDefinition) -> tuple[float, ...]:
    """Return the learning rates that every candidate gets by default."""
    if definition.sample.learning_rate is None:
        return (definition.recipe.learning_rate,)
    low, high = definition.sample.learning_rate
    return (low, math.sqrt(low * high), high)


def _trials(
    study: Study,
    known: tuple[PlannedTrial, ...],
    candidates: Sequence[Candidate],
    seeds: int,
    rates: Sequence[float],
) -> list[PlannedTrial]:
    """Plan each network once, also if it is a candidate for several budgets."""
    taken = {(trial.architecture.hash, trial.seed) for trial in known}
    own = study.definition.recipe.learning_rate
    networks = {c.architecture.hash: c.architecture for c in candidates}
    planned: list[PlannedTrial] = []
    fresh = {hash_: _fresh_seeds(study.definition.seed, hash_, seeds, taken) for hash_ in networks}
    # All networks with the first seed, then all with the next: cut short, it is still fair.
    for place in range(seeds):
        for hash_, network in networks.items():
            for rate in rates:
                changes: dict[str, Any] = {} if rate == own else {"learning_rate": rate}
                index = len(known) + len(planned)
                planned.append(
                    PlannedTrial(index, network, fresh[hash_][place], "confirm", changes)
                )
    return planned


def _fresh_seeds(study_seed: int, hash_: str, count: int, taken: set[tuple[str, int]]) -> list[int]:
    """Derive seeds that no trial of this network has had."""
    found: list[int] = []
    repeat = 0
    while len(found) < count:
        seed = trial_seed(study_seed, int(hash_[:8], 16), repeat)
        if (hash_, seed) not in taken and seed not in found:
            found.append(seed)
        repeat += 1
    return found
