"""Reference architectures made to fit a FLOPs budget by their width multiplier."""

from __future__ import annotations

from models.architecture import Architecture
from models.errors import ModelError
from models.references.catalogue import reference
from models.shape import DEFAULT, Shape

STEP = 0.01
WIDEST = 8.0


def reference_within(
    name: str,
    budget: float,
    *,
    samples: int = DEFAULT.samples,
    leads: int = DEFAULT.leads,
    outputs: int = DEFAULT.outputs,
) -> Architecture:
    """Return the widest form of a reference CNN whose FLOPs are within the budget.

    Widths are multiples of 8, so FLOPs move in steps, of up to four times for the narrowest forms.
    What fits may use a quarter of the budget; it is a rival all the same, or the strongest might be
    left out. Raises ModelError if even the narrowest form is above the budget.
    """
    shape = Shape(samples, leads, outputs)

    def at(steps: int) -> Architecture:
        return reference(f"{name}@{steps * STEP:.2f}")

    def flops(steps: int) -> int:
        return at(steps).cost(**shape).flops

    low, high = 1, round(WIDEST / STEP)
    if flops(low) > budget:
        raise ModelError(
            f"expected a form of {name} within {budget:.3g} FLOPs, but its narrowest one has "
            f"{flops(low):.3g}: choose a larger budget or another CNN"
        )
    if flops(high) <= budget:
        low = high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if flops(middle) <= budget else (low, middle)
    # The published widths where they fit as well: their name is the plain one.
    published = reference(name)
    cost = published.cost(**shape).flops
    return published if flops(low) <= cost <= budget else at(low)
