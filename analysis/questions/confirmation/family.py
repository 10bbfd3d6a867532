"""A family of networks, one per budget, with where each came from and what it scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from analysis.page.quantities import short
from analysis.questions.confirmation.compare import compare
from analysis.questions.confirmation.results import LAW, Comparison, Contestant
from analysis.stats.interval import Interval
from analysis.trials.find import read_table
from analysis.trials.table import TrialTable
from models import Architecture
from search.database.storage import Storage
from search.reading.records import Confirmed, read_confirmed
from search.training.metric_table import TESTED

SIZES = {1e7: "xs", 3e7: "s", 1e8: "m", 3e8: "l", 1e9: "xl"}


@dataclass(frozen=True, slots=True)
class Member:
    """A network of the family, with its FLOPs and its score by `metric` on the test records.

    `provenance` is plain data for the file beside its layers. `trial` is the number of its best
    confirmation by validation score, whose network is handed out; `trial_test` its test scores.
    """

    name: str
    architecture: Architecture
    flops: float
    metric: str
    test: Interval
    provenance: Mapping[str, Any]
    trial: int
    trial_test: Mapping[str, float]

    def write(self, folder: Path) -> Path:
        """Write the member as an architecture file that `ecgscale` reads by its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        content = {**json.loads(self.architecture.to_json()), "provenance": self.provenance}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return path

    def write_network(self, folder: Path, kept: Path) -> Path | None:
        """Write the network that a worker kept under the member's name; None where there is none.

        Its card gets the scores that this training had on the test records.
        """
        from models.export import load_network, save_network

        if not kept.is_file():
            return None
        trained: Any = load_network(kept)
        scores = {**trained.card.scores, **self.trial_test}
        card = replace(trained.card, name=self.name, scores=scores)
        return save_network(folder / f"{self.name}.safetensors", self.architecture, trained, card)[
            0
        ]


def find_family(
    study: str, storage: Storage, *, name: str | None = None, seed: int = 0
) -> tuple[Member, ...]:
    """Derive the family of a confirmed study, called like it unless by `name`."""
    table, confirmed = read_table(study, storage), read_confirmed(study, storage)
    return derive_family(table, compare(table, confirmed, seed=seed), confirmed, name or study)


def derive_family(
    table: TrialTable, comparison: Comparison, confirmed: Confirmed, name: str
) -> tuple[Member, ...]:
    """Take for each budget the law's network where the law won, else the searched one.

    The law has won at a budget if its networks score significantly higher (Holm-adjusted) on the
    test records than those against it. Within a group the order of the candidates decides, that of
    the estimates from before the confirmation, so that the test score stays an honest one.
    """
    stored = confirmed.trials.drop_duplicates("architecture_hash").set_index("architecture_hash")
    members = []
    for budget in comparison.budgets:
        groups = ("law",) if _law_won(comparison, budget) else ("searched", "law")
        chosen = comparison.chosen(budget, groups)
        if chosen is None:
            continue
        layers = Architecture.from_json(str(stored.loc[chosen.architecture_hash, "architecture"]))
        called = f"{name}-{SIZES.get(budget, short(budget).replace(' ', ''))}"
        trial = _best_trial(confirmed.trials, chosen, comparison.objective)
        members.append(
            Member(
                called,
                Architecture(called, layers.layers, layers.factors),
                chosen.costs[table.cost],
                comparison.primary,
                chosen.test[comparison.primary],
                _provenance(table, comparison, chosen, groups) | {"trial": int(trial["trial"])},
                int(trial["trial"]),
                {n.replace("_", " ", 1): float(trial[n]) for n in TESTED if n in trial},
            )
        )
    if not members:
        raise AnalysisError(
            "Expected a confirmed network of the study in at least one budget, got none: run the "
            "workers until the confirmation is done."
        )
    return tuple(members)


def _best_trial(trials: pd.DataFrame, chosen: Contestant, objective: str) -> pd.Series:
    """Return the training of a network with the best validation score, the first of equal ones."""
    own = trials["architecture_hash"] == chosen.architecture_hash
    own &= trials["learning_rate"] == chosen.learning_rate
    best: pd.Series = trials[own].sort_values(objective, ascending=False, kind="stable").iloc[0]
    return best


def _law_won(comparison: Comparison, budget: float) -> bool:
    return any(pair.better for pair in comparison.compared(LAW) if pair.budget == budget)


def _provenance(
    table: TrialTable, comparison: Comparison, chosen: Contestant, groups: tuple[str, ...]
) -> dict[str, Any]:
    definition, data = table.study.definition, table.study.data
    return {
        "study": table.study.name,
        "chosen": "by the law" if groups == ("law",) else "first of the confirmed by its estimate",
        "budget_flops": chosen.budget,
        "input": {key: data[key] for key in ("leads", "samples", "outputs") if key in data},
        "costs": dict(chosen.costs),
        "seeds": chosen.seeds,
        "learning_rate": chosen.learning_rate,
        "validation": {comparison.objective: chosen.validation},
        "test": {
            metric: {"mean": score.estimate, "low": score.low, "high": score.high}
            for metric, score in chosen.test.items()
        },
        "test_records": comparison.records,
        "test_patients": comparison.patients,
        "data_hash": data.get("hash"),
        "synthetic_data": table.study.synthetic,
        "recipe": definition.get("recipe"),
    }
