"""The command that plans networks proposed for what a study's random ones scored."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.confirm_commands import BudgetOption, DryRunOption, read_budgets
from ecgscale.output import command_line, counted, engineering, print_table
from ecgscale.study_commands import StorageOption, StudyArgument

if TYPE_CHECKING:
    from analysis.questions.budgets.propose import Proposal


class Sampler(StrEnum):
    """Optuna's samplers that may propose networks."""

    tpe = "tpe"
    gp = "gp"
    nsga2 = "nsga2"


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Studies")(refine)


def refine(
    study: StudyArgument,
    budgets: BudgetOption = None,
    networks: Annotated[
        int, typer.Option(min=1, max=20_000, help="Networks to train, as many for each budget.")
    ] = 20,
    candidates: Annotated[
        int,
        typer.Option(
            min=100, max=10_000_000, help="Networks of the space that the surrogate chooses from."
        ),
    ] = 100_000,
    sampler: Annotated[
        Sampler | None,
        typer.Option(help="Let one of Optuna's samplers propose, in place of the surrogate."),
    ] = None,
    halving: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10_000,
            help="End those that are in the worse half of the proposed ones of like FLOPs after "
            "this epoch; the first four of each bin go on.",
        ),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Propose although planned trials are left.")
    ] = False,
    dry_run: DryRunOption = False,
    storage: StorageOption = None,
) -> None:
    """Plan networks that a model of the trials expects to beat the best within each budget.

    Workers train them like the others; then refine again, as often as it pays: each round learns
    from those before. Recommendations and confirmations choose from them, too. Effects,
    importances, laws and distributions stay those of the random sample.
    """
    from analysis.questions.budgets.refine import choose_refinements
    from search.database.storage import open_storage
    from search.study import extend_study, open_study
    from search.trials.plan import Extension

    found = open_study(study, open_storage(storage))
    if sampler is None:
        print(f"Predicting the scores of {candidates:,} networks ...", flush=True)
    chosen = choose_refinements(
        found,
        budgets=read_budgets(budgets),
        count=networks,
        candidates=candidates,
        sampler=sampler,
        unfinished=unfinished,
    )
    _show(chosen)
    if dry_run:
        return
    architectures = tuple(one.architecture for one in chosen)
    extended = extend_study(found, Extension(refinements=architectures, halving=halving))
    further = counted(extended.planned - found.planned, "further trial")
    following = command_line("worker", study, "--data", "STORE", storage=storage)
    print(f"Study {study}: {further}, {extended.planned:,} now. Next: {following}")


def _show(chosen: Sequence[Proposal]) -> None:
    import pandas as pd

    print_table(pd.DataFrame([_row(one) for one in sorted(chosen, key=_best_first)]))


def _best_first(one: Proposal) -> tuple[float, float]:
    return one.budget, -one.outlook.expected if one.outlook else one.flops


def _row(one: Proposal) -> dict[str, str]:
    row = {
        "budget": engineering(one.budget),
        "network": one.architecture.hash[:8],
        "FLOPs": engineering(one.flops),
    }
    if one.outlook is None:
        return row
    return row | {
        "expected": f"{one.outlook.expected:.4f}",
        "sd": f"{one.outlook.sd:.4f}",
        "P(beats the best)": f"{one.outlook.probability:.0%}",
    }
