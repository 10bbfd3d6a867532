"""Networks that follow a scaling law at a budget, and networks of equal cost that flout it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from analysis.questions.laws.shape import ShapeLaw, shape_laws
from analysis.stats.refusal import Refusal
from analysis.stats.regression import fit_spline
from analysis.trials.factors import Level, plain
from analysis.trials.table import TrialTable
from models.shape import Shape

if TYPE_CHECKING:
    from models import Architecture, Space

NEAR = 0.5  # standard deviations of the sampled factor's logarithm, root mean square
FAR = 1.0
TOLERANCE = 0.10  # of the budget, and of the FLOPs of the network that is flouted
OTHERS = 30
WALKED = 5


class Scaled(NamedTuple):
    """Networks near the law's optimum, and each one's counterpart of equal cost far from it."""

    law: tuple[Architecture, ...]
    against: tuple[Architecture, ...]


Laws = Sequence[ShapeLaw | Refusal]


def standing(laws: Laws) -> tuple[ShapeLaw, ...]:
    """Return the laws that passed their gates."""
    return tuple(law for law in laws if isinstance(law, ShapeLaw) and law.stands)


def best_values(laws: Laws, budget: float) -> dict[str, float] | Refusal:
    """Return the best value of each factor of the laws that stand at a cost they reach."""
    if not standing(laws):
        return Refusal("laws.none_stands", {"laws": [_why_not(law) for law in laws]})
    best: dict[str, float] = {}
    for law in standing(laws):
        about = {"factors": law.factors, "budget": budget}
        costs = law.curve["cost"]
        if not costs.min() <= budget <= costs.max():
            ends = {"lowest": float(costs.min()), "highest": float(costs.max())}
            return Refusal("laws.beyond", about | ends)
        nearest = law.curve[np.isclose(costs, costs.iloc[(costs / budget - 1).abs().argmin()])]
        if not nearest["inside"].all():
            return Refusal("laws.outside", about)
        best |= law.optimum(budget)
    return best


def _why_not(law: ShapeLaw | Refusal) -> Refusal:
    return law if isinstance(law, Refusal) else law.refusal


def study_space(table: TrialTable) -> Space | None:
    """Return the design space a study was drawn in; None where it is not one that can be built."""
    from models import ModelError, Space, load_space

    definition = table.study.definition
    try:
        if "design_space" in definition:  # as it was resolved when the study was made
            space = Space.from_dict(definition["design_space"])
        else:
            space = load_space(str(definition["space"]))
    except (KeyError, ModelError, OSError):
        return None
    return space if {f.name for f in space.factors} == set(_shape_factors(table)) else None


def _shape_factors(table: TrialTable) -> list[str]:
    """Name the factors that make the network."""
    return [factor.name for factor in table.factors if not factor.nuisance]


def study_shape(table: TrialTable) -> Shape:
    """Return the shape a study was planned for."""
    return Shape.of({**table.study.definition, **table.study.data})


def scaled_architectures(
    table: TrialTable,
    laws: Laws,
    budget: float,
    space: Space,
    shape: Shape,
    *,
    count: int = 3,
    seed: int = 0,
) -> Scaled | Refusal:
    """Build `count` networks of a budget by the law and as many of equal FLOPs against it.

    The factors outside the law are taken from networks of the study that did well for their
    cost, the same in both networks of a pair. Within a pair the law's factors move along equal
    FLOPs, held by the size factor that the FLOPs depend on most.

    Refused where no law stands, none reaches the budget, or no such pair exists there.
    """
    names = {factor.name for factor in space.factors}
    if names != set(_shape_factors(table)):
        return Refusal("laws.other_space", {"space": space.name})
    best, designs = best_values(laws, budget), table.designs()
    if isinstance(best, Refusal):
        return best
    spread = {name: float(np.log(designs[name].to_numpy(float)).std()) for name in best}
    balance = _balance(table, designs, best)
    if balance is None:
        return Refusal("laws.no_balance")
    found = _Budget(table, designs, best, spread, balance, budget, space, shape)
    return found.pairs(count, np.random.default_rng(seed))


def law_network(
    table: TrialTable, budget: float, *, bootstraps: int = 400, seed: int = 0
) -> Architecture | Refusal:
    """Return the network that the study's scaling laws give at a budget; it was not trained."""
    laws = shape_laws(table, bootstraps=bootstraps, seed=seed)
    space = study_space(table)
    if space is None:
        return Refusal("laws.no_space")
    made = scaled_architectures(table, laws, budget, space, study_shape(table), count=1, seed=seed)
    return made if isinstance(made, Refusal) else made.law[0]


def _balance(table: TrialTable, designs: pd.DataFrame, best: Mapping[str, float]) -> str | None:
    """Return the size factor whose logarithm the cost follows most, to hold the cost with."""
    c = table.log_cost(designs)
    sizes = {
        factor.name: abs(float(np.corrcoef(factor.code(designs[factor.name]), c)[0, 1]))
        for factor in table.factors
        if factor.logarithmic
        and factor.kind != "choice"
        and not factor.nuisance
        and designs[factor.name].nunique() > 1
    }
    if set(best) <= set(sizes) and len(best) == 1:  # its value is the law's, so another must give
        sizes = {name: follows for name, follows in sizes.items() if name not in best}
    return max(sizes, key=lambda name: sizes[name], default=None)


@dataclass(frozen=True, slots=True)
class _Built:
    """One network with its FLOPs and how far the law's factors are from their best, signed."""

    architecture: Architecture
    flops: int
    away: np.ndarray

    @property
    def distance(self) -> float:
        return float(np.sqrt((self.away**2).mean()))


@dataclass(frozen=True, slots=True)
class _Budget:
    table: TrialTable
    designs: pd.DataFrame
    best: Mapping[str, float]
    spread: Mapping[str, float]
    balance: str
    budget: float
    space: Space
    shape: Shape

    def pairs(self, count: int, rng: np.random.Generator) -> Scaled | Refusal:
        """Choose the pairs whose first network is nearest to the law."""
        found: list[tuple[_Built, _Built]] = []
        for number, others in enumerate(self._others(rng)):
            along = self._along_equal_cost(others)
            near = min(along, key=lambda built: built.distance, default=None)
            if near is None or near.distance > NEAR:
                continue
            far = [
                built
                for built in along
                if built.distance >= FAR and abs(np.log(built.flops / near.flops)) <= TOLERANCE
            ]
            if far:
                # Too deep and too shallow by turns, so that the law is tested from both sides.
                side = 1.0 if number % 2 else -1.0
                either = [b for b in far if b.away[0] * side > 0] or far
                found.append((near, max(either, key=lambda built: built.distance)))
        distinct = {pair[0].architecture.hash: pair for pair in found[::-1]}.values()
        chosen = sorted(distinct, key=lambda pair: pair[0].distance)[:count]
        if len(chosen) < count:
            return Refusal("laws.few_pairs", {"n": len(chosen), "of": count, "budget": self.budget})
        law, against = zip(*chosen, strict=True)
        return Scaled(
            tuple(built.architecture for built in law),
            tuple(built.architecture for built in against),
        )

    def _others(self, rng: np.random.Generator) -> list[dict[str, Level]]:
        """Return the values of networks near the budget that did well for their cost."""
        c, y = self.table.log_cost(self.designs), self.designs["score"].to_numpy(float)
        left = y - fit_spline(c, y)(c)
        near = np.argsort(np.abs(c - np.log(self.budget)), kind="stable")[: 4 * OTHERS]
        best = near[np.argsort(-left[near], kind="stable")][: 2 * OTHERS]
        rows = rng.permutation(best)[:OTHERS]  # not the very best: those were lucky
        values = self.designs.iloc[rows][_shape_factors(self.table)]
        return [
            {str(name): plain(value) for name, value in row.items()}
            for row in values.astype(object).to_dict("records")
        ]

    def _along_equal_cost(self, others: Mapping[str, Level]) -> list[_Built]:
        """Walk over the law's factors; each time the balancing factor restores the cost."""
        walked = [name for name in self.best if name != self.balance]
        built = []
        for values in product(*(self._levels(name) for name in walked)):
            start = {**others, **dict(zip(walked, values, strict=True))}
            built += self._balanced(start)
        return built

    def _levels(self, name: str) -> list[Level]:
        """List the best value and some spread over what was sampled."""
        factor = next(factor for factor in self.space.factors if factor.name == name)
        if factor.kind == "choice":
            return [level for level in factor.choices if isinstance(level, int | float)]
        assert factor.low is not None
        assert factor.high is not None
        ends = np.geomspace(factor.low, factor.high, WALKED).tolist()
        spread = [float(np.clip(self.best[name], factor.low, factor.high)), *ends]
        levels = {round(v) for v in spread} if factor.kind == "int" else set(spread)
        return [*sorted(levels)]

    def _balanced(self, values: Mapping[str, Level]) -> list[_Built]:
        """Bisect the balancing factor; return the networks within tolerance of the budget."""
        factor = next(factor for factor in self.space.factors if factor.name == self.balance)
        assert factor.low is not None
        assert factor.high is not None
        whole = factor.kind == "int"
        low, high = np.log(factor.low), np.log(factor.high)
        tried: dict[float, _Built] = {}
        for _ in range(8):
            middle = float(np.exp((low + high) / 2))
            value = round(middle) if whole else middle
            if value not in tried:
                made = self._built({**values, self.balance: value})
                if made is None:
                    return []
                tried[value] = made
            if tried[value].flops > self.budget:
                high = np.log(middle)
            else:
                low = np.log(middle)
        return [b for b in tried.values() if abs(np.log(b.flops / self.budget)) <= TOLERANCE]

    def _built(self, values: Mapping[str, Level]) -> _Built | None:
        from models import ModelError

        try:
            architecture = self.space.resolve(values)  # type: ignore[arg-type]
        except ModelError:
            return None  # a constraint of the space forbids this combination
        away = [
            np.log(float(values[name]) / best) / self.spread[name]  # type: ignore[arg-type]
            for name, best in self.best.items()
        ]
        return _Built(architecture, architecture.cost(**self.shape).flops, np.array(away))
