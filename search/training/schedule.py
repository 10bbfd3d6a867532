"""Learning rate and weight decay as plain functions."""

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


def step_weight_decay(recipe: Recipe, steps_per_epoch: int) -> float:
    """Return the weight decay λ of a step: AdamW multiplies weights by 1 − rate · λ.

    Weights are then a moving average of their updates over 1 / (rate · λ) steps. What transfers
    between amounts of data is that time in epochs (Wang & Aitchison 2024, arXiv:2405.13698): with
    the same λ in every step, 88,000 records would decay weights 64 times as far as 1,374.
    """
    return recipe.weight_decay / (steps_per_epoch if recipe.weight_decay_per == "epoch" else 1)
