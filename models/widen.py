"""Which factor of a design space to widen, so that its networks reach a number of FLOPs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

from models.architecture import Value
from models.cost import tree_cost
from models.errors import ModelError
from models.factors import Factor
from models.shape import Shape
from models.space import Space, family_of, is_whole

NAMED = 2  # factors, those that have to move least first
HALVINGS = 30


def advice(space: Space, extreme: Mapping[str, Value], target: float, shape: Shape) -> str:
    """Name the factors that bring a space from its extreme network to `target` FLOPs, one alone.

    `extreme` are the values with the most FLOPs that were drawn where the target is above, with
    the fewest where it is below. Where no factor does it alone within its family's limits, the one
    that comes nearest is named, with what it gives. Empty where none can move.
    """
    start = _flops(space, extreme, shape)
    if start is None:
        return ""
    enough: list[tuple[float, str]] = []
    nearest: list[tuple[float, str]] = []
    for factor, now, end in _ends(space, extreme):

        def flops_at(value: float, factor: Factor = factor) -> float:
            moved: Value = round(value) if is_whole(factor) else value
            flops = _flops(space, {**extreme, factor.name: moved}, shape)
            return start if flops is None else flops

        def reaches(value: float, at: Callable[[float], float] = flops_at) -> bool:
            return at(value) >= target if target > start else at(value) <= target

        has = _range(space, factor.name)
        if reaches(end):
            value = _first(now, end, is_whole(factor), reaches)
            moved = abs(math.log((value + 1e-3) / (now + 1e-3)))
            enough.append((moved, f"{factor.name} to {value:g} (now {has})"))
        elif flops_at(end) != start:
            missing = abs(math.log((flops_at(end) + 1) / target))
            words = f"{factor.name} (now {has}), though alone to {end:g} it gives "
            nearest.append((missing, f"{words}{flops_at(end):.3g} FLOPs"))
    return " or ".join(words for _, words in sorted(enough)[:NAMED] or sorted(nearest)[:1])


def _ends(space: Space, extreme: Mapping[str, Value]) -> Iterator[tuple[Factor, float, float]]:
    """Yield each number that may move, its value and an end of what its family allows."""
    family = family_of(space.family)
    values = {**dict(space.fixed), **extreme}
    for factor in family.factors:
        now = values[factor.name]
        if factor.name not in family.limits or isinstance(now, str | bool):
            continue
        for end in family.limits[factor.name]:
            yield factor, float(now), float(end)


def _flops(space: Space, values: Mapping[str, Value], shape: Shape) -> float | None:
    """Count the FLOPs at a point beyond the ranges; None where nothing can be built."""
    try:
        return tree_cost(space.layers(values), **shape).flops if space.allows(values) else None
    except (ModelError, ArithmeticError, ValueError):
        return None


def _first(now: float, end: float, whole: bool, reaches: Callable[[float], bool]) -> float:
    """Return the value nearest to `now`, on the way to `end`, from which on it is reached."""
    far, near = end, now
    for _ in range(HALVINGS):
        middle = (far + near) / 2
        if whole:
            middle = float(round(middle))
            if middle in (far, near):
                break
        if reaches(middle):
            far = middle
        else:
            near = middle
    return far if whole else _rounded(far, up=end > now)


def _rounded(value: float, *, up: bool) -> float:
    """Round to two decimals of the leading digit, never back below what is needed."""
    unit = 10.0 ** (math.floor(math.log10(max(value, 1e-9))) - 2)
    return round((math.ceil if up else math.floor)(value / unit) * unit, 9)


def _range(space: Space, name: str) -> str:
    fixed = dict(space.fixed)
    if name in fixed:
        return f"fixed at {fixed[name]}"
    factor = next(one for one in space.factors if one.name == name)
    numbers = factor.choices or (factor.low, factor.high)
    return f"{min(numbers):g} to {max(numbers):g}"  # type: ignore[type-var]
