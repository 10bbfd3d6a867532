"""The plan of a study in the database: planned trials as Optuna's waiting ones, and back."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, text

from models import Architecture, Factor
from models.shape import Shape
from search.reading.notes import add_trial_notes
from search.trials.distributions import distributions
from search.trials.plan import PlannedTrial

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


def add_trials(
    connection: Connection,
    study_id: int,
    trials: tuple[PlannedTrial, ...],
    factors: tuple[Factor, ...],
    shape: Shape,
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
        if trial.halving is not None:
            described["halving"] = json.dumps(trial.halving)
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
