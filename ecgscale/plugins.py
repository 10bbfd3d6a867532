"""What a plug-in adds with: one function per kind, each a decorator of what it registers.

    from ecgscale.plugins import Factor, Fold, metric, module_family

    @module_family("my-family", [Factor.integer("width", 8, 64, step=8)])
    def my_family(values, leads, outputs): ...     # a torch.nn.Module

    @metric("worst_f1", label="Worst F1", meaning="F1 of the class recognised worst")
    def worst_f1(fold: Fold) -> float: ...

A file with such functions is given to commands with --plugin or listed in a study's definition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from data_pipeline.alterations import ALTERATIONS, Alteration
from definitions.plugins import Plugin, PluginError, load_plugin
from models.factors import Factor
from models.own_family import module_family, tree_family
from search.training.evaluation import EVALUATIONS, Evaluation
from search.training.metric_table import METRICS, Fold, Metric
from search.training.recipe import LOSSES, Loss, Recipe

if TYPE_CHECKING:
    from torch import nn

    from data_pipeline.batches import ResidentRecords

__all__ = [
    "Factor",
    "Fold",
    "Plugin",
    "PluginError",
    "Recipe",
    "augmentation",
    "evaluation",
    "load_plugin",
    "loss",
    "metric",
    "module_family",
    "tree_family",
]

Score = Callable[[Fold], float]
Measure = Callable[["nn.Module", "ResidentRecords"], float]


def metric(
    name: str,
    *,
    label: str,
    meaning: str,
    unit: str = "0 to 1",
    low: float = 0.0,
    high: float = 1.0,
    higher: bool = True,
) -> Callable[[Score], Score]:
    """Register a score of a whole fold: of its labels, probabilities and decisions.

    It is computed for every trial, and can be a study's objective. label: its name for readers.
    unit: what an axis says. low, high: range of its values. higher: whether more is better. NaN
    where it is not defined.
    """

    def register(compute: Score) -> Score:
        METRICS.add(name, Metric(name, label, unit, low, high, meaning, compute, higher))
        return compute

    return register


def loss(name: str) -> Callable[[Loss], Loss]:
    """Register a loss for `[recipe] loss`: from (logits, labels, weights, recipe) to a tensor.

    logits float32 and labels (records, classes), weights (classes,) of positive labels by the
    recipe. The tensor is the sum over the records, so that parts of a batch add up.
    """

    def register(compute: Loss) -> Loss:
        return LOSSES.add(name, compute)

    return register


def augmentation(name: str) -> Callable[[Alteration], Alteration]:
    """Register an augmentation for `[recipe] augmentation`: (signals, generator, rate in Hz).

    signals are float32 (records, leads, samples) on the device that the generator is of; draw from
    that alone, so that a trial repeats. Returns the altered signals.
    """

    def register(alter: Alteration) -> Alteration:
        return ALTERATIONS.add(name, alter)

    return register


def evaluation(
    name: str, *, label: str, meaning: str, unit: str = "", higher: bool = True
) -> Callable[[Measure], Measure]:
    """Register a number to measure of every trained network: of (network, validation records).

    `search.training.run.predict(network, records, batch_size=64)` gives its logits on them.
    """

    def register(compute: Measure) -> Measure:
        EVALUATIONS.add(name, Evaluation(name, label, unit, meaning, compute, higher))
        return compute

    return register
