"""Studies as tables: plain SQL into pandas, ten thousand trials in about a second."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy import text

from search.confirm import Confirmation, read_confirmations
from search.database.schema import require_schema
from search.database.storage import Storage
from search.database.view import own_columns
from search.definition import StudyDefinition
from search.errors import StudyError
from search.precision import OLD_NAMES
from search.study import open_study, study_names
from search.study_plugins import declare_stored, is_traced
from search.training.metric_table import ATTRIBUTES, OBJECTIVE, TESTED
from search.training.outputs import Outputs
from search.trials.plan import nuisance_factors

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STATES = {
    "WAITING": "waiting",
    "RUNNING": "running",
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
}
BEFORE = ("role", "seed", "architecture_hash", "architecture")
COSTS = ("flops", "params", "activations")
AFTER = (
    *ATTRIBUTES,
    *("seconds", "validation_seconds"),
    *("records_per_second", "peak_memory_bytes", "micro_batch", "precision", "device", "host"),
    *("latency_ms", "latency_device"),
    *TESTED,
    *("git_commit", "recipe_hash", "data_hash", "recipe", "failure"),
)
WHOLE = {"seed", "flops", "params", "activations"}
TEXTS = {
    *("role", "architecture_hash", "precision", "device", "host", "git_commit", "recipe_hash"),
    *("data_hash", "failure", "latency_device"),
}

AS_STORED = {"architecture", "recipe"}  # JSON that few readers decode

CLASS_NUMBERS = ("f1", "auroc", "auprc", "threshold")

# Grouped per trial by the database: one row per trial comes over, not one per attribute.
TRIALS = """
SELECT t.number, t.state::text AS state, t.datetime_start AS started,
    t.datetime_complete AS finished, v.value
FROM trials t LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0
WHERE t.study_id = :study ORDER BY t.number
"""
GROUPED = """
SELECT t.number, {columns} FROM trials t JOIN {table} x USING (trial_id)
WHERE t.study_id = :study GROUP BY t.number ORDER BY t.number
"""
CURVES = """
SELECT t.number AS trial, i.step AS epoch,
    CASE i.intermediate_value_type::text WHEN 'INF_POS' THEN 'Infinity'
        WHEN 'INF_NEG' THEN '-Infinity' ELSE i.intermediate_value END AS value
FROM trials t JOIN trial_intermediate_values i USING (trial_id)
WHERE t.study_id = :study ORDER BY 1, 2
"""
CLASS_SCORES = """
SELECT t.number AS trial, c.class, c.positives, c.f1, c.auroc, c.auprc, c.threshold
FROM trials t JOIN ecgscale_class_scores c USING (trial_id)
WHERE t.study_id = :study ORDER BY t.number, c.class
"""
TEST_RECORDS = "SELECT labels, patients, sources FROM ecgscale_test_records WHERE study_id = :study"
TEST_OUTPUTS = """
SELECT t.number, o.outputs FROM trials t JOIN ecgscale_test_outputs o USING (trial_id)
WHERE t.study_id = :study ORDER BY t.number
"""


@dataclass(frozen=True, slots=True, eq=False)
class Confirmed:
    """The confirmation of a study: its rounds, its trials, and what the networks put out.

    `trials` are the complete ones of role confirm, as in `read_trials` with the columns
    `learning_rate` and `round` (from 0); `outputs` has their probabilities on the test records by
    trial, `thresholds` (classes,) those chosen on training records, which `exclusive` classes do
    without.
    """

    rounds: tuple[Confirmation, ...]
    trials: pd.DataFrame
    outputs: dict[int, Outputs]
    thresholds: dict[int, np.ndarray]
    classes: tuple[str, ...]
    exclusive: bool = False


class StudyReader:
    """A study's tables; its attributes and its trials are read once, however much is asked for.

    Raises StudyError where there is no such study.
    """

    def __init__(self, name: str, storage: Storage) -> None:
        self.name, self.storage = name, storage
        self.study_id, self.attributes = _study(name, storage)
        declare_stored(self.attributes.get("definition", {}).get("plugins"))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per planned trial; factors, costs and scores are columns.

        Times are UTC. What a trial does not have (yet) is NaN, None or NaT.
        """
        storage, key = self.storage, self.study_id
        known = self.distributions()
        trials = _frame(TRIALS, storage, key).set_index("number", drop=False)
        after = (*(name for name in self.own_columns if name not in AFTER), *AFTER)
        if self.objective != OBJECTIVE.name:
            after = (OBJECTIVE.name, *(name for name in after if name != self.objective))
        keys = [*BEFORE, *COSTS, *after]
        stored = _grouped(storage, key, "trial_user_attributes", "key", "value_json", keys)
        inner = _grouped(storage, key, "trial_params", "param_name", "param_value", list(known))
        columns: dict[str, Any] = {"trial": trials["number"], "number": trials["number"]}
        columns["state"] = trials["state"].map(STATES)
        for name in BEFORE:
            columns[name] = stored[name] if name in AS_STORED else _column(name, stored[name])
        for name, kind in known.items():
            columns[name] = _values(inner[name], kind)
        for name in COSTS:
            columns[name] = _column(name, stored[name])
        columns[self.objective] = trials["value"]
        for name in after:
            columns[name] = stored[name] if name in AS_STORED else _column(name, stored[name])
        columns["precision"] = columns["precision"].replace(OLD_NAMES)
        columns["started"], columns["finished"] = trials["started"], trials["finished"]
        frame = pd.DataFrame({k: pd.Series(v, index=trials.index) for k, v in columns.items()})
        return frame.reset_index(drop=True)

    @cached_property
    def class_scores(self) -> pd.DataFrame:
        """Scores per class of complete trials: trial, class, positives, f1, auroc, …."""
        return _frame(CLASS_SCORES, self.storage, self.study_id)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Validation objective after each epoch: columns trial, epoch (from 1), the objective's."""
        frame = _frame(CURVES, self.storage, self.study_id)
        return frame.rename(columns={"value": self.objective})

    @property
    def objective(self) -> str:
        """Name of the metric that networks are compared by."""
        return str(self.attributes["definition"].get("objective", OBJECTIVE.name))

    @property
    def traced(self) -> bool:
        """Whether a plug-in builds the networks, so that their cost was counted by tracing."""
        family = self.attributes.get("space", {}).get("family")
        return is_traced(self.attributes["definition"].get("plugins"), family)

    @property
    def own_columns(self) -> list[str]:
        """Numbers of this study's trials that not every study's have."""
        return own_columns(self.attributes["definition"])

    def definition(self) -> dict[str, Any]:
        """Return the study's definition, and beside it what `read_definition` says."""
        attributes = self.attributes
        facts = {key: attributes[key] for key in ("data", "factors", "sampling", "planned")}
        if "space" in attributes:
            besides = nuisance_factors(StudyDefinition.from_stored(attributes["definition"]))
            names = {factor.name for factor in besides}
            factors = [factor for factor in attributes["factors"] if factor["name"] not in names]
            facts["design_space"] = {**attributes["space"], "factors": factors}
        return {**attributes["definition"], **facts}

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the factors' Optuna distributions, in the order of the design space."""
        from models import Factor
        from search.trials.distributions import distribution

        return {
            factor["name"]: distribution(Factor.from_dict(factor))
            for factor in self.attributes["factors"]
        }

    def confirmed(self) -> Confirmed:
        """Return what was confirmed so far; without a confirmation there are no rounds."""
        study = open_study(self.name, self.storage)
        rounds = read_confirmations(study)
        frame = self.trials if rounds else pd.DataFrame({"role": [], "state": []})
        planned = frame[frame["role"] == "confirm"].copy()
        # Rounds were planned one after the other, each whole.
        sizes = [round_.trials for round_ in rounds]
        planned["round"] = np.repeat(np.arange(len(sizes)), sizes)[: len(planned)]
        trials = planned[planned["state"] == "complete"].copy()
        usual = study.definition.recipe.learning_rate
        if rounds:
            changes = [
                json.loads(stored) if isinstance(stored, str) else {} for stored in trials["recipe"]
            ]
            trials["learning_rate"] = [float(one.get("learning_rate", usual)) for one in changes]
        with self.storage.connect() as connection:
            key = {"study": self.study_id}
            records = connection.execute(text(TEST_RECORDS), key).one_or_none()
            packed = connection.execute(text(TEST_OUTPUTS), key).all()
        outputs = {row.number: Outputs.decoded(row.outputs, records) for row in packed}
        kept = self.class_scores[self.class_scores["trial"].isin(list(outputs))]
        classes = tuple(study.data["labels"])
        by_trial = kept.pivot(index="trial", columns="class", values="threshold")
        cuts = by_trial.reindex(columns=list(classes)).to_numpy(float)
        thresholds = dict(zip(by_trial.index.astype(int).tolist(), cuts, strict=True))
        exclusive = study.definition.data.exclusive
        return Confirmed(rounds, trials, outputs, thresholds, classes, exclusive)


def read_trials(study_name: str, storage: Storage) -> pd.DataFrame:
    """Read one row per planned trial; factors, costs and scores are columns.

    Times are UTC. What a trial does not have (yet) is NaN, None or NaT.
    """
    return StudyReader(study_name, storage).trials


def read_curves(study_name: str, storage: Storage) -> pd.DataFrame:
    """Read the objective after each epoch: columns trial, epoch (from 1) and its own, macro_f1."""
    return StudyReader(study_name, storage).curves


def read_class_scores(study_name: str, storage: Storage) -> pd.DataFrame:
    """Read the scores per class of complete trials: trial, class, positives, f1, auroc, …."""
    return StudyReader(study_name, storage).class_scores


def read_confirmed(study_name: str, storage: Storage) -> Confirmed:
    """Read what was confirmed so far; without a confirmation there are no rounds."""
    return StudyReader(study_name, storage).confirmed()


def read_definition(study_name: str, storage: Storage) -> dict[str, Any]:
    """Read a study's definition, and beside it `data`, `factors`, `sampling` and `planned`.

    `data` has hash, sample_rate_hz, samples, leads, outputs, synthetic, records, splits and labels
    (class to count). `design_space` is what `models.Space.from_dict` takes, wherever the space's
    file is now.
    """
    return StudyReader(study_name, storage).definition()


def _study(name: str, storage: Storage) -> tuple[int, dict[str, Any]]:
    require_schema(storage)
    with storage.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT s.study_id, a.key, a.value_json FROM studies s "
                "JOIN study_user_attributes a USING (study_id) WHERE s.study_name = :name"
            ),
            {"name": name},
        ).all()
    if not rows:
        names = ", ".join(study_names(storage)) or "none"
        raise StudyError(f"expected a study in {storage.label}, got {name}: there are {names}")
    return rows[0].study_id, {row.key: json.loads(row.value_json) for row in rows}


def _frame(statement: str, storage: Storage, study_id: int) -> pd.DataFrame:
    with storage.connect() as connection:
        frame = pd.read_sql_query(text(statement), connection, params={"study": study_id})
    # A column without any value comes without a type.
    numbers = {name: float for name in ("value", *CLASS_NUMBERS) if name in frame}
    times = {name: "datetime64[us]" for name in ("started", "finished") if name in frame}
    return frame.astype({**numbers, **times})


def _grouped(
    storage: Storage, study_id: int, table: str, key: str, value: str, names: list[str]
) -> pd.DataFrame:
    """Turn rows of keys and values into one row per trial; absent keys are None."""
    columns = ", ".join(
        f"max({value}) FILTER (WHERE {key} = :k{i}) AS c{i}" for i in range(len(names))
    )
    statement = text(GROUPED.format(columns=columns, table=table))
    values = {"study": study_id} | {f"k{i}": name for i, name in enumerate(names)}
    with storage.connect() as connection:
        frame = pd.read_sql_query(statement, connection, params=values, index_col="number")
    frame.columns = pd.Index(names)
    return frame


def _column(name: str, values: pd.Series) -> pd.Series:
    """Decode JSON scalars."""
    if name in TEXTS:
        decoded = [json.loads(value) if isinstance(value, str) else None for value in values]
        return pd.Series(decoded, index=values.index, dtype=object)
    numbers = pd.to_numeric(values.where(values != "null"), errors="coerce").astype(float)
    return numbers.astype(np.int64) if name in WHOLE and numbers.notna().all() else numbers


def _values(inner: pd.Series, known: BaseDistribution) -> pd.Series:
    """Turn Optuna's inner floats into the factor's own values, where a trial has the factor."""
    from optuna.distributions import CategoricalDistribution, IntDistribution

    inner = inner.dropna()  # a reference has no factors, but perhaps a drawn learning rate
    if isinstance(known, CategoricalDistribution):
        choices = known.choices
        kinds = {type(choice) for choice in choices}
        picked = pd.Series([choices[int(i)] for i in inner], index=inner.index, dtype=object)
        return picked.astype(kinds.pop()) if kinds in ({int}, {float}, {bool}) else picked
    return inner.astype(np.int64) if isinstance(known, IntDistribution) else inner
