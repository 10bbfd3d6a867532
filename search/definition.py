"""What a study is: a design space, a sample, replicates, controls, one recipe, one seed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, StrictFloat, StrictInt, StrictStr

from data_pipeline.splits import LOW_DATA
from definitions import build, definition, key, number, shown
from definitions.toml import read_toml
from models import ModelError, load_space
from search.errors import StudyError
from search.study_plugins import EXPECTED, UsedPlugin, declare_stored, load_listed
from search.training.metric_table import OBJECTIVE, objective_metric
from search.training.recipe import Recipe
from search.training.scores import Scoring

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
MOST_TRIALS = 20_000
MOST_FLOPS = 1e15
LARGEST_SEED = 10**15
TESTED_OBJECTIVES = ("macro_f1", "macro_auroc", "macro_auprc")
"""Objectives that networks can be compared by on test records as well."""


def require_name(name: str) -> None:
    """Refuse what cannot be a study's name: it becomes part of paths, scripts and manifests."""
    if not NAME.fullmatch(name):
        raise StudyError(
            "expected a name of letters, digits, '.', '_' and '-', at most 100 and the first a "
            f"letter or digit, got {name[:120]!r}: choose another"
        )


def parse_count(value: Any, name: str = "number") -> float:
    """Read 3e6, "3M" or "1.5 G" as a number."""
    try:
        text = str(value) if isinstance(value, int | float | str) else ""
        match = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([kMGT]?)\s*", text)
        if match is None or isinstance(value, bool):
            raise ValueError
        count = float(match[1]) * UNITS.get(match[2], 1.0)
        if count > MOST_FLOPS:
            raise ValueError
        return count
    except ValueError:
        raise StudyError(
            f"expected {name} as a number up to {number(MOST_FLOPS)}, such as 3e6 or '3M' "
            f"(k, M, G or T), got {shown(value)}: change it"
        ) from None


def _count(value: Any) -> float:
    try:
        return parse_count(value)
    except StudyError:
        raise ValueError from None  # the key that holds it says what it may be


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not 0 < pair[0] < pair[1]:
        raise ValueError
    return pair


def _low_data_share(share: float) -> float:
    if share not in LOW_DATA:
        raise ValueError
    return share


Count = Annotated[float, BeforeValidator(_count)]
Rate = Annotated[StrictFloat, key("A learning rate.", gt=0, le=1)]


@definition(StudyError, "[data]")
class DataPlan:
    """Which of the store's records are used."""

    train_fraction: Annotated[
        StrictFloat,
        AfterValidator(_low_data_share),
        key(
            "Share of the training records; each holds the smaller ones.",
            expected=f"one of {', '.join(f'{share:g}' for share in LOW_DATA)}",
        ),
    ] = 1.0
    without_source: Annotated[
        StrictStr,
        key('Source to train without, and to test on alone; "": none.', max_length=200),
    ] = ""
    task: Annotated[
        Literal["multilabel", "exclusive"],
        key(
            "Whether classes go together, or exclude each other (softmax): records that have not "
            "exactly one are then excluded."
        ),
    ] = "multilabel"

    @property
    def exclusive(self) -> bool:
        """Whether every record has exactly one class."""
        return self.task == "exclusive"


@definition(StudyError, "[sample]")
class SamplePlan:
    """How many networks, from what FLOPs range, in how many bins of log FLOPs.

    learning_rate: a nuisance factor, drawn log-uniformly and independently of all others, so that
    no shape is good by its rate only.
    """

    architectures: Annotated[
        StrictInt, key("Different networks, as many in every bin.", ge=1, le=MOST_TRIALS)
    ] = 48
    flops: Annotated[
        tuple[Count, Count],
        AfterValidator(_rising),
        key(
            "Range of the forward FLOPs of one record.",
            expected="[low, high] with 0 < low < high ≤ 1e15, each like 3e6 or '3M' (k, M, G, T)",
        ),
    ] = (2e6, 1e8)
    bins: Annotated[StrictInt, key("Bins of log FLOPs, equally wide.", ge=1, le=MOST_TRIALS)] = 8
    learning_rate: Annotated[
        Annotated[tuple[Rate, Rate], AfterValidator(_rising)] | None,
        key(
            "Range to draw each network's learning rate from; else that of the recipe.",
            expected="[low, high] with 0 < low < high ≤ 1",
        ),
    ] = None


@definition(StudyError, "[replicates]")
class ReplicatePlan:
    """How many networks of the sample are trained again, each with how many further seeds."""

    architectures: Annotated[
        StrictInt, key("Networks of the sample to train again.", ge=0, le=MOST_TRIALS)
    ] = 0
    seeds: Annotated[StrictInt, key("Further seeds of each.", ge=1, le=1_000)] = 1


@definition(StudyError, "[controls]")
class ControlPlan:
    """How many networks of the sample are trained again on shuffled labels."""

    shuffled_labels: Annotated[
        StrictInt,
        key("Networks to train again on shuffled training labels.", ge=0, le=MOST_TRIALS),
    ] = 0


@definition(StudyError, "[scores]")
class ScorePlan:
    """By what confirmed networks are compared on the test records, declared before they are read.

    primary: the metric that decides; the others are told beside it. "frequent" metrics are over
    the classes with enough positive test records.
    """

    primary: Annotated[
        Literal[
            "macro_f1",
            "macro_auroc",
            "macro_auprc",
            "frequent_macro_f1",
            "frequent_macro_auroc",
            "frequent_macro_auprc",
        ],
        key("Metric that decides on test records; frequent: without tiny classes."),
    ] = "macro_f1"
    fewest_positives: Annotated[
        StrictInt, key("Positive test records of a class that is frequent.", ge=1, le=1_000_000)
    ] = 5


@definition(StudyError, "a study definition")
class StudyDefinition:
    """Everything that decides which trials a study has and how they are trained."""

    name: Annotated[
        StrictStr,
        key(
            "Name of the study; else that of the file.",
            expected="a study name of letters, digits, '.', '_' and '-' (at most 100)",
            pattern=f"^{NAME.pattern}$",
        ),
    ]
    space: Annotated[
        StrictStr,
        key(
            "Design space: ecg-cnn, ecg-cnn-2, ecg-hybrid, regnet1d, or a TOML file beside this "
            "one.",
            min_length=1,
            max_length=4096,
        ),
    ] = "ecg-cnn"
    seed: Annotated[StrictInt, key("Decides which networks are drawn.", ge=0, le=LARGEST_SEED)] = 0
    objective: Annotated[
        StrictStr,
        key(
            "Metric that networks are compared by.",
            expected="a metric, a plug-in's, or that of one class, as in 'f1:AF' (f1, auroc, "
            "auprc)",
            max_length=200,
        ),
    ] = OBJECTIVE.name
    plugins: Annotated[
        tuple[UsedPlugin, ...],
        key("Python of your own that adds families, metrics and so on.", expected=EXPECTED),
    ] = ()
    data: DataPlan = DataPlan()
    sample: SamplePlan = SamplePlan()
    replicates: ReplicatePlan = ReplicatePlan()
    controls: ControlPlan = ControlPlan()
    scores: ScorePlan = ScorePlan()
    recipe: Recipe = Recipe()

    def __post_init__(self) -> None:
        if self.recipe.init and not self.recipe.init_hash:
            raise StudyError(
                "expected recipe.init with the hash of its content, got none: read the definition "
                "with StudyDefinition.from_toml, or make the recipe with Recipe.starting_from"
            )
        if self.recipe.init_hash:
            self._require_one_network()
        most = max(self.replicates.architectures, self.controls.shuffled_labels, self.sample.bins)
        if most > self.sample.architectures:
            raise StudyError(
                f"expected sample.architectures to be at least {most}, as bins, replicates and "
                f"controls need, got {self.sample.architectures}: change one of them"
            )
        check_planned(self.planned)
        metric = objective_metric(self.objective)
        if metric.exclusive and not self.data.exclusive:
            raise StudyError(
                f"expected an objective for classes that go together, got {self.objective!r}, "
                'which is of exclusive ones: change it, or [data] task to "exclusive"'
            )

    @property
    def scoring(self) -> Scoring:
        """By what the study's networks are judged."""
        return Scoring(self.objective, tuple(one.name for one in self.plugins))

    @property
    def maximize(self) -> bool:
        """Whether more of the objective is better."""
        return objective_metric(self.objective).higher

    def _require_one_network(self) -> None:
        """Refuse a sample beside the one network that its weights fit."""
        once = ReplicatePlan(seeds=self.replicates.seeds)
        if (self.sample, self.controls, self.replicates) != (SamplePlan(), ControlPlan(), once):
            raise StudyError(
                "expected no [sample], no [controls] and no replicates.architectures beside "
                "recipe.init, whose network is the only one, got some: remove them; "
                "replicates.seeds says how often it is trained"
            )

    @property
    def planned(self) -> int:
        """Number of trials."""
        if self.recipe.init_hash:
            return self.replicates.seeds
        again = self.replicates.architectures * self.replicates.seeds
        return self.sample.architectures + again + self.controls.shuffled_labels

    @property
    def hash(self) -> str:
        """16 hex digits that stand for every field but the name."""
        content = {key: value for key, value in self.to_dict().items() if key != "name"}
        content["recipe"] = self.recipe.hashed()
        if self.scores == ScorePlan():  # as when they could not be chosen
            del content["scores"]
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain data, but for those that once went without saying."""
        plain = asdict(self)
        for part, name in ((plain, "objective"), (plain, "plugins"), (plain["data"], "task")):
            usual = {"objective": OBJECTIVE.name, "plugins": (), "task": "multilabel"}[name]
            if part[name] == usual:
                del part[name]
        plain["sample"]["flops"] = list(self.sample.flops)
        if self.sample.learning_rate is not None:
            plain["sample"]["learning_rate"] = list(self.sample.learning_rate)
        plain["recipe"] = self.recipe.to_dict()
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StudyDefinition:
        """Build a definition from plain data; StudyError on an unknown key or wrong value.

        What follows from other keys unless it is given: a loss for exclusive classes, and the
        objective, if it can, as the score that decides on test records.
        """
        data, objective = values.get("data"), values.get("objective")
        if isinstance(data, Mapping) and data.get("task") == "exclusive":
            values = _following(values, "recipe", "loss", "cross_entropy")
        if objective in TESTED_OBJECTIVES:
            values = _following(values, "scores", "primary", objective)
        return build(cls, values)

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> StudyDefinition:
        """Build the definition of a study in a database; one of before keeps the rules it had.

        What its plug-ins add is known by name from here on, also where they are not loaded.
        """
        declare_stored(values.get("plugins"))
        decay = {"weight_decay": 0.05, "weight_decay_per": "step"}
        recipe = {"empty_classes": "challenge", **decay, **values.get("recipe", {})}
        return cls.from_dict({**values, "recipe": recipe})

    @classmethod
    def from_toml(cls, path: Path) -> StudyDefinition:
        """Read a definition and check its space; without a name it is called like its file."""
        values = read_toml(path, "a study definition", StudyError)
        space = values.get("space")
        if isinstance(space, str) and space.endswith(".toml"):
            values["space"] = str(path.parent / space)  # a file beside the definition
        listed = values.get("plugins", [])
        values["plugins"] = load_listed(listed, path.parent) if isinstance(listed, list) else listed
        try:
            defined = cls.from_dict({"name": path.stem, **_with_init(values, path.parent)})
            _require_period(values.get("recipe", {}))
            load_space(defined.space)
        except (StudyError, ModelError) as error:
            raise StudyError(f"{path}: {error}") from None
        return defined


def _require_period(recipe: Mapping[str, Any]) -> None:
    """Refuse a weight decay that does not say of what: files of before meant each step."""
    if "weight_decay" in recipe and "weight_decay_per" not in recipe:
        raise StudyError(
            "expected recipe.weight_decay_per beside recipe.weight_decay, got none: say "
            '"epoch", as is usual now, or "step", as it was before that was a choice'
        )


def _with_init(values: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """Let a recipe that starts from a network say which, by the file's content."""
    from search.training.start import start_values

    recipe = values.get("recipe")
    init = recipe.get("init") if isinstance(recipe, Mapping) else None
    if not (isinstance(recipe, Mapping) and isinstance(init, str) and init):
        return values
    known = str(recipe.get("init_hash", ""))
    return {**values, "recipe": {**recipe, **start_values(folder / init, known)}}


def _following(values: Mapping[str, Any], section: str, name: str, value: Any) -> dict[str, Any]:
    """Give a key of a section a value that follows from another, unless it has one."""
    part = values.get(section, {})
    told = {name: value, **part} if isinstance(part, Mapping) else part
    return {**values, section: told}


def check_planned(trials: int) -> None:
    """Refuse a plan that nobody can run, before memory and time are spent on it."""
    if trials > MOST_TRIALS:
        raise StudyError(
            f"expected at most {MOST_TRIALS:,} planned trials, got {trials:,}: plan fewer networks "
            "or seeds"
        )
