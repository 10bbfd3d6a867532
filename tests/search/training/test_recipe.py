"""The recipe's hash, its messages, and the schedule and losses it chooses."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from data_pipeline.alterations import ALTERATIONS
from data_pipeline.batches import AugmentOptions
from search.definition import StudyDefinition
from search.errors import StudyError
from search.training.loss import loss_sum, positive_weights, start_at_prevalence
from search.training.recipe import Recipe
from search.training.schedule import learning_rate

ANOTHER = {
    "loss": "asymmetric",
    "precision": "fp32",
    "augment_crop_samples": 500,
    "empty_classes": "challenge",
    "weight_decay_per": "step",
    "augmentation": "flipped",
    "init_hash": "0" * 64,
}
PLACES = {"init"}  # of files, whose content counts


def test_every_field_changes_the_hash():
    ALTERATIONS.declare("flipped", {})
    hashes = {Recipe().hash}
    named = [field for field in dataclasses.fields(Recipe) if field.name not in PLACES]
    for field in named:
        value = getattr(Recipe(), field.name)
        other = ANOTHER.get(field.name)
        if other is None:
            other = not value if isinstance(value, bool) else value + 1 if value >= 1 else 0.125
        hashes.add(dataclasses.replace(Recipe(), **{field.name: other}).hash)
    assert len(hashes) == 1 + len(named)


def test_a_recipe_of_before_some_rules_were_a_choice_keeps_its_hash_and_its_rules():
    """That of the published study, as its trials have it."""
    stored = {"name": "old", "recipe": {"epochs": 10}}
    assert StudyDefinition.from_stored(stored).recipe == Recipe(
        epochs=10, empty_classes="challenge", weight_decay=0.05, weight_decay_per="step"
    )
    assert StudyDefinition.from_stored(stored).recipe.hash == "72c26a4734ccb3ae"
    assert StudyDefinition.from_dict(stored).recipe == Recipe(epochs=10)
    kept = StudyDefinition.from_dict(stored)
    assert StudyDefinition.from_stored(kept.to_dict()) == kept


def test_plain_data_round_trip_and_whole_numbers_hash_like_fractions():
    recipe = Recipe(epochs=3, augment_noise=0.1)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert (
        Recipe.from_dict({"gradient_clip": 1}).hash == Recipe.from_dict({"gradient_clip": 1.0}).hash
    )
    assert Recipe.from_dict({}) == Recipe()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 3}, "a key of a recipe, got 'epoch': did you mean 'epochs'"),
        ({"epochs": 0}, "epochs to be a whole number from 1"),
        ({"epochs": 2.5}, "epochs to be a whole number .* got 2.5"),
        ({"epochs": True}, "epochs to be a whole number"),
        ({"learning_rate": 0.0}, "learning_rate to be a number above 0"),
        ({"learning_rate": math.nan}, "learning_rate to be"),
        ({"learning_rate": "fast"}, "learning_rate to be a number .* got 'fast'"),
        ({"loss": "hinge"}, "loss to be one of"),
        ({"precision": "fp16"}, "precision to be one of"),
        ({"augment_mask": 1.5}, "augment_mask to be a number from 0"),
        ({"augment_crop_samples": 0}, "augment_crop_samples to be a whole number from 1"),
    ],
)
def test_a_wrong_field_is_named(values, message):
    with pytest.raises(StudyError, match=message):
        Recipe.from_dict(values)
    with pytest.raises(StudyError, match=message):
        Recipe(**values)


def test_augment_fields_are_those_of_the_data_pipeline():
    named = {
        f.name.removeprefix("augment_") for f in dataclasses.fields(Recipe) if "augment_" in f.name
    }
    assert named | {"own"} == {field.name for field in dataclasses.fields(AugmentOptions)}
    off = {f"augment_{name}": None if name == "crop_samples" else 0.0 for name in named}
    assert Recipe.from_dict(off).augment_options() is None
    assert Recipe.from_dict(off | {"augment_gain": 0.2}).augment_options() == AugmentOptions(
        gain=0.2
    )


# ---- Schedule ---- #


def test_schedule_rises_to_the_full_rate_and_falls_to_its_floor():
    recipe = Recipe(learning_rate=2.0, warmup=0.1, final_learning_rate=0.25)
    rates = [learning_rate(step, 100, recipe) for step in range(101)]
    np.testing.assert_allclose(rates[:10], 0.2 * np.arange(1, 11))
    assert rates[10] == 2
    assert rates[55] == pytest.approx((2 + 0.5) / 2)  # half way down the cosine
    assert rates[100] == pytest.approx(0.5)
    assert np.all(np.diff(rates[10:]) < 0)


def test_schedule_of_one_step_without_warmup_is_the_full_rate():
    assert learning_rate(0, 1, Recipe(learning_rate=0.5, warmup=0.0)) == 0.5


# ---- Losses ---- #


def example():
    rng = torch.Generator().manual_seed(0)
    labels = (torch.rand(50, 4, generator=rng) < torch.tensor([0.5, 0.1, 0.02, 0.0])).float()
    return torch.randn(50, 4, generator=rng), labels


def test_unweighted_loss_is_the_textbook_cross_entropy():
    logits, labels = example()
    recipe = Recipe(loss="bce", positive_weight_power=0.0)
    p = torch.sigmoid(logits.double())
    expected = -(labels * p.log() + (1 - labels) * (1 - p).log()).sum() / 4
    loss = loss_sum(logits, labels, positive_weights(labels, recipe), recipe)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_asymmetric_loss_without_focus_or_shift_is_cross_entropy():
    logits, labels = example()
    plain = Recipe(loss="asymmetric", focus_negative=0.0, focus_positive=0.0, probability_shift=0.0)
    loss = loss_sum(logits, labels, torch.ones(4), plain)
    expected = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / 4
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_asymmetric_loss_equals_the_published_formula():
    logits, labels = example()
    recipe = Recipe(
        loss="asymmetric", focus_negative=4.0, focus_positive=1.0, probability_shift=0.05
    )
    p = 1 / (1 + np.exp(-logits.numpy().astype(float)))
    q = np.maximum(p - 0.05, 0)
    y = labels.numpy()
    expected = -(y * (1 - p) * np.log(p) + (1 - y) * q**4 * np.log(1 - q)).sum() / 4
    loss = loss_sum(logits, labels, torch.ones(4), recipe)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_positive_weights_follow_the_imbalance_up_to_the_limit():
    labels = torch.zeros(100, 4)
    labels[:50, 0] = labels[:4, 1] = labels[:80, 2] = 1
    full = Recipe(positive_weight_power=1.0, positive_weight_limit=10.0)
    assert positive_weights(labels, full).tolist() == [1, 10, 1, 1]
    root = Recipe(positive_weight_power=0.5, positive_weight_limit=10.0)
    np.testing.assert_allclose(positive_weights(labels, root), [1, math.sqrt(24), 1, 1], rtol=1e-6)


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_start_at_prevalence_is_the_best_constant_prediction(power):
    labels = torch.zeros(1000, 3)
    labels[:500, 0] = labels[:100, 1] = labels[:10, 2] = 1
    recipe = Recipe(positive_weight_power=power, positive_weight_limit=1000.0)
    weights = positive_weights(labels, recipe)
    network = torch.nn.Sequential(torch.nn.Linear(5, 3))
    start_at_prevalence(network, labels, weights)
    grid = torch.linspace(-8, 8, 161)
    for column, bias in enumerate(network[0].bias.tolist()):
        truth, weight = labels[:, column : column + 1], weights[column : column + 1]
        losses = [loss_sum(b.expand(1000, 1), truth, weight, recipe).item() for b in grid]
        assert bias == pytest.approx(grid[int(np.argmin(losses))].item(), abs=0.15)
