"""The SQL view `ecgscale_trials`: one row per trial, one column per factor and metric."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, text

from search.errors import StudyError
from search.training.metric_table import ATTRIBUTES, METRICS, OBJECTIVE, TESTED

TEXT_ATTRIBUTES = (
    *("role", "architecture_hash", "device", "host", "git_commit", "recipe_hash", "data_hash"),
    "failure",
)
_EXCLUSIVE = tuple(name for name, one in METRICS.items() if one.exclusive)
NUMBER_ATTRIBUTES = (
    *("seed", "flops", "params", "activations", *ATTRIBUTES, *_EXCLUSIVE, "seconds"),
    *("records_per_second", "peak_memory_bytes", "latency_ms", *TESTED),
    *(f"test_{name}" for name in _EXCLUSIVE),
)
OUTER = {
    *("trial", "number", "study", "state", OBJECTIVE.name, "started", "finished", "architecture"),
    *("objective", "value"),
}


# Optuna's own key behind `study.set_metric_names`.
METRIC_NAMES = "study:metric_names"
RESERVED = {
    *("validation_seconds", "micro_batch", "precision", "latency_device", "recipe", "attempts"),
    *("index", "learning_rate", "epochs", "bin", "score", "error", "repeats"),
}
"""Names that trials have elsewhere than in the view."""


def refresh_view(connection: Connection) -> None:
    """Make the view anew with the factors, and what plug-ins measure, of all studies."""
    own = [name for name in _own(connection) if name not in NUMBER_ATTRIBUTES]
    taken = OUTER.union(TEXT_ATTRIBUTES, NUMBER_ATTRIBUTES, own)
    columns = [
        "s.study_name AS study",
        "t.number AS trial",
        "lower(t.state::text) AS state",
        *(f"(a.v ->> '{name}') AS {name}" for name in TEXT_ATTRIBUTES),
        *(_number(name) for name in (*NUMBER_ATTRIBUTES, *own)),
        # A study with another objective keeps this one among its attributes.
        f"COALESCE((a.v ->> '{OBJECTIVE.name}')::double precision, v.value) AS {OBJECTIVE.name}",
        f"COALESCE(m.value_json::jsonb ->> 0, '{OBJECTIVE.name}') AS objective",
        "v.value",
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
        "LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0 "
        "LEFT JOIN study_system_attributes m ON m.study_id = t.study_id "
        f"AND m.key = '{METRIC_NAMES}', "
        "LATERAL (SELECT jsonb_object_agg(key, value_json::jsonb) AS v "
        "FROM trial_user_attributes u WHERE u.trial_id = t.trial_id) a, "
        "LATERAL (SELECT jsonb_object_agg(param_name, COALESCE("
        "distribution_json::jsonb #> ARRAY['attributes', 'choices', param_value::int::text], "
        "to_jsonb(param_value))) AS v FROM trial_params p WHERE p.trial_id = t.trial_id) p "
        "WHERE EXISTS (SELECT 1 FROM study_user_attributes o "
        "WHERE o.study_id = t.study_id AND o.key = 'uid')"
    )


def own_columns(definition: Mapping[str, Any]) -> list[str]:
    """Return the numbers that a study's trials have besides those of all studies, by name."""
    exclusive = definition.get("data", {}).get("task") == "exclusive"
    added = [one["adds"] for one in definition.get("plugins", ())]
    metrics = [str(name) for adds in added for name in adds.get("metric", ())]
    evaluations = [str(name) for adds in added for name in adds.get("evaluation", ())]
    objective = str(definition.get("objective", OBJECTIVE.name))
    of_class = [objective] if ":" in objective else []
    named = [*(_EXCLUSIVE if exclusive else ()), *of_class, *metrics]
    found = [*named, *(f"test_{name}" for name in named), *evaluations]
    return list(dict.fromkeys(found))


def require_free_columns(definition: Mapping[str, Any], factors: Iterable[str]) -> None:
    """Refuse a plug-in's name that a column of every study has, or a factor."""
    own = [name for name in own_columns(definition) if name.removeprefix("test_") not in _EXCLUSIVE]
    taken = {*OUTER, *TEXT_ATTRIBUTES, *NUMBER_ATTRIBUTES, *RESERVED, *factors}
    for name in own:
        if name in taken:
            raise StudyError(
                f"expected metrics and evaluations under names that no column of trials has, got "
                f"{name!r}: rename it in the plug-in"
            )


def _own(connection: Connection) -> list[str]:
    """Return what the plug-ins of all studies measure."""
    rows = connection.scalars(
        text("SELECT value_json FROM study_user_attributes WHERE key = 'definition'")
    )
    found: dict[str, None] = {}
    for row in rows:
        try:
            found |= dict.fromkeys(own_columns(json.loads(row)))
        except (ValueError, TypeError, LookupError, AttributeError):  # that cannot be read
            continue
    return list(found)


def _number(name: str) -> str:
    literal, quoted = name.replace("'", "''"), name.replace('"', '""')
    return f"(a.v ->> '{literal}')::double precision AS \"{quoted}\""


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
