"""Evaluations that plug-ins add: one number of a trained network and the validation records."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from definitions.plugins import PluginError, Registry

if TYPE_CHECKING:
    from torch import nn

    from data_pipeline.batches import ResidentRecords


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is measured of every trial besides its metrics, and kept as its attribute.

    compute: from the network in evaluation mode and the validation records on its device to a
    number; it may do with both what it wants, but has to leave them as they were.
    """

    name: str
    label: str
    unit: str
    meaning: str
    compute: Callable[[nn.Module, ResidentRecords], float]
    higher: bool = True


def _facts(one: Evaluation) -> dict[str, Any]:
    return {"label": one.label, "unit": one.unit, "meaning": one.meaning, "higher": one.higher}


def _absent(name: str, facts: Mapping[str, Any]) -> Evaluation:
    def compute(*_: Any) -> float:
        raise PluginError(f"expected the plug-in that adds the evaluation {name!r}, got none")

    label, unit, meaning = (str(facts[key]) for key in ("label", "unit", "meaning"))
    return Evaluation(name, label, unit, meaning, compute, bool(facts["higher"]))


EVALUATIONS: Registry[Evaluation] = Registry("evaluation", {}, facts=_facts, absent=_absent)


def evaluated(
    plugins: Collection[str], network: nn.Module, records: ResidentRecords
) -> dict[str, float]:
    """Return what the evaluations of some plug-ins find, by name."""
    import torch

    with torch.inference_mode():
        return {
            name: float(one.compute(network, records))
            for name, one in EVALUATIONS.of(plugins).items()
        }
