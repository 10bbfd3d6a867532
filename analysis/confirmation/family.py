"""A family of networks, one per budget, with where each came from and what it scored."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.confirmation.results import Comparison, Contestant
from analysis.errors import AnalysisError
from analysis.quantities import short
from analysis.trials import TrialTable
from models import Architecture
from search.records import Confirmed

SIZES = {1e7: "xs", 3e7: "s", 1e8: "m", 3e8: "l", 1e9: "xl"}


@dataclass(frozen=True, slots=True)
class Member:
    """A network of the family; `provenance` is plain data for the file beside its layers."""

    name: str
    architecture: Architecture
    provenance: Mapping[str, Any]

    def write(self, folder: Path) -> Path:
        """Write the member as an architecture file that `ecgscale` reads by its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        content = {**json.loads(self.architecture.to_json()), "provenance": self.provenance}
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        return path


def derive_family(
    table: TrialTable, comparison: Comparison, confirmed: Confirmed, name: str
) -> tuple[Member, ...]:
    """Take for each budget the law's network where the law won, else the best confirmed one.

    The law has won at a budget if its networks beat those against it on the test records, with the
    95 % interval above 0; a law that does not is withdrawn. Within a group the validation score
    decides, so that the test score stays an honest one.
    """
    stored = confirmed.trials.drop_duplicates("architecture_hash").set_index("architecture_hash")
    members = []
    for budget in comparison.budgets:
        groups = ("law",) if _law_won(comparison, budget) else ("searched", "law")
        best = comparison.best(budget, groups)
        if best is None:
            continue
        layers = Architecture.from_json(str(stored.loc[best.architecture_hash, "architecture"]))
        called = f"{name}-{SIZES.get(budget, short(budget).replace(' ', ''))}"
        member = Architecture(called, layers.layers, layers.factors)
        members.append(Member(called, member, _provenance(table, comparison, best, groups)))
    if not members:
        raise AnalysisError(
            "Expected a confirmed network of the study in at least one budget, got none: run the "
            "workers until the confirmation is done."
        )
    return tuple(members)


def _law_won(comparison: Comparison, budget: float) -> bool:
    return any(
        d.budget == budget
        and d.kind == "law against its opposite"
        and d.metric == comparison.objective
        and d.estimate.low > 0
        for d in comparison.differences
    )


def _provenance(
    table: TrialTable, comparison: Comparison, best: Contestant, groups: tuple[str, ...]
) -> dict[str, Any]:
    definition, data = table.study.definition, table.study.data
    return {
        "study": table.study.name,
        "chosen": "by the law" if groups == ("law",) else "best confirmed on validation records",
        "budget_flops": best.budget,
        "input": {key: data[key] for key in ("leads", "samples", "outputs") if key in data},
        "costs": dict(best.costs),
        "seeds": best.seeds,
        "learning_rate": best.learning_rate,
        "validation": {comparison.objective: best.validation},
        "test": {
            metric: {"mean": score.value, "low": score.low, "high": score.high}
            for metric, score in best.test.items()
        },
        "test_records": comparison.records,
        "test_patients": comparison.patients,
        "data_hash": data.get("hash"),
        "synthetic_data": table.study.synthetic,
        "recipe": definition.get("recipe"),
    }
