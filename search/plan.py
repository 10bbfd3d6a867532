"""The list of trials that a definition means: the same on every machine, from its seed alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from models import Architecture, Space, sample_architectures
from search.definition import StudyDefinition

Role = Literal["sample", "replicate", "control", "reference", "confirm"]


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One training: a network, a seed, and what it is for."""

    index: int
    architecture: Architecture
    seed: int
    role: Role


@dataclass(frozen=True, slots=True)
class Plan:
    """All trials in order, and how the sample was drawn (to undo its stratification)."""

    trials: tuple[PlannedTrial, ...]
    sampling: dict[str, Any]


def plan(
    definition: StudyDefinition, space: Space, *, samples: int, leads: int, outputs: int
) -> Plan:
    """Plan the sample, then replicates with further seeds, then controls on shuffled labels.

    Replicates and controls are spread evenly over the sample's FLOPs. A control has the network
    and the seed of its trial in the sample, so that only the labels differ.
    """
    shape = {"samples": samples, "leads": leads, "outputs": outputs}
    drawn = sample_architectures(
        space,
        definition.sample.architectures,
        flops_range=definition.sample.flops,
        bins=definition.sample.bins,
        seed=definition.seed,
        **shape,
    )
    flops = [network.cost(**shape).flops for network in drawn.architectures]
    trials = [
        PlannedTrial(index, network, trial_seed(definition.seed, index, 0), "sample")
        for index, network in enumerate(drawn.architectures)
    ]
    for chosen in _spread(flops, definition.replicates.architectures):
        for repeat in range(1, definition.replicates.seeds + 1):
            seed = trial_seed(definition.seed, chosen, repeat)
            network = trials[chosen].architecture
            trials.append(PlannedTrial(len(trials), network, seed, "replicate"))
    for chosen in _spread(flops, definition.controls.shuffled_labels):
        twin = trials[chosen]
        trials.append(PlannedTrial(len(trials), twin.architecture, twin.seed, "control"))
    sampling = {
        "edges": list(drawn.edges),
        "accepted": list(drawn.accepted),
        "hits": list(drawn.hits),
        "proposals": drawn.proposals,
        "duplicates": drawn.duplicates,
    }
    return Plan(tuple(trials), sampling)


def trial_seed(study_seed: int, index: int, repeat: int) -> int:
    """Derive the training seed of the repeat-th training of a sampled network, in [0, 2³¹)."""
    state = np.random.SeedSequence([study_seed, index, repeat]).generate_state(1)
    return int(state[0] >> 1)


def _spread(flops: list[int], count: int) -> list[int]:
    """Choose `count` trials at evenly spaced ranks of FLOPs, the middle one first for one."""
    ranked = np.argsort(np.asarray(flops), kind="stable")
    ranks = np.floor((np.arange(count) + 0.5) * len(flops) / max(count, 1)).astype(int)
    return [int(i) for i in ranked[ranks]]
