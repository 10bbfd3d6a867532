"""Design-space families of a plug-in: trees of our layers, or any torch modules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from models.architecture import Value
from models.factors import Factor
from models.layers import Custom, Sequence
from models.space import FAMILIES, Family

if TYPE_CHECKING:
    from torch import nn

TreeRule = Callable[[Mapping[str, Value]], Sequence]
ModuleRule = Callable[[Mapping[str, Value], int, int], "nn.Module"]
Limits = Mapping[str, tuple[float, float]]


def tree_family(
    name: str,
    factors: Iterable[Factor],
    *,
    limits: Limits | None = None,
    constraints: Iterable[str] = (),
) -> Callable[[TreeRule], TreeRule]:
    """Register a family by its rule from values of the factors to a tree of `models.layers`.

    limits: what a TOML file may widen a factor to, by default its own range.
    """

    def register(rule: TreeRule) -> TreeRule:
        known = tuple(factors)
        FAMILIES.add(name, Family(rule, known, _limits(known, limits), tuple(constraints)))
        return rule

    return register


def module_family(
    name: str,
    factors: Iterable[Factor],
    *,
    limits: Limits | None = None,
    constraints: Iterable[str] = (),
) -> Callable[[ModuleRule], ModuleRule]:
    """Register a family by its rule from (values, leads, outputs) to any torch module.

    The module maps float32 (batch, leads, samples) to logits (batch, outputs). Its cost is counted
    by tracing (`models.custom`).
    """

    def register(rule: ModuleRule) -> ModuleRule:
        def build(values: Mapping[str, Value]) -> Sequence:
            plugin = FAMILIES.plugin(name)
            text = json.dumps(dict(values), sort_keys=True)
            layer = Custom(name, "" if plugin is None else plugin.hash, text)
            return Sequence((Sequence((layer,), name=name),), name=name)

        known = tuple(factors)
        limited = _limits(known, limits)
        FAMILIES.add(name, Family(build, known, limited, tuple(constraints), rule))
        return rule

    return register


def _limits(factors: Iterable[Factor], given: Limits | None) -> Limits:
    """Return the limits of all factors that are numbers."""
    ranges: dict[str, tuple[float, float]] = {}
    for factor in factors:
        ends = [v for v in factor.choices or (factor.low, factor.high) if v is not None]
        numbers = [v for v in ends if not isinstance(v, str | bool)]
        if numbers:
            ranges[factor.name] = (min(numbers), max(numbers))
    return {**ranges, **(given or {})}
