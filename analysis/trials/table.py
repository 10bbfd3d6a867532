"""The one table every number of the analysis is computed from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.errors import AnalysisError
from analysis.trials.collapsed import FEWEST_RUNS, why_collapsed
from analysis.trials.factors import FactorInfo, codes, from_distribution, from_values
from search.study_plugins import is_traced
from search.training.metric_table import METRICS, OBJECTIVE

COSTS = ("flops", "params", "activations", "latency_ms", "seconds", "peak_memory_bytes")
SEARCHED = ("sample", "replicate")  # roles drawn at random: everything else would bias an estimate
REFINED = (*SEARCHED, "refine")  # and those proposed for what these scored: good to choose from
NOT_FACTORS = frozenset(
    [
        *("trial", "number", "state", "role", "seed", "value", "bin", "architecture"),
        *("architecture_hash", "records_per_second", "device", "host", "git_commit", "failure"),
        *("recipe_hash", "data_hash", "started", "finished", "attempts", "epochs"),
    ]
).union(METRICS, COSTS)


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What is known of a study besides its trials.

    `definition` is the stored study definition, `data` what is known of the data (`synthetic`,
    `records`, `labels`: count per class, `hash`), `notes` what a reader of the table should know,
    `condition` what its networks were chosen by if they are not all of the study's.
    """

    name: str
    planned: int
    definition: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    condition: str = ""

    @property
    def ours(self) -> bool:
        """Whether the study was planned by ecgscale, so that it is known how trials were drawn."""
        return bool(self.definition)

    @property
    def traced(self) -> bool:
        """Whether a plug-in builds the networks, so that their cost was counted by tracing."""
        family = self.definition.get("design_space", {}).get("family")
        return is_traced(self.definition.get("plugins"), family)

    @property
    def synthetic(self) -> bool:
        """Whether the trials were trained on made-up ECGs."""
        return bool(self.data.get("synthetic", False))


@dataclass(frozen=True)
class TrialTable:
    """Trials of one study, one row per trial, with what is needed to read them.

    `frame` has the columns trial, number, state, role, seed, architecture_hash, one column per
    factor, the costs and the metrics; `objective` and `cost` name two of its columns. What is
    computed from randomly drawn networks is of those that `learned`, unless it is of `whole`. What
    is chosen is chosen from `candidates`, the proposed networks among them.
    """

    frame: pd.DataFrame
    factors: tuple[FactorInfo, ...]
    study: StudyFacts
    objective: str = OBJECTIVE.name
    cost: str = "flops"
    maximize: bool = True
    sets_aside: bool = True
    roles: tuple[str, ...] = SEARCHED

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the factors, in the order of the design space."""
        return tuple(factor.name for factor in self.factors)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that at least one complete trial has, the objective first."""
        complete = self.complete()
        known = (self.objective, *(name for name in METRICS if name != self.objective))
        return tuple(name for name in known if name in complete and complete[name].notna().any())

    @property
    def costs(self) -> tuple[str, ...]:
        """Costs that every complete trial has, the cost of the analysis first."""
        complete = self.complete()
        known = (self.cost, *(name for name in COSTS if name != self.cost))
        return tuple(name for name in known if name in complete and complete[name].notna().all())

    def factor(self, name: str) -> FactorInfo:
        """Look a factor up by name."""
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise AnalysisError(
            f"There is no factor '{name}'; the study has {', '.join(self.factor_names)}."
        )

    def complete(self, roles: Sequence[str] | None = None) -> pd.DataFrame:
        """Return complete trials with a finite objective, of some roles or of all."""
        frame = self.frame
        keep = (frame["state"] == "complete") & np.isfinite(frame[self.objective].astype(float))
        if roles is not None:
            keep &= frame["role"].isin(roles)
        return frame[keep]

    @cached_property
    def collapsed(self) -> pd.DataFrame:
        """Complete runs of the table's roles that did not learn, with `why`."""
        runs = self.complete(self.roles)
        why = why_collapsed(runs, self.score(runs).to_numpy(float))
        return runs.assign(why=why)[why != ""]

    @cached_property
    def aside(self) -> pd.DataFrame:
        """Collapsed runs that enter no estimate: all, if they are no majority and can be spared."""
        runs = len(self.complete(self.roles))
        spared = FEWEST_RUNS <= runs >= 2 * len(self.collapsed)
        return self.collapsed if self.sets_aside and spared else self.collapsed.iloc[:0]

    @cached_property
    def learned(self) -> pd.DataFrame:
        """Complete runs of the table's roles but for those set aside."""
        runs = self.complete(self.roles)
        return runs[~runs.index.isin(self.aside.index)]

    @cached_property
    def whole(self) -> TrialTable:
        """The same trials with none set aside."""
        return replace(self, sets_aside=False) if len(self.aside) else self

    @cached_property
    def candidates(self) -> TrialTable:
        """The same trials, with the proposed networks among the designs; itself without any."""
        proposed = not self.complete(("refine",)).empty
        return replace(self, roles=REFINED) if proposed and self.roles == SEARCHED else self

    def failed(self) -> pd.DataFrame:
        """Return trials that failed or ended without a finite objective."""
        frame = self.frame
        ended = frame["state"].isin(["complete", "failed"])
        finite = np.isfinite(frame[self.objective].astype(float)) & (frame["state"] == "complete")
        return frame[ended & ~finite]

    def designs(self) -> pd.DataFrame:
        """Average the `learned` runs of every architecture of the table's roles: one row for each.

        Columns: architecture_hash, factors, costs, metrics (means), repeats (seeds), `score`
        (the objective, turned so that more is better) and `error` (1 − score for a maximised
        objective within [0, 1], the objective itself if minimised, else −score). Sorted by cost.
        """
        return self._designs

    @cached_property
    def _designs(self) -> pd.DataFrame:
        """Group once what every method asks for."""
        complete = self.learned
        means = [*dict.fromkeys((*self.costs, *self.metrics))]
        grouped = complete.groupby("architecture_hash", sort=True)
        firsts = ["architecture"] if "architecture" in complete else []
        designs = grouped[[*self.factor_names, *firsts]].first()
        for name in means:
            designs[name] = grouped[name].mean().astype(float)
        designs["repeats"] = grouped.size()
        designs["score"] = self.score(designs)
        designs["error"] = self.error(designs)
        return designs.reset_index().sort_values(
            [self.cost, "architecture_hash"], ignore_index=True, kind="stable"
        )

    def score(self, frame: pd.DataFrame) -> pd.Series:
        """Turn the objective so that more is better; a study without any result has no column."""
        values = frame.reindex(columns=[self.objective])[self.objective].astype(float)
        return values if self.maximize else -values

    def error(self, frame: pd.DataFrame) -> pd.Series:
        """Turn the objective so that less is better, with 0 as the best conceivable if known."""
        values = frame.reindex(columns=[self.objective])[self.objective].astype(float)
        if not self.maximize:
            return values
        return self._best_conceivable - values

    def from_error(self, error: np.ndarray) -> np.ndarray:
        """Turn errors back into the objective."""
        return np.asarray(self._best_conceivable - error if self.maximize else error)

    @property
    def _best_conceivable(self) -> float:
        """Return 1 for a score within [0, 1], else 0."""
        whole = self.complete()[self.objective].astype(float)
        return 1.0 if whole.between(0.0, 1.0).all() else 0.0

    def log_cost(self, frame: pd.DataFrame) -> np.ndarray:
        """Return ln of the cost (rows,)."""
        return np.asarray(np.log(frame[self.cost].to_numpy(dtype=float)))

    def codes(self, frame: pd.DataFrame) -> np.ndarray:
        """Code the factors of a frame as numbers (rows, factors)."""
        return codes(self.factors, frame)


def minimized(metric: str) -> bool:
    """Tell whether less of a metric is better."""
    return metric in METRICS and not METRICS[metric].higher


def from_frame(
    frame: pd.DataFrame,
    *,
    factors: Sequence[FactorInfo | str] | None = None,
    objective: str = OBJECTIVE.name,
    cost: str = "flops",
    maximize: bool = True,
    study: StudyFacts | None = None,
) -> TrialTable:
    """Check a frame of trials and fill in what it lacks.

    Factors may be given as descriptions or as names of columns, or left to be guessed. A missing
    `state` means complete, a missing `role` sample; architectures are told apart by their factors
    when there is no `architecture_hash`, so equal ones count as replicates.
    """
    if frame.empty:
        raise AnalysisError("The table has no trials: run some before analysing the study.")
    for name in (objective, cost):
        if name not in frame:
            raise AnalysisError(
                f"Expected a column '{name}', but the table has {', '.join(map(str, frame))}: "
                "name the objective and the cost."
            )
    frame = frame.reset_index(drop=True).copy()
    described = _describe(frame, factors, {objective, cost})
    names = [factor.name for factor in described]
    for column, default in (("state", "complete"), ("role", "sample"), ("seed", 0)):
        if column not in frame:
            frame[column] = default
    for column in ("trial", "number"):
        if column not in frame:
            frame[column] = np.arange(len(frame))
    frame["state"] = frame["state"].astype(str).str.lower()
    frame[objective] = pd.to_numeric(frame[objective], errors="coerce")
    frame[cost] = pd.to_numeric(frame[cost], errors="coerce")
    if "architecture_hash" not in frame:
        frame["architecture_hash"] = [
            hashlib.sha256(repr(row).encode()).hexdigest()[:16]
            for row in frame[names].itertuples(index=False, name=None)
        ]
    facts = study or StudyFacts("table", planned=len(frame))
    table = TrialTable(frame, described, facts, objective, cost, maximize)
    complete = table.complete()
    if complete.empty:
        raise AnalysisError(
            f"None of the {len(frame)} trials is complete with a finite '{objective}': "
            "run the study first."
        )
    if not (complete[cost] > 0).all():
        raise AnalysisError(
            f"Expected '{cost}' above zero in every complete trial, but "
            f"{int((~(complete[cost] > 0)).sum())} have none: mend the column or choose another."
        )
    return table


def from_optuna(study: Any, cost: str = "flops") -> TrialTable:
    """Read any single-objective Optuna study whose trials have a cost as user attribute.

    Parameters that not every trial has (conditional ones) and pruned trials, whose scores are of
    shorter training, are left out, and notes say so.
    """
    if len(study.directions) != 1:
        raise AnalysisError(
            f"Expected a study with one objective, but '{study.study_name}' has "
            f"{len(study.directions)}: analyse one of them."
        )
    everything = study.get_trials(deepcopy=False)
    trials = [trial for trial in everything if trial.state.name in ("COMPLETE", "FAIL")]
    complete = [trial for trial in trials if trial.state.name == "COMPLETE"]
    if not complete:
        raise AnalysisError(f"Study '{study.study_name}' has no complete trial: run some first.")
    if any(cost not in trial.user_attrs for trial in complete):
        raise AnalysisError(
            f"Expected the user attribute '{cost}' in every complete trial of "
            f"'{study.study_name}': set it in the objective or name another cost."
        )
    stored = study.user_attrs
    ours = {"definition", "data", "planned"} <= set(stored)
    objective = str(next(iter(study.metric_names or ()), OBJECTIVE.name if ours else "value"))
    shared = [n for n in complete[0].params if all(n in trial.params for trial in complete)]
    rows = [
        {name: trial.params.get(name) for name in shared}
        | {key: _plain(value) for key, value in trial.user_attrs.items()}
        | {"trial": trial.number, "number": trial.number, objective: trial.value}
        | {"state": "complete" if trial.state.name == "COMPLETE" else "failed"}
        for trial in trials
    ]
    return from_frame(
        pd.DataFrame(rows),
        factors=[from_distribution(name, complete[0].distributions[name]) for name in shared],
        objective=objective,
        cost=cost,
        maximize=study.directions[0].name == "MAXIMIZE",
        study=StudyFacts(
            study.study_name,
            stored["planned"] if ours else len(everything),
            stored["definition"] if ours else {},
            stored["data"] if ours else {},
            _notes(everything, complete, shared, ours),
        ),
    )


def _notes(
    everything: Sequence[Any], complete: Sequence[Any], shared: Sequence[str], ours: bool
) -> tuple[str, ...]:
    """Say what of an Optuna study is not in the table, and what the table cannot know."""
    notes = []
    dropped = sorted({name for trial in complete for name in trial.params} - set(shared))
    if dropped:
        notes.append(f"left out, as not every trial has them: {', '.join(dropped)}")
    pruned = sum(trial.state.name == "PRUNED" for trial in everything)
    if pruned:
        notes.append(
            f"{pruned} pruned trials are left out, as their scores are of shorter training; "
            "networks that start slowly are missing for that reason"
        )
    if not ours:
        notes.append(
            "how the trials were drawn is not known: effects, importances and distributions hold "
            "for factors drawn at random; a sampler that searches (TPE, Optuna's default) prefers "
            "some values and ties factors together"
        )
    return tuple(notes)


def _plain(value: object) -> int | float | str:
    """Keep plain values as they are and write the rest as JSON."""
    return value if isinstance(value, int | float | str) else json.dumps(value, sort_keys=True)


def _describe(
    frame: pd.DataFrame, factors: Sequence[FactorInfo | str] | None, others: set[str]
) -> tuple[FactorInfo, ...]:
    """Describe the factors given, or those that the columns look like."""
    if factors is None:
        factors = [
            name
            for name in map(str, frame)
            if name not in NOT_FACTORS | others and frame[name].nunique() > 1
        ]
    missing = [f for f in factors if (f if isinstance(f, str) else f.name) not in frame]
    if missing:
        raise AnalysisError(f"Expected a column for every factor, but {missing} have none.")
    return tuple(
        from_values(factor, frame[factor]) if isinstance(factor, str) else factor
        for factor in factors
    )
