"""Refinement, replayed on the published study: what is found at equal compute, by whom.

    ecgscale load studies/ecg-cnn-2320/study.jsonl.gz
    python tests/benchmarks/refine_replay.py [--repeats 200] [--only random gp] [--out FILE.json]

The 500 networks of `studies/ecg-cnn-2320` are the world: nothing is trained, a network that is
proposed costs the seconds and scores what it did. Every repeat starts from the same random 100
networks (those with replicates among them) for all proposers; each then spends the same seconds,
what 40 random networks take on average. Optuna's samplers ask for any point: the nearest network
of the world within the budget that is not known yet is taken for it, and told.

What counts is what would be handed out: of every budget the network with the best observed score,
by what it is expected to score given all trials (shrunken). Prints means over repeats, and the gain
over random proposals with its standard error, in points of macro-F1.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

from analysis.questions.budgets.propose import propose
from analysis.questions.budgets.samplers import SAMPLERS, Asked
from analysis.questions.context import Context
from analysis.questions.estimates import best_surrogate, expected_scores, seed_noise
from analysis.stats.refusal import Refusal
from analysis.trials.factors import plain
from analysis.trials.find import read_table
from analysis.trials.table import TrialTable
from models import load_space
from models.pool import Pool
from search.database.storage import open_storage

BUDGETS = (1e7, 3e7, 1e8, 3e8)
START, FURTHER, ROUND = 100, 40, 20
SPACE = load_space("ecg-cnn")
NAMES = [factor.name for factor in SPACE.factors]


@dataclass
class World:
    """The study, what every network is expected to score, and its factors as distances see them."""

    table: TrialTable
    designs: pd.DataFrame = field(init=False)
    expected: np.ndarray = field(init=False)
    codes: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.designs = self.table.designs()
        found = Context(self.table).of(expected_scores)
        assert not isinstance(found, Refusal)
        self.expected = found.mean
        self.codes = self.coded(self.designs)
        seconds = self.table.learned.groupby("architecture_hash")["seconds"].mean()
        self.designs["seconds"] = seconds.loc[self.designs["architecture_hash"]].to_numpy()

    def coded(self, frame: pd.DataFrame) -> np.ndarray:
        """Code factors with unit variance in the world (networks, factors)."""
        whole = self.table.codes(self.designs)
        return (self.table.codes(frame) - whole.mean(0)) / whole.std(0)

    def known(self, start: np.ndarray, found: Sequence[int]) -> TrialTable:
        """Return the table of the networks that were drawn, and of those proposed and trained."""
        frame, hashes = self.table.frame, self.designs["architecture_hash"]
        drawn = frame[frame["architecture_hash"].isin(set(hashes.iloc[start]))]
        proposed = frame[frame["architecture_hash"].isin(set(hashes.iloc[list(found)]))]
        proposed = proposed.drop_duplicates("architecture_hash").assign(role="refine")
        return replace(self.table, frame=pd.concat([drawn, proposed], ignore_index=True))


Choose = Callable[[float, list[int]], int]


def at_random(world: World, start: np.ndarray, rng: np.random.Generator) -> Choose:
    """Take any network within the budget."""

    def choose(budget: float, found: list[int]) -> int:
        return int(rng.choice(new_within(world, start, found, budget)))

    return choose


def by_surrogate(world: World, start: np.ndarray, rng: np.random.Generator) -> Choose:
    """Take what `ecgscale refine` proposes, in rounds; any network where it refuses."""
    drawn = Context(world.known(start, []))
    of_the_drawn = {one: drawn.of(one) for one in (best_surrogate, seed_noise)}
    planned: list[int] = []
    hashes = {name: row for row, name in enumerate(world.designs["architecture_hash"])}
    random = at_random(world, start, rng)

    def choose(budget: float, found: list[int]) -> int:
        if not planned:
            context = Context(world.known(start, found), results=dict(of_the_drawn))
            left = new_within(world, start, found, BUDGETS[-1])
            rows = world.designs.iloc[left]
            values = {name: [plain(value) for value in rows[name]] for name in NAMES}
            pool = Pool(SPACE, values, rows["flops"].to_numpy(float))
            made = propose(context, pool, BUDGETS, ROUND)
            if isinstance(made, Refusal):  # as ecgscale refine would say
                return random(budget, found)
            planned.extend(hashes[one.architecture.hash] for one in made)
        return planned.pop(0)

    return choose


def by_optuna(sampler: str) -> Callable[[World, np.ndarray, np.random.Generator], Choose]:
    """Take the network that is nearest to what one of Optuna's samplers asks for."""

    def made(world: World, start: np.ndarray, rng: np.random.Generator) -> Choose:
        seed = int(rng.integers(2**31))
        drawn = world.known(start, [])
        askers = {b: Asked(sampler, SPACE, drawn, b, seed=seed) for b in BUDGETS}
        told: list[int] = []

        def choose(budget: float, found: list[int]) -> int:
            for place in found[len(told) :]:
                row = world.designs.iloc[place]
                values = {name: plain(row[name]) for name in NAMES}
                for within, asker in askers.items():
                    asker.learn(values, row["score"], row["flops"] / within)
                told.append(place)
            trial = askers[budget].ask()
            askers[budget].study.tell(trial, state=optuna.trial.TrialState.FAIL)
            at = world.coded(pd.DataFrame([trial.params]))
            left = new_within(world, start, found, budget)
            return int(left[np.argmin(((world.codes[left] - at) ** 2).sum(1))])

        return choose

    return made


PROPOSERS: dict[str, Callable[[World, np.ndarray, np.random.Generator], Choose]] = {
    "random": at_random,
    "surrogate": by_surrogate,
    **{name: by_optuna(name) for name in SAMPLERS},
}


def new_within(world: World, start: np.ndarray, found: Sequence[int], budget: float) -> np.ndarray:
    """Return the networks within a budget that are not known yet."""
    left = (world.designs["flops"] <= budget).to_numpy(copy=True)
    left[[*start, *found]] = False
    return np.flatnonzero(left)


def replay(world: World, name: str, repeat: int) -> dict[str, float]:
    """Return what would be handed out for every budget, by its expected score."""
    rng = np.random.default_rng([17, repeat])  # the same start for every proposer
    repeated = np.flatnonzero(world.designs["repeats"] > 1)
    once = np.setdiff1d(np.arange(len(world.designs)), repeated)
    start = np.concatenate([repeated, rng.choice(once, START - len(repeated), replace=False)])
    choose = PROPOSERS[name](world, start, rng)
    seconds = world.designs["seconds"].to_numpy()
    left, found = FURTHER * seconds.mean(), []
    while left > 0:
        found.append(choose(BUDGETS[len(found) % len(BUDGETS)], found))
        left -= seconds[found[-1]]
    known = np.concatenate([start, np.array(found, int)])
    cost, score = (world.designs[column].to_numpy()[known] for column in ("flops", "score"))
    handed = {
        f"{budget:.0e}": 100 * world.expected[known[np.argmax(np.where(cost <= budget, score, -1))]]
        for budget in BUDGETS
    }
    return handed | {"networks": float(len(found))}


def main() -> None:
    """Replay, and print a line per proposer; the file grows with every repeat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--only", nargs="*", default=list(PROPOSERS), choices=list(PROPOSERS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--storage")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    world = World(read_table("ecg-cnn-2320", open_storage(options.storage)))
    rows: list[dict[str, float | str]] = []
    for repeat in range(options.repeats):
        for name in options.only:
            begun = time.process_time()
            row = replay(world, name, repeat)
            rows.append({"by": name, "repeat": repeat, **row, "cpu": time.process_time() - begun})
        if options.out:
            options.out.write_text(json.dumps(rows))
    show(pd.DataFrame(rows))


def show(rows: pd.DataFrame) -> None:
    """Print means, and gains over random proposals by repeat."""
    wide = rows.pivot(index="repeat", columns="by")
    for name in wide["networks"].columns:
        parts = [f"{name:10} {wide['networks'][name].mean():5.1f} networks"]
        for budget in (f"{budget:.0e}" for budget in BUDGETS):
            gain = wide[budget][name] - wide[budget].get("random", np.nan)
            error = gain.std(ddof=1) / np.sqrt(len(gain))
            parts.append(
                f"{budget}: {wide[budget][name].mean():.2f} ({gain.mean():+.2f} ± {error:.2f})"
            )
        print("  ".join(parts), f"  {wide['cpu'][name].mean():.1f} CPU s")


if __name__ == "__main__":
    main()
