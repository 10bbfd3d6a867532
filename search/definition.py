"""What a study is: a design space, a sample, replicates, controls, one recipe, one seed."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from data_pipeline.splits import LOW_DATA
from search.errors import StudyError
from search.training.recipe import Recipe

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
Section = TypeVar("Section", "DataPlan", "SamplePlan", "ReplicatePlan", "ControlPlan")


@dataclass(frozen=True, slots=True)
class DataPlan:
    """Which of the store's records are used.

    train_fraction: share of the training records, one of data_pipeline.splits.LOW_DATA.
    without_source: a source to train and validate without, and to test on alone; "" for none.
    """

    train_fraction: float = 1.0
    without_source: str = ""


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """How many networks, from what FLOPs range, in how many bins of log FLOPs.

    learning_rate: draw each network's own from this range, log-uniformly and independently of its
    factors, in place of the recipe's: a nuisance factor, so that no shape is good by its rate only.
    """

    architectures: int = 48
    flops: tuple[float, float] = (2e6, 1e8)
    bins: int = 8
    learning_rate: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class ReplicatePlan:
    """How many networks of the sample are trained again, each with how many further seeds."""

    architectures: int = 0
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class ControlPlan:
    """How many networks of the sample are trained again on shuffled labels."""

    shuffled_labels: int = 0


@dataclass(frozen=True, slots=True)
class StudyDefinition:
    """Everything that decides which trials a study has and how they are trained."""

    name: str
    space: str = "ecg-cnn"
    seed: int = 0
    data: DataPlan = field(default_factory=DataPlan)
    sample: SamplePlan = field(default_factory=SamplePlan)
    replicates: ReplicatePlan = field(default_factory=ReplicatePlan)
    controls: ControlPlan = field(default_factory=ControlPlan)
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise StudyError(
                "expected a study name of letters, digits, '.', '_' and '-' (at most 100), "
                f"got {self.name!r}: choose another"
            )
        share = self.data.train_fraction
        _expect(share in LOW_DATA, "data.train_fraction", f"one of {LOW_DATA}", share)
        low, high = self.sample.flops
        _expect(0 < low < high, "sample.flops", "[low, high] with 0 < low < high", [low, high])
        if (rates := self.sample.learning_rate) is not None:
            holds = 0 < rates[0] < rates[1] <= 1
            _expect(holds, "sample.learning_rate", "[low, high] with 0 < low < high ≤ 1", rates)
        _at_least(1, "sample.architectures", self.sample.architectures)
        _at_least(1, "sample.bins", self.sample.bins)
        _at_least(0, "seed", self.seed)
        _at_least(0, "replicates.architectures", self.replicates.architectures)
        _at_least(1, "replicates.seeds", self.replicates.seeds)
        _at_least(0, "controls.shuffled_labels", self.controls.shuffled_labels)
        most = max(self.replicates.architectures, self.controls.shuffled_labels, self.sample.bins)
        _expect(
            most <= self.sample.architectures,
            "sample.architectures",
            f"at least {most}, as bins, replicates and controls need",
            self.sample.architectures,
        )

    @property
    def planned(self) -> int:
        """Number of trials."""
        again = self.replicates.architectures * self.replicates.seeds
        return self.sample.architectures + again + self.controls.shuffled_labels

    @property
    def hash(self) -> str:
        """16 hex digits that stand for every field but the name."""
        content = {key: value for key, value in self.to_dict().items() if key != "name"}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain data."""
        plain = asdict(self)
        plain["sample"]["flops"] = list(self.sample.flops)
        if self.sample.learning_rate is not None:
            plain["sample"]["learning_rate"] = list(self.sample.learning_rate)
        plain["recipe"] = self.recipe.to_dict()
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StudyDefinition:
        """Build a definition from plain data; StudyError on an unknown key or wrong value."""
        known = {f.name for f in fields(cls)}
        _known("a study definition", values, known)
        if "name" not in values:
            raise StudyError('expected a study definition with a name, got none: add name = "…"')
        given = dict(values)
        for name, kind, what in (
            ("name", str, "a text in quotes"),
            ("space", str, "a text in quotes"),
            ("seed", int, "a whole number"),
        ):
            if name in given:
                _expect(type(given[name]) is kind, name, what, given[name])
        for name in ("data", "sample", "replicates", "controls", "recipe"):
            part = given.setdefault(name, {})
            _expect(isinstance(part, Mapping), name, "a table of keys and values", part)
        given["data"] = _section(DataPlan, "data", given["data"])
        given["sample"] = _section(SamplePlan, "sample", given["sample"])
        given["replicates"] = _section(ReplicatePlan, "replicates", given["replicates"])
        given["controls"] = _section(ControlPlan, "controls", given["controls"])
        given["recipe"] = Recipe.from_dict(given["recipe"])
        return cls(**given)

    @classmethod
    def from_toml(cls, path: Path) -> StudyDefinition:
        """Read a definition; without a name it is called like its file."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise StudyError(
                f"expected a study definition at {path}, got: {error.strerror}"
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StudyError(f"expected TOML in {path}, got something else: {error}") from None
        space = values.get("space")
        if isinstance(space, str) and space.endswith(".toml"):
            values["space"] = str(path.parent / space)  # a file beside the definition
        try:
            return cls.from_dict({"name": path.stem, **values})
        except StudyError as error:
            raise StudyError(f"{path}: {error}") from None


def parse_count(value: Any, name: str = "number") -> float:
    """Read 3e6, "3M" or "1.5 G" as a number."""
    match = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([kMGT]?)\s*", str(value))
    try:
        if match is None or isinstance(value, bool):
            raise ValueError
        return float(match[1]) * UNITS.get(match[2], 1.0)
    except ValueError:
        raise StudyError(
            f"expected {name} as a number such as 3e6 or '3M' (k, M, G or T), got {value!r}: "
            "change it"
        ) from None


def _section(kind: type[Section], name: str, values: Mapping[str, Any]) -> Section:
    types = {f.name: f.default for f in fields(kind)}
    _known(f"[{name}]", values, set(types))
    given = dict(values)
    for key, value in given.items():
        if key in ("flops", "learning_rate"):
            if key == "learning_rate" and value is None:
                continue
            pair = value if isinstance(value, list | tuple) and len(value) == 2 else None
            _expect(pair is not None, f"{name}.{key}", "[low, high]", value)
            given[key] = tuple(parse_count(part, f"{name}.{key}") for part in pair or ())
        else:
            kind_of_value = type(types[key])
            if kind_of_value is float and type(value) is int:
                given[key] = float(value)
                continue
            what = {int: "a whole number", float: "a number", str: "a text"}[kind_of_value]
            _expect(type(value) is kind_of_value, f"{name}.{key}", what, value)
    return kind(**given)


def _known(what: str, values: Mapping[str, Any], known: set[str]) -> None:
    for key in values:
        if key not in known:
            raise StudyError(
                f"expected {', '.join(sorted(known))} in {what}, got {key!r}: rename or remove it"
            )


def _at_least(low: int, name: str, value: int) -> None:
    _expect(value >= low, name, f"at least {low}", value)


def _expect(holds: bool, name: str, what: str, value: object) -> None:
    if not holds:
        raise StudyError(f"expected {name} to be {what}, got {value!r}: change the definition")
