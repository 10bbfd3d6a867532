"""Studies in the database: Optuna's tables hold them, one transaction creates one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from models import Architecture, Factor, Space, load_space
from search.database.schema import ADVISORY_LOCK, require_schema
from search.database.storage import Storage
from search.database.view import refresh_view
from search.definition import StudyDefinition
from search.errors import StudyError
from search.reading.notes import add_study_note, add_trial_notes, study_note
from search.training.folds import data_facts
from search.trials.distributions import distributions
from search.trials.plan import (
    Extension,
    PlannedTrial,
    extend,
    longest_first,
    nuisance_factors,
    plan,
)

if TYPE_CHECKING:
    import optuna

    from data_pipeline import Store

OBJECTIVE = "macro_f1"
# Optuna's own key behind `study.set_metric_names`.
METRIC_NAMES = "study:metric_names"

ADD_STUDY = """
WITH added AS (INSERT INTO studies (study_name) VALUES (:name) RETURNING study_id)
INSERT INTO study_directions (direction, study_id, objective)
SELECT 'MAXIMIZE', study_id, 0 FROM added RETURNING study_id
"""
ADD_STUDY_ATTRIBUTES = """
INSERT INTO {table} (study_id, key, value_json)
SELECT :study, key, value::text FROM json_each(CAST(:values AS json))
"""
ADD_TRIALS = """
INSERT INTO trials (number, study_id, state)
SELECT number, :study, 'WAITING' FROM generate_series(CAST(:first AS int), :last) AS number
"""
# In the order given: the dashboard shows parameters and attributes as they were inserted.
ADD_PARAMETERS = """
INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
SELECT t.trial_id, p.name, p.value, CAST(:distributions AS json) ->> p.name
FROM ROWS FROM (json_to_recordset(CAST(:rows AS json)) AS (number int, name text, value float8))
    WITH ORDINALITY AS p(number, name, value, position)
JOIN trials t ON t.study_id = :study AND t.number = p.number ORDER BY position
"""
ADD_ATTRIBUTES = """
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT t.trial_id, a.key, a.value
FROM ROWS FROM (json_to_recordset(CAST(:rows AS json)) AS (number int, key text, value text))
    WITH ORDINALITY AS a(number, key, value, position)
JOIN trials t ON t.study_id = :study AND t.number = a.number ORDER BY position
"""
PLANNED = """
SELECT t.number, max(a.value_json) FILTER (WHERE a.key = 'role') AS role,
    max(a.value_json) FILTER (WHERE a.key = 'seed') AS seed,
    max(a.value_json) FILTER (WHERE a.key = 'architecture') AS architecture,
    max(a.value_json) FILTER (WHERE a.key = 'recipe') AS recipe
FROM trials t JOIN trial_user_attributes a USING (trial_id)
WHERE t.study_id = :study AND a.key IN ('role', 'seed', 'architecture', 'recipe')
GROUP BY t.number ORDER BY t.number
"""
SET_ATTRIBUTE = """
INSERT INTO study_user_attributes (study_id, key, value_json)
SELECT :study, key, value::text FROM json_each(CAST(:values AS json))
ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json
"""


@dataclass(frozen=True, slots=True)
class Study:
    """A study as it was defined; its trials are read with `search.reading.records`."""

    name: str
    study_id: int
    storage: Storage
    definition: StudyDefinition
    data: dict[str, Any]
    factors: tuple[Factor, ...]
    planned: int
    uid: str

    @property
    def shape(self) -> dict[str, int]:
        """Samples and leads of a record, and outputs."""
        return {name: self.data[name] for name in ("samples", "leads", "outputs")}

    @property
    def data_hash(self) -> str:
        """Hash of the store that every worker must have."""
        return str(self.data["hash"])

    def optuna(self) -> optuna.Study:
        """Open the same study with Optuna, for its plots and the dashboard."""
        import optuna

        sampler = optuna.samplers.RandomSampler()
        return optuna.load_study(
            study_name=self.name, storage=self.storage.optuna(), sampler=sampler
        )


def create_study(
    definition: StudyDefinition, store: Store, storage: Storage, *, long_first: bool = False
) -> Study:
    """Create a study with all its planned trials waiting, whole or not at all.

    Workers take confirmations first, then trials in the order of their numbers. That of the plan
    makes a study that is cut short a random sample. `long_first` numbers them by falling predicted
    cost: no long trial is left for the end, when most workers have nothing to do.
    """
    require_schema(storage)
    _require_absent(definition.name, storage)
    data = data_facts(store, definition.data)
    space = load_space(definition.space)
    shape = {"samples": data["samples"], "leads": data["leads"], "outputs": data["outputs"]}
    planned = plan(definition, space, **shape)
    factors = (*space.factors, *nuisance_factors(definition))
    attributes = {
        "definition": definition.to_dict(),
        "data": data,
        "factors": [asdict(factor) for factor in factors],
        # As it was resolved: a file that it came from is not where the study may go.
        "space": {key: value for key, value in space.to_dict().items() if key != "factors"},
        "sampling": planned.sampling,
        "planned": len(planned.trials),
        "uid": uuid.uuid4().hex,
    }
    with storage.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        taken = text("SELECT 1 FROM studies WHERE study_name = :name")
        if connection.scalar(taken, {"name": definition.name}):
            raise _exists(definition.name, storage)
        study_id = connection.scalar(text(ADD_STUDY), {"name": definition.name})
        for table, values in (
            ("study_user_attributes", attributes),
            ("study_system_attributes", {METRIC_NAMES: [OBJECTIVE]}),
        ):
            statement = text(ADD_STUDY_ATTRIBUTES.format(table=table))
            connection.execute(statement, {"study": study_id, "values": json.dumps(values)})
        trials = longest_first(planned.trials, **shape) if long_first else planned.trials
        add_trials(connection, study_id, trials, factors, shape)
        add_study_note(connection, study_id, study_note(definition, data))
        refresh_view(connection)
    return open_study(definition.name, storage)


def extend_study(study: Study, extension: Extension) -> Study:
    """Plan further trials for a study, also while it runs; workers take them like the others."""
    space = _stored_space(study)

    def more(known: tuple[PlannedTrial, ...]) -> tuple[PlannedTrial, ...]:
        trials = extend(study.definition, space, known, extension, **study.shape)
        if not trials:
            raise StudyError(
                f"expected further trials for {study.name}, got none: give a number of networks, "
                "replicates, controls or references"
            )
        return trials

    with study.storage.begin() as connection:
        return add_planned(connection, study, more)


def add_planned(
    connection: Connection,
    study: Study,
    more: Callable[[tuple[PlannedTrial, ...]], Sequence[PlannedTrial]],
) -> Study:
    """Insert the trials that `more` plans from those there are; return the study with them.

    Within the transaction of the connection, during which nobody else can plan.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    known = planned_trials(connection, study.study_id)
    trials = tuple(more(known))
    add_trials(connection, study.study_id, trials, study.factors, study.shape)
    planned = len(known) + len(trials)
    write_attribute(connection, study.study_id, "planned", planned)
    return replace(study, planned=planned)


def planned_trials(connection: Connection, study_id: int) -> tuple[PlannedTrial, ...]:
    """Read the plan of a study, in order."""
    rows = connection.execute(text(PLANNED), {"study": study_id}).all()
    return tuple(
        PlannedTrial(
            row.number,
            Architecture.from_json(row.architecture),
            json.loads(row.seed),
            json.loads(row.role),
            json.loads(row.recipe or "{}"),
        )
        for row in rows
    )


def read_attribute(connection: Connection, study_id: int, key: str) -> str | None:
    """Read a study's attribute as JSON, None where it has none."""
    statement = text(
        "SELECT value_json FROM study_user_attributes WHERE study_id = :study AND key = :key"
    )
    found: str | None = connection.scalar(statement, {"study": study_id, "key": key})
    return found


def write_attribute(connection: Connection, study_id: int, key: str, value: Any) -> None:
    """Set a study's attribute."""
    values = {"study": study_id, "values": json.dumps({key: value})}
    connection.execute(text(SET_ATTRIBUTE), values)


def open_study(name: str, storage: Storage) -> Study:
    """Open a study by its name."""
    require_schema(storage)
    with storage.connect() as connection:
        found = connection.execute(
            text(
                "SELECT s.study_id, (SELECT json_object_agg(a.key, a.value_json::json) "
                "FROM study_user_attributes a WHERE a.study_id = s.study_id "
                "AND a.key IN ('definition', 'data', 'factors', 'planned', 'uid')) "
                "FROM studies s WHERE s.study_name = :name"
            ),
            {"name": name},
        ).one_or_none()
    if found is None:
        names = study_names(storage)
        there = f"only {', '.join(names)}" if names else "none at all"
        raise StudyError(
            f"expected a study called {name} in {storage.label}, got {there}: check the name, give "
            "the --storage it was made in, or make it with 'ecgscale create'"
        )
    study_id, attributes = found
    if not attributes or "definition" not in attributes:
        raise StudyError(
            f"expected a study made by 'ecgscale create', got {name} in {storage.label}, "
            "which another program made: choose another name"
        )
    return Study(
        name=name,
        study_id=study_id,
        storage=storage,
        definition=StudyDefinition.from_dict(attributes["definition"]),
        data=attributes["data"],
        factors=tuple(Factor.from_dict(factor) for factor in attributes["factors"]),
        planned=attributes["planned"],
        uid=attributes["uid"],
    )


def study_names(storage: Storage) -> list[str]:
    """List the studies of ours, oldest first."""
    with storage.connect() as connection:
        rows = connection.scalars(
            text(
                "SELECT s.study_name FROM studies s JOIN study_user_attributes a "
                "ON a.study_id = s.study_id AND a.key = 'uid' ORDER BY s.study_id"
            )
        )
        return list(rows)


def add_trials(
    connection: Connection,
    study_id: int,
    trials: tuple[PlannedTrial, ...],
    factors: tuple[Factor, ...],
    shape: dict[str, int],
) -> None:
    """Insert planned trials as waiting Optuna trials, numbered by their index."""
    from optuna.distributions import distribution_to_json

    known = distributions(factors)
    parameters: list[dict[str, Any]] = []
    attributes: list[dict[str, Any]] = []
    for trial in trials:
        cost = trial.architecture.cost(**shape)
        for name, value in {**trial.architecture.factors, **trial.recipe}.items():
            # A confirmation may use a learning rate from outside the range that was drawn from.
            if name in known and known[name]._contains(known[name].to_internal_repr(value)):
                inner = known[name].to_internal_repr(value)
                parameters.append({"number": trial.index, "name": name, "value": inner})
        described = {
            "role": json.dumps(trial.role),
            "index": json.dumps(trial.index),
            "seed": json.dumps(trial.seed),
            "architecture_hash": json.dumps(trial.architecture.hash),
            "flops": json.dumps(cost.flops),
            "params": json.dumps(cost.params),
            "activations": json.dumps(cost.activations),
            "architecture": trial.architecture.to_json(),
        }
        if trial.recipe:
            described["recipe"] = json.dumps(dict(trial.recipe))
        attributes += [
            {"number": trial.index, "key": key, "value": value} for key, value in described.items()
        ]
    span = {"study": study_id, "first": trials[0].index, "last": trials[-1].index}
    connection.execute(text(ADD_TRIALS), span)
    texts = json.dumps({name: distribution_to_json(known[name]) for name in known})
    rows = {"study": study_id, "rows": json.dumps(parameters), "distributions": texts}
    connection.execute(text(ADD_PARAMETERS), rows)
    rows = {"study": study_id, "rows": json.dumps(attributes)}
    connection.execute(text(ADD_ATTRIBUTES), rows)
    add_trial_notes(connection, study_id, trials, shape)


def _stored_space(study: Study) -> Space:
    """Read the design space that a study was made with, wherever its file is now."""
    with study.storage.connect() as connection:
        stored = read_attribute(connection, study.study_id, "space")
    if stored is None:  # made by an ecgscale that kept the name alone
        return load_space(study.definition.space)
    besides = nuisance_factors(study.definition)
    factors = [asdict(factor) for factor in study.factors if factor not in besides]
    return Space.from_dict({**json.loads(stored), "factors": factors})


def _require_absent(name: str, storage: Storage) -> None:
    with storage.connect() as connection:
        taken = text("SELECT 1 FROM studies WHERE study_name = :name")
        if connection.scalar(taken, {"name": name}):
            raise _exists(name, storage)


def _exists(name: str, storage: Storage) -> StudyError:
    return StudyError(
        f"the study {name} exists already in {storage.label}: choose another name, or run "
        f"'ecgscale status {name}' to see how far it is"
    )
