"""Losses with a remedy for rare classes, and the bias to start from."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_pipeline.batches import ResidentRecords
from search.errors import StudyError
from search.training.recipe import EXCLUSIVE_LOSSES, LOSSES, MULTILABEL_LOSSES, Recipe


def check_loss(recipe: Recipe, train: ResidentRecords) -> None:
    """Refuse a loss that is not made for the records' kind of labels, and labels that are not."""
    if train.exclusive and not bool((train.labels.sum(1) == 1).all()):
        raise StudyError(
            "expected records with exactly one class each, got others: they are no exclusive "
            "classes"
        )
    if recipe.loss in (MULTILABEL_LOSSES if train.exclusive else EXCLUSIVE_LOSSES):
        kind = "exclusive classes" if train.exclusive else "classes that go together"
        fitting = EXCLUSIVE_LOSSES if train.exclusive else MULTILABEL_LOSSES
        raise StudyError(
            f"expected a loss for {kind} ({', '.join(fitting)}, or a plug-in's), got "
            f"{recipe.loss!r}: change [recipe] loss, or [data] task"
        )


def positive_weights(labels: Tensor, recipe: Recipe) -> Tensor:
    """Return the weight of a positive label of each class, (classes,).

    (negatives / positives) ** power, between 1 and the limit; 1 for classes without positives,
    which have nothing to weigh.
    """
    positives = labels.sum(0)
    ratio = (len(labels) - positives) / positives.clamp(min=1)
    weights = ratio.pow(recipe.positive_weight_power).clamp(1, recipe.positive_weight_limit)
    return torch.where(positives > 0, weights, torch.ones_like(weights))


def loss_sum(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
    """Return the recipe's loss, summed over records; weights (classes,) of positive labels."""
    return LOSSES[recipe.loss](logits.float(), labels, weights, recipe)


def bce(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
    """Return the binary cross-entropy, averaged over classes."""
    total = F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="sum")
    return total / labels.shape[1]


def asymmetric(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
    """Return the asymmetric loss, averaged over classes.

    −y (1 − p)^focus_positive log p − (1 − y) q^focus_negative log(1 − q) with
    q = max(p − probability_shift, 0) (Ridnik et al. 2021, "Asymmetric Loss for Multi-Label
    Classification").
    """
    # Focusing factors scale the loss but are no path for the gradient, as in the authors' code.
    probability = torch.sigmoid(logits)
    shifted = (probability - recipe.probability_shift).clamp(min=0)
    positive = weights * labels * F.logsigmoid(logits)
    negative = (1 - labels) * torch.log((1 - shifted).clamp(min=1e-8))
    with torch.no_grad():
        hard_positive = (1 - probability).pow(recipe.focus_positive)
        hard_negative = shifted.pow(recipe.focus_negative)
    return -(hard_positive * positive + hard_negative * negative).sum() / labels.shape[1]


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor, recipe: Recipe) -> Tensor:
    """Return the cross-entropy of exclusive classes, each weighted."""
    return -(weights * labels * F.log_softmax(logits, 1)).sum()


def start_at_prevalence(
    network: nn.Module, labels: Tensor, weights: Tensor, *, exclusive: bool = False
) -> None:
    """Set the last bias so that the untrained network predicts how often a class occurs.

    The prevalence is smoothed by one positive and one negative record (of exclusive classes by one
    record each), and seen through the positive weights. A network whose last linear layer has no
    bias is left as it is.
    """
    last = [module for module in network.modules() if isinstance(module, nn.Linear)][-1:]
    if last and last[0].bias is not None and last[0].out_features == labels.shape[1]:
        positives = labels.sum(0) + 1
        others = positives.sum() if exclusive else len(labels) + 2 - positives
        odds = weights * positives / others
        with torch.no_grad():
            last[0].bias.copy_(odds.log())
