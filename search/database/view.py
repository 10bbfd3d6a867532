"""The SQL view `ecgscale_trials`: one row per trial, one column per factor and metric."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, text

from search.training.metric_table import ATTRIBUTES, OBJECTIVE, TESTED

TEXT_ATTRIBUTES = (
    *("role", "architecture_hash", "device", "host", "git_commit", "recipe_hash", "data_hash"),
    "failure",
)
NUMBER_ATTRIBUTES = (
    *("seed", "flops", "params", "activations", *ATTRIBUTES, "seconds", "records_per_second"),
    *("peak_memory_bytes", "latency_ms", *TESTED),
)
OUTER = {"trial", "number", "study", "state", OBJECTIVE.name, "started", "finished", "architecture"}


def refresh_view(connection: Connection) -> None:
    """Make the view anew with the factors of all studies."""
    taken = OUTER.union(TEXT_ATTRIBUTES, NUMBER_ATTRIBUTES)
    columns = [
        "s.study_name AS study",
        "t.number AS trial",
        "lower(t.state::text) AS state",
        *(f"(a.v ->> '{name}') AS {name}" for name in TEXT_ATTRIBUTES),
        *(f"(a.v ->> '{name}')::double precision AS {name}" for name in NUMBER_ATTRIBUTES),
        f"v.value AS {OBJECTIVE.name}",
        *(_factor(name, kind) for name, kind in _factors(connection).items() if name not in taken),
        "t.datetime_start AT TIME ZONE 'utc' AS started",
        "t.datetime_complete AT TIME ZONE 'utc' AS finished",
        "(a.v -> 'architecture') AS architecture",
    ]
    connection.execute(text("DROP VIEW IF EXISTS ecgscale_trials"))
    # A colon before a letter would be a bind parameter of SQLAlchemy.
    connection.exec_driver_sql(
        f"CREATE VIEW ecgscale_trials AS SELECT {', '.join(columns)} "
        "FROM trials t JOIN studies s USING (study_id) "
        "LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0, "
        "LATERAL (SELECT jsonb_object_agg(key, value_json::jsonb) AS v "
        "FROM trial_user_attributes u WHERE u.trial_id = t.trial_id) a, "
        "LATERAL (SELECT jsonb_object_agg(param_name, COALESCE("
        "distribution_json::jsonb #> ARRAY['attributes', 'choices', param_value::int::text], "
        "to_jsonb(param_value))) AS v FROM trial_params p WHERE p.trial_id = t.trial_id) p "
        "WHERE EXISTS (SELECT 1 FROM study_user_attributes o "
        "WHERE o.study_id = t.study_id AND o.key = 'uid')"
    )


def _factors(connection: Connection) -> dict[str, str]:
    """Return every factor of every study with the SQL type that holds all its values."""
    kinds: dict[str, str] = {}
    rows = connection.scalars(
        text("SELECT value_json FROM study_user_attributes WHERE key = 'factors' ORDER BY study_id")
    )
    for row in rows:
        try:
            found = {str(factor["name"]): _kind(factor) for factor in json.loads(row)}
        except (ValueError, TypeError, LookupError):  # a study that cannot be read
            continue
        for name, kind in found.items():
            kinds[name] = kind if kinds.get(name, kind) == kind else "text"
    return kinds


def _kind(factor: dict[str, Any]) -> str:
    if factor["kind"] != "choice":
        return "double precision"
    choices = factor["choices"]
    if all(isinstance(choice, bool) for choice in choices):
        return "boolean"
    if all(isinstance(choice, int | float) for choice in choices):
        return "double precision"
    return "text"


def _factor(name: str, kind: str) -> str:
    literal, quoted = name.replace("'", "''"), name.replace('"', '""')
    return f"(p.v ->> '{literal}')::{kind} AS \"{quoted}\""
