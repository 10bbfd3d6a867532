"""Studies in the database: Optuna's tables hold them, one transaction creates one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

from data_pipeline.alterations import ALTERATIONS
from definitions.plugins import Plugin, Registry
from models import Factor, Space, load_space
from models.shape import Shape
from models.space import FAMILIES
from search.cohort import COHORT, cohort_of
from search.database.schema import ADVISORY_LOCK, require_schema
from search.database.storage import Storage
from search.database.view import METRIC_NAMES, refresh_view, require_free_columns
from search.definition import StudyDefinition
from search.errors import NotYet, StudyError
from search.reading.notes import add_study_note, study_note
from search.study_plugins import listing, require_plugins
from search.training.folds import data_facts, require_learnable
from search.training.metric_table import METRICS, objective_metric
from search.training.recipe import LOSSES
from search.training.start import read_start
from search.trials.plan import (
    Extension,
    PlannedTrial,
    extend,
    longest_first,
    nuisance_factors,
    plan,
)
from search.trials.stored import add_trials, planned_trials

if TYPE_CHECKING:
    import optuna

    from data_pipeline import Store

ADD_STUDY = """
WITH added AS (INSERT INTO studies (study_name) VALUES (:name) RETURNING study_id)
INSERT INTO study_directions (direction, study_id, objective)
SELECT 'MAXIMIZE', study_id, 0 FROM added RETURNING study_id
"""
MINIMIZE = "UPDATE study_directions SET direction = 'MINIMIZE' WHERE study_id = :study"
ADD_STUDY_ATTRIBUTES = """
INSERT INTO {table} (study_id, key, value_json)
SELECT :study, key, value::text FROM json_each(CAST(:values AS json))
"""
FIND = """
SELECT s.study_id, (SELECT json_object_agg(a.key, a.value_json)
    FROM study_user_attributes a WHERE a.study_id = s.study_id
    AND a.key IN ('definition', 'data', 'factors', 'planned', 'uid', 'first_name'))
FROM studies s WHERE s.study_name = :name
"""
FORMER = """
SELECT s.study_name FROM studies s JOIN study_user_attributes a USING (study_id)
WHERE a.key = 'first_name' AND a.value_json = :name
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
    first_name: str | None = None

    @property
    def shape(self) -> Shape:
        """Samples and leads of a record, and outputs."""
        return Shape.of(self.data)

    @property
    def folder(self) -> str:
        """Name of the folder of its files: it stays when the study is renamed."""
        return f"{self.first_name or self.name}-{self.uid[:8]}"

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
    with storage.connect() as connection:
        require_free(connection, definition.name, storage)
    space = load_space(definition.space)
    definition = replace(definition, plugins=listing(definition.plugins, _used(definition, space)))
    require_plugins(definition.name, definition.plugins)
    objective_metric(definition.objective, store.classes)
    require_learnable(store, definition.data)
    data = data_facts(store, definition.data)
    shape = Shape.of(data)
    planned = plan(definition, space, **shape)
    if definition.recipe.init_hash:
        read_start(definition.recipe).require_records(store)
    factors = (*space.factors, *nuisance_factors(definition))
    require_free_columns(definition.to_dict(), [factor.name for factor in factors])
    attributes = {
        "definition": definition.to_dict(),
        "data": data,
        COHORT: cohort_of(store, definition.data).to_dict(),
        "factors": [asdict(factor) for factor in factors],
        # As it was resolved: a file that it came from is not where the study may go.
        "space": {key: value for key, value in space.to_dict().items() if key != "factors"},
        "sampling": planned.sampling,
        "planned": len(planned.trials),
        "uid": uuid.uuid4().hex,
    }
    with storage.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        require_free(connection, definition.name, storage)
        study_id = connection.scalar(text(ADD_STUDY), {"name": definition.name})
        for table, values in (
            ("study_user_attributes", attributes),
            ("study_system_attributes", {METRIC_NAMES: [definition.objective]}),
        ):
            statement = text(ADD_STUDY_ATTRIBUTES.format(table=table))
            connection.execute(statement, {"study": study_id, "values": json.dumps(values)})
        if not definition.maximize:
            connection.execute(text(MINIMIZE), {"study": study_id})
        trials = longest_first(planned.trials, **shape) if long_first else planned.trials
        add_trials(connection, study_id, trials, factors, shape)
        add_study_note(connection, study_id, study_note(definition, data))
        refresh_view(connection)
    return open_study(definition.name, storage)


def find_or_create_study(
    definition: StudyDefinition, store: Store, storage: Storage, *, long_first: bool = False
) -> tuple[Study, bool]:
    """Return the study of this definition on this store, and whether it was there before."""
    if definition.name not in study_names(storage):
        return create_study(definition, store, storage, long_first=long_first), False
    found = open_study(definition.name, storage)
    if found.definition.hash != definition.hash or found.data_hash != store.hash:
        raise StudyError(
            f"expected the study {definition.name} in {storage.label} to be this one, got one on "
            "other data or with other settings: change its name, or give another --storage"
        )
    return found, True


def extend_study(study: Study, extension: Extension) -> Study:
    """Plan further trials for a study, also while it runs; workers take them like the others."""
    require_plugins(study.name, study.definition.plugins)
    space = _stored_space(study)

    def more(known: tuple[PlannedTrial, ...]) -> tuple[PlannedTrial, ...]:
        trials = extend(study.definition, space, known, extension, **study.shape)
        if study.definition.recipe.init_hash:
            _require_known(study, known, trials)
        if not trials:
            raise StudyError(
                f"expected further trials for {study.name}, got none: give a number of networks, "
                "replicates, controls or references"
            )
        return trials

    with study.storage.begin() as connection:
        return add_planned(connection, study, more)


def _require_known(
    study: Study, known: Sequence[PlannedTrial], trials: Sequence[PlannedTrial]
) -> None:
    """Refuse networks that the weights which a study starts from do not fit."""
    (network,) = {trial.architecture.hash for trial in known}
    for trial in trials:
        if trial.architecture.hash != network:
            raise StudyError(
                f"expected further seeds of the network that {study.name} starts from, got "
                f"{trial.architecture.name}: the weights of recipe.init do not fit it; give "
                "--replicates 1 --seeds N, or make another study"
            )


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
        return study_in(connection, storage, name)


def study_in(connection: Connection, storage: Storage, name: str) -> Study:
    """Open a study within a transaction."""
    found = connection.execute(text(FIND), {"name": name}).one_or_none()
    if found is None:
        raise _missing(connection, storage, name)
    study_id, attributes = found
    if not attributes or "definition" not in attributes:
        raise StudyError(
            f"expected a study made by 'ecgscale create', got {name} in {storage.label}, "
            "which another program made: choose another name"
        )
    try:
        read = {key: json.loads(value) for key, value in attributes.items()}
        definition = StudyDefinition.from_stored({**read["definition"], "name": name})
        return Study(
            name=name,
            study_id=study_id,
            storage=storage,
            definition=definition,
            data={**read["data"]},
            factors=tuple(Factor.from_dict(factor) for factor in read["factors"]),
            planned=int(read["planned"]),
            uid=str(read["uid"]),
            first_name=read.get("first_name"),
        )
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise StudyError(
            f"expected a study that this ecgscale can read, got {name} in {storage.label}: "
            f"{type(error).__name__ + ': ' if not isinstance(error, StudyError) else ''}{error}; "
            "a newer ecgscale may have made it: use that one, or delete the study"
        ) from None


def readable_studies(storage: Storage) -> tuple[list[Study], dict[str, str]]:
    """Open all studies of ours, oldest first; and say of the others why they cannot be read."""
    studies: list[Study] = []
    unreadable: dict[str, str] = {}
    for name in study_names(storage):
        try:
            studies.append(open_study(name, storage))
        except StudyError as error:
            unreadable[name] = str(error)
    return studies, unreadable


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


def _used(definition: StudyDefinition, space: Space) -> list[Plugin | None]:
    """Return the plug-ins that add what a definition names, None for what is ours."""
    recipe = definition.recipe
    named: list[tuple[Registry[Any], str]] = [
        (FAMILIES, space.family),
        (METRICS, definition.objective),
        (LOSSES, recipe.loss),
        (ALTERATIONS, recipe.augmentation),
    ]
    for registry, name in named:
        if registry.lacks(name):
            raise StudyError(
                f"expected the plug-in that adds the {registry.kind} {name!r}, got none: list it "
                "in plugins, or give it with --plugin"
            )
    return [registry.plugin(name) for registry, name in named]


def _stored_space(study: Study) -> Space:
    """Read the design space that a study was made with, wherever its file is now."""
    with study.storage.connect() as connection:
        stored = read_attribute(connection, study.study_id, "space")
    if stored is None:  # made by an ecgscale that kept the name alone
        return load_space(study.definition.space)
    besides = nuisance_factors(study.definition)
    factors = [asdict(factor) for factor in study.factors if factor not in besides]
    return Space.from_dict({**json.loads(stored), "factors": factors})


def require_free(connection: Connection, name: str, storage: Storage) -> None:
    """Refuse a name that another study has."""
    taken = text("SELECT 1 FROM studies WHERE study_name = :name")
    if connection.scalar(taken, {"name": name}):
        raise StudyError(
            f"the study {name} exists already in {storage.label}: choose another name, or run "
            f"'ecgscale status {name}' to see how far it is"
        )


def renamed_definition(attributes: dict[str, str], name: str) -> dict[str, str]:
    """Return a study's attributes, as JSON, with another name in its definition."""
    try:
        definition = {**json.loads(attributes["definition"]), "name": name}
    except (ValueError, TypeError, KeyError):
        raise StudyError(
            f"expected a study with a definition, got none of {name}: it is damaged"
        ) from None
    return {**attributes, "definition": json.dumps(definition)}


def _missing(connection: Connection, storage: Storage, name: str) -> StudyError:
    now = connection.scalar(text(FORMER), {"name": json.dumps(name)})
    if now is not None:
        return StudyError(
            f"expected a study called {name} in {storage.label}, got none: it is called {now} now"
        )
    names = study_names(storage)
    there = f"only {', '.join(names)}" if names else "none at all"
    return NotYet(
        f"expected a study called {name} in {storage.label}, got {there}: check the name, give "
        "the --storage it was made in, or make it with 'ecgscale create'"
    )
