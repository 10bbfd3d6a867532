"""The learning rate as a plain function of the step."""

from __future__ import annotations

import math

from search.training.recipe import Recipe


def learning_rate(step: int, steps: int, recipe: Recipe) -> float:
    """Return the rate of `step` (from 0) of `steps`: a linear rise, then half a cosine.

    The rise takes the first `warmup` share of the steps and reaches the full rate at its end; the
    fall ends at `final_learning_rate` × the full rate.
    """
    rising = round(recipe.warmup * steps)
    if step < rising:
        return recipe.learning_rate * (step + 1) / rising
    progress = (step - rising) / max(steps - rising, 1)
    floor = recipe.final_learning_rate
    return recipe.learning_rate * (floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2)
