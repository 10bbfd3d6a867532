"""Known CNNs made to fit a FLOPs budget by their width multiplier."""

from __future__ import annotations

from models.architecture import Architecture
from models.errors import ModelError
from models.references.catalogue import reference

STEP = 0.01
WIDEST = 8.0
USED = 0.5  # of the budget at least, else the network is no rival there


def reference_within(
    name: str, budget: float, *, samples: int = 1000, leads: int = 12, outputs: int = 26
) -> Architecture:
    """Return the widest form of a reference CNN whose FLOPs are within the budget.

    Widths are multiples of 8, so FLOPs move in steps. Raises ModelError if even the narrowest form
    is above the budget, or no form uses half of it.
    """
    shape = {"samples": samples, "leads": leads, "outputs": outputs}

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
    if flops(low) < USED * budget:
        raise ModelError(
            f"expected a form of {name} from {USED * budget:.3g} to {budget:.3g} FLOPs, but its "
            f"widths step from {flops(low):.3g} to {flops(min(low + 1, round(WIDEST / STEP))):.3g}"
        )
    # The published widths where they fit as well: their name is the plain one.
    published = reference(name)
    cost = published.cost(**shape).flops
    return published if flops(low) <= cost <= budget else at(low)
