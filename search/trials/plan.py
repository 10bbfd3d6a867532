"""The list of trials that a definition means: the same on every machine, from its seed alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

import numpy as np

from models import Architecture, Factor, Space, sample_architectures
from models.shape import Shape
from search.definition import ReplicatePlan, StudyDefinition, check_planned
from search.errors import StudyError

T = TypeVar("T")
Role = Literal["sample", "replicate", "control", "reference", "refine", "confirm"]
Key = tuple[str, int, str, tuple[tuple[str, Any], ...]]


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """One training: a network, a seed, what it is for, and what it changes of the recipe.

    `halving`: the epoch after which it ends unless it is in the better half of its peers.
    """

    index: int
    architecture: Architecture
    seed: int
    role: Role
    recipe: Mapping[str, Any] = field(default_factory=dict)
    halving: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """All trials in order, and how the sample was drawn (to undo its stratification)."""

    trials: tuple[PlannedTrial, ...]
    sampling: dict[str, Any]


def plan(
    definition: StudyDefinition, space: Space, *, samples: int, leads: int, outputs: int
) -> Plan:
    """Plan the sample, replicates with further seeds, and controls on shuffled labels.

    Replicates and controls are spread evenly over the sample's FLOPs. A control has the network
    and the seed of its trial in the sample, so that only the labels differ. All three are mixed
    in proportion, so that a study cut short has its share of each, from all sizes.
    """
    shape = Shape(samples, leads, outputs)
    if definition.recipe.init_hash:
        return _plan_start(definition)
    drawn = sample_architectures(
        space,
        definition.sample.architectures,
        flops_range=definition.sample.flops,
        bins=definition.sample.bins,
        seed=definition.seed,
        **shape,
    )
    networks = drawn.architectures
    flops = [network.cost(**shape).flops for network in networks]
    rng = np.random.default_rng([definition.seed, len(networks)])
    replicated = rng.permutation(_spread(flops, definition.replicates.architectures)).tolist()
    controlled = rng.permutation(_spread(flops, definition.controls.shuffled_labels)).tolist()
    groups: list[list[tuple[int, int, Role]]] = [
        [(chosen, 0, "sample") for chosen in range(len(networks))],
        # Every network once before any for the second time.
        [
            (chosen, repeat, "replicate")
            for repeat in range(1, definition.replicates.seeds + 1)
            for chosen in replicated
        ],
        [(chosen, 0, "control") for chosen in controlled],
    ]
    changes = [_nuisances(definition, place) for place in range(len(networks))]
    trials = [
        PlannedTrial(
            index,
            networks[chosen],
            trial_seed(definition.seed, chosen, repeat),
            role,
            changes[chosen],
        )
        for index, (chosen, repeat, role) in enumerate(_mixed(groups))
    ]
    sampling = {
        "edges": list(drawn.edges),
        "accepted": list(drawn.accepted),
        "hits": list(drawn.hits),
        "proposals": drawn.proposals,
        "duplicates": drawn.duplicates,
    }
    return Plan(tuple(trials), sampling)


def _plan_start(definition: StudyDefinition) -> Plan:
    """Plan the network that the recipe starts from, with as many seeds as replicates."""
    from search.training.start import read_start

    network = read_start(definition.recipe).architecture
    trials = (
        PlannedTrial(place, network, trial_seed(definition.seed, 0, place), "reference")
        for place in range(definition.replicates.seeds)
    )
    return Plan(tuple(trials), {})


def longest_first(
    trials: Sequence[PlannedTrial], *, samples: int, leads: int, outputs: int
) -> tuple[PlannedTrial, ...]:
    """Number trials anew by falling predicted cost: activations, which time follows, then FLOPs."""

    def cost(trial: PlannedTrial) -> tuple[int, int, int]:
        known = trial.architecture.cost(samples=samples, leads=leads, outputs=outputs)
        return -known.activations, -known.flops, trial.index

    return tuple(replace(trial, index=i) for i, trial in enumerate(sorted(trials, key=cost)))


@dataclass(frozen=True, slots=True)
class Extension:
    """Further trials for a study that exists.

    `architectures` further networks of the sample, `replicates` further seeds of networks it has,
    `controls` on shuffled labels, other networks (reference CNNs, say) with `seeds` each, all of
    them at each of the `learning_rates` (without any: at the recipe's), and `refinements`: networks
    of the space that were proposed for what the others scored, halved after an epoch on wish.
    """

    architectures: int = 0
    replicates: ReplicatePlan = field(default_factory=ReplicatePlan)
    controls: int = 0
    references: tuple[Architecture, ...] = ()
    seeds: int = 1
    learning_rates: tuple[float, ...] = ()
    refinements: tuple[Architecture, ...] = ()
    halving: int | None = None

    @property
    def most_trials(self) -> int:
        """Number of further trials, fewer only where controls run out of networks."""
        again = self.replicates.architectures * self.replicates.seeds
        references = len(self.references) * self.seeds * max(1, len(self.learning_rates))
        further = references + len(self.refinements)
        return self.architectures + again + self.controls + further


def extend(
    definition: StudyDefinition,
    space: Space,
    known: tuple[PlannedTrial, ...],
    extension: Extension,
    *,
    samples: int,
    leads: int,
    outputs: int,
) -> tuple[PlannedTrial, ...]:
    """Plan trials beyond those known; again the definition's seed and what is known decide.

    No (network, seed, role, recipe) is planned twice, and no network is sampled twice. A reference
    has the same seeds at every learning rate.
    """
    _check(definition, len(known), extension)
    shape = Shape(samples, leads, outputs)
    taken = {_key(t.architecture, t.seed, t.role, t.recipe) for t in known}
    trials: list[PlannedTrial] = []

    def add(
        network: Architecture, role: Role, repeat: int, index: int, changes: Mapping[str, Any]
    ) -> None:
        seed = trial_seed(definition.seed, index, repeat)
        while (key := _key(network, seed, role, changes)) in taken:
            repeat += 1
            seed = trial_seed(definition.seed, index, repeat)
        taken.add(key)
        trials.append(PlannedTrial(len(known) + len(trials), network, seed, role, changes))

    hashes = {trial.architecture.hash for trial in known}
    for network in _further(definition, space, hashes, extension.architectures, len(known), shape):
        place = len(known) + len(trials)
        add(network, "sample", 0, place, _nuisances(definition, place))
    sample = [trial for trial in (*known, *trials) if trial.role == "sample"]
    flops = [trial.architecture.cost(**shape).flops for trial in sample]
    for chosen in _spread(flops, extension.replicates.architectures):
        for _ in range(extension.replicates.seeds):
            twin = sample[chosen]
            add(twin.architecture, "replicate", 1, twin.index, twin.recipe)
    fresh = [t for t in sample if _key(t.architecture, t.seed, "control", t.recipe) not in taken]
    fresh_flops = [trial.architecture.cost(**shape).flops for trial in fresh]
    for chosen in _spread(fresh_flops, min(extension.controls, len(fresh))):
        twin = fresh[chosen]
        number = len(known) + len(trials)
        trials.append(PlannedTrial(number, twin.architecture, twin.seed, "control", twin.recipe))
    for network in extension.references:
        # Seeds of a network that no sample has: they come from its own hash.
        for changes in _rates(definition, extension.learning_rates):
            for _ in range(extension.seeds):
                add(network, "reference", 0, int(network.hash[:8], 16), changes)
    for network in extension.refinements:
        changes = _nuisances(definition, len(known) + len(trials))
        add(network, "refine", 0, int(network.hash[:8], 16), changes)
        trials[-1] = replace(trials[-1], halving=extension.halving)
    return tuple(trials)


def _check(definition: StudyDefinition, known: int, extension: Extension) -> None:
    check_planned(known + extension.most_trials)
    last = definition.recipe.epochs - 1
    if extension.halving is not None and not 1 <= extension.halving <= last:
        raise StudyError(
            f"expected an epoch to halve after from 1 to {last}, before the study's last, got "
            f"{extension.halving}: change it"
        )


def _key(architecture: Architecture, seed: int, role: str, recipe: Mapping[str, Any]) -> Key:
    return architecture.hash, seed, role, tuple(sorted(recipe.items()))


def _rates(definition: StudyDefinition, rates: Sequence[float]) -> list[dict[str, Any]]:
    """Return what learning rates change of the recipe; nothing where there are none."""
    usual = definition.recipe.learning_rate
    return [{} if rate == usual else {"learning_rate": rate} for rate in rates or (usual,)]


def _further(
    definition: StudyDefinition,
    space: Space,
    hashes: set[str],
    count: int,
    salt: int,
    shape: Shape,
) -> list[Architecture]:
    """Sample networks that are not known, over the study's bins."""
    found: dict[str, Architecture] = {}
    for round_ in range(20):
        if len(found) >= count:
            break
        missing = count - len(found)
        drawn = sample_architectures(
            space,
            max(missing, definition.sample.bins),
            flops_range=definition.sample.flops,
            bins=definition.sample.bins,
            seed=trial_seed(definition.seed, salt, round_),
            **shape,
        )
        new = [n for n in drawn.architectures if n.hash not in hashes and n.hash not in found]
        found |= {network.hash: network for network in new[:missing]}
    if len(found) < count:
        raise StudyError(
            f"expected {count} further networks in the space {space.name}, got {len(found)} that "
            "the study does not have: plan fewer, or replicates"
        )
    return list(found.values())


def nuisance_factors(definition: StudyDefinition) -> tuple[Factor, ...]:
    """Return what is drawn for every network besides its shape."""
    rates = definition.sample.learning_rate
    return () if rates is None else (Factor.real("learning_rate", *rates, log=True),)


def _nuisances(definition: StudyDefinition, place: int) -> dict[str, Any]:
    """Draw a network's nuisance factors from the seed and its place in the sample."""
    rng = np.random.default_rng([definition.seed, place, 1])
    return {
        factor.name: float(f"{factor.draw(rng, 1)[0]:.6g}")
        for factor in nuisance_factors(definition)
    }


def _mixed(groups: list[list[T]]) -> list[T]:
    """Merge lists so that every part of the result has its share of each."""
    placed = [
        ((place + 0.5) / len(group), number, item)
        for number, group in enumerate(groups)
        for place, item in enumerate(group)
    ]
    return [item for _, _, item in sorted(placed, key=lambda entry: entry[:2])]


def trial_seed(study_seed: int, index: int, repeat: int) -> int:
    """Derive the training seed of the repeat-th training of a sampled network, in [0, 2³¹)."""
    state = np.random.SeedSequence([study_seed, index, repeat]).generate_state(1)
    return int(state[0] >> 1)


def _spread(flops: list[int], count: int) -> list[int]:
    """Choose `count` trials at evenly spaced ranks of FLOPs, the middle one first for one."""
    ranked = np.argsort(np.asarray(flops), kind="stable")
    ranks = np.floor((np.arange(count) + 0.5) * len(flops) / max(count, 1)).astype(int)
    return [int(i) for i in ranked[ranks]]
