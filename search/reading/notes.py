"""Notes that optuna-dashboard shows: what a study is, and the network behind every trial.

Optuna's dashboard keeps notes of trials among the study's system attributes, in pieces, and looks
through all of them for every trial that has one: the first thousand trials get theirs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, text

from definitions.plugins import Registry
from models import ModelError
from models.shape import Shape
from search.definition import StudyDefinition
from search.training.evaluation import EVALUATIONS
from search.training.metric_table import METRICS, metrics_of, objective_metric
from search.trials.plan import PlannedTrial

T = TypeVar("T")
PIECE = 2045  # characters, as optuna-dashboard cuts
MOST_NOTED = 1000
VERSION_KEY, TEXT_KEY = "dashboard:note_ver", "dashboard:note_str:"

ADD_TRIAL_NOTES = """
INSERT INTO study_system_attributes (study_id, key, value_json)
SELECT :study, 'dashboard:' || t.trial_id || ':' || n.key, n.value
FROM json_to_recordset(CAST(:rows AS json)) AS n(number int, key text, value text)
JOIN trials t ON t.study_id = :study AND t.number = n.number
ON CONFLICT (study_id, key) DO NOTHING
"""
ADD_STUDY_NOTE = """
INSERT INTO study_system_attributes (study_id, key, value_json)
SELECT :study, key, value::text FROM json_each(CAST(:values AS json))
WHERE NOT EXISTS (SELECT 1 FROM study_system_attributes
    WHERE study_id = :study AND key = 'dashboard:note_ver')
"""
TRIAL_NOTES = """
SELECT EXISTS (SELECT 1 FROM study_system_attributes WHERE study_id = :study AND key LIKE :pattern)
"""
COLUMNS = {
    "flops": "2 × multiply-accumulates of one forward pass of one record, exact",
    "params, activations": "parameters; elements of all convolutions' outputs",
    "role": "sample (drawn from the design space), replicate (a further seed of the same network), "
    "control (training labels shuffled: its AUROC must be near 0.5), reference (a published CNN), "
    "confirm (fresh seed, scored on test records as well)",
    "seconds, records_per_second": "the whole trial; training alone",
}


def study_note(definition: StudyDefinition, data: Mapping[str, Any]) -> str:
    """Return the study's note in Markdown."""
    sample, splits = definition.sample, data["splits"]
    low, high = (f"{value / 1e6:g}" for value in sample.flops)
    plan = [
        "the network of its recipe's init"
        if definition.recipe.init_hash
        else f"{sample.architectures} networks of the space {_space(definition.space)}, "
        f"{low} to {high} MFLOPs in {sample.bins} bins",
    ]
    again, controls = definition.replicates, definition.controls.shuffled_labels
    if again.architectures:
        plan.append(f"{again.architectures} of them again, further seeds each: {again.seeds}")
    if controls:
        plan.append(f"{controls} on shuffled labels")
    lines = [
        f"# {definition.name}",
        f"**Plan**: {'; '.join(plan)}; seed {definition.seed}.",
        f"**Data**: {data['records']:,} records ({splits['train']:,} to train, "
        f"{splits['validation']:,} to validate, {splits['test']:,} to test) of "
        f"{data['samples']} samples at {data['sample_rate_hz']:g} Hz, {data['outputs']} classes; "
        f"store {str(data['hash'])[:16]}."
        + (" **Synthetic ECGs: out of a generator.**" if data["synthetic"] else ""),
        f"**Recipe**: {definition.recipe.hash}, the same for all trials: "
        + ", ".join(
            f"{key} {_value(value)}" for key, value in definition.recipe.described().items()
        )
        + ".",
        "## Columns",
        _table(("column", "meaning"), list(_columns(definition).items())),
    ]
    return "\n\n".join(lines)


def _columns(definition: StudyDefinition) -> dict[str, str]:
    """Return the columns of a study's trials with their meanings, the metrics first."""
    first = objective_metric(definition.objective)
    metrics = [*metrics_of(exclusive=definition.data.exclusive), *_added(definition, METRICS)]
    return {
        f"value, {first.name}": f"{first.meaning}, on the validation records",
        **{
            one.name: f"{one.meaning}, on the validation records"
            for one in metrics
            if one.name != first.name
        },
        **{one.name: one.meaning for one in _added(definition, EVALUATIONS)},
        **COLUMNS,
        "intermediate values": f"{first.name} on some of the validation records after each epoch",
    }


def _added(definition: StudyDefinition, registry: Registry[T]) -> list[T]:
    """Return what the plug-ins of a study add to a registry, loaded here or not."""
    names = [name for one in definition.plugins for name in one.adds.get(registry.kind, ())]
    return [registry[name] for name in names]


def trial_note(trial: PlannedTrial, shape: Shape) -> str:
    """Return a trial's note: its role, its cost, its network stage by stage."""
    try:
        cost, sections = trial.architecture.cost(**shape), trial.architecture.describe(**shape)
    except ModelError as error:  # of a plug-in that is not loaded
        return f"**{trial.role}**, seed {trial.seed}: {error}"
    rows = [
        (
            row.stage,
            str(row.blocks or ""),
            str(row.width),
            str(row.length),
            f"{row.params:,}",
            f"{row.flops / 1e6:.3g}",
        )
        for row in sections
    ]
    head = (
        f"**{trial.role}**, seed {trial.seed}: {cost.flops / 1e6:.4g} MFLOPs, "
        f"{cost.params:,} parameters, {cost.activations:,} activations, "
        f"{trial.architecture.counted}"
    )
    columns = ("stage", "blocks", "channels", "length", "parameters", "MFLOPs")
    return f"{head}\n\n{_table(columns, rows)}"


def note_attributes(note: str) -> dict[str, Any]:
    """Return a note as the attributes that optuna-dashboard keeps of a study's."""
    pieces = range(0, len(note), PIECE)
    texts = {f"{TEXT_KEY}{i}": note[start : start + PIECE] for i, start in enumerate(pieces)}
    return {VERSION_KEY: 1, **texts}


def add_study_note(connection: Connection, study_id: int, note: str) -> None:
    """Write a study's note unless it has one."""
    values = {"study": study_id, "values": json.dumps(note_attributes(note))}
    connection.execute(text(ADD_STUDY_NOTE), values)


def has_trial_notes(connection: Connection, study_id: int) -> bool:
    """Say whether any trial has a note."""
    values = {"study": study_id, "pattern": r"dashboard:%:note\_ver"}
    return bool(connection.scalar(text(TRIAL_NOTES), values))


def add_trial_notes(
    connection: Connection, study_id: int, trials: Sequence[PlannedTrial], shape: Shape
) -> None:
    """Write the notes of trials that have none, in one statement."""
    rows = [
        {
            "number": trial.index,
            "key": key.removeprefix("dashboard:"),
            "value": json.dumps(value),
        }
        for trial in trials
        if trial.index < MOST_NOTED
        for key, value in note_attributes(trial_note(trial, shape)).items()
    ]
    connection.execute(text(ADD_TRIAL_NOTES), {"study": study_id, "rows": json.dumps(rows)})


def _space(name: str) -> str:
    """Name a space; of a file only its name, not where it lay."""
    return name.rsplit("/", 1)[-1].removesuffix(".toml")


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
