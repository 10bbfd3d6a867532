"""Commands on what a study found: confirm it on the test split, derive a family of networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.output import engineering, print_table
from ecgscale.study_commands import StorageOption, StudyArgument

if TYPE_CHECKING:
    from analysis.confirmation.choose import Chosen
    from search.confirm import Candidate
    from search.database.storage import Storage
    from search.study import Study

PANEL = "Results"
BUDGETS = ("10M", "30M", "100M", "300M")

BudgetOption = Annotated[
    list[str] | None,
    typer.Option("--budget", help="FLOPs of one record, e.g. 100M; repeatable. 10M to 300M."),
]
TopOption = Annotated[int, typer.Option(min=1, help="Searched networks per budget.")]
ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(help="A known CNN, fitted into each budget; repeatable. One per family."),
]
SeedsOption = Annotated[int, typer.Option(min=1, help="Fresh seeds per network.")]
RateOption = Annotated[
    list[float] | None,
    typer.Option(
        help="Tried for every network, best on validation; repeatable. The recipe's, or three of "
        "the range that the study drew its rates from."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(confirm)
    app.command(rich_help_panel=PANEL)(family)


def confirm(
    study: StudyArgument,
    budgets: BudgetOption = None,
    top: TopOption = 5,
    reference: ReferenceOption = None,
    seeds: SeedsOption = 3,
    learning_rate: RateOption = None,
    like: Annotated[
        str | None,
        typer.Option(help="Take the candidates that another study confirmed."),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also while planned trials are left.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Although test records were read before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the candidates and plan nothing.")
    ] = False,
    storage: StorageOption = None,
) -> None:
    """Plan fresh-seed trials of the best networks and of known CNNs, scored on the test split.

    Candidates are chosen per budget by their estimated score on validation records. Every one gets
    the same seeds and learning rates under the study's recipe; workers run them like other trials,
    and `report` compares them. The test split is read for nothing else, so plan this once.
    """
    from analysis.confirmation.choose import Chosen
    from search.confirm import confirm_study
    from search.database.storage import open_storage
    from search.definition import parse_count
    from search.errors import StudyError
    from search.status import read_status
    from search.study import open_study

    opened = open_storage(storage)
    found = open_study(study, opened)
    left = read_status(study, opened)
    if not left.done and not (unfinished or like):
        raise StudyError(
            f"expected {study} to be finished, got {left.waiting + left.running} trials left: run "
            "its workers, or choose from what there is with --unfinished"
        )
    if like is not None:
        chosen = Chosen(_candidates_of(like, opened), ())
    else:
        wanted = [parse_count(text, "--budget") for text in budgets or BUDGETS]
        chosen = choose(found, wanted, top, reference)
    show(found, chosen)
    if dry_run:
        return
    planned = confirm_study(
        found, chosen.candidates, seeds=seeds, learning_rates=learning_rate, again=again
    )
    print(f"{planned.planned - found.planned} trials planned. Next: ecgscale worker {study} …")


def family(
    study: StudyArgument,
    out: Annotated[Path, typer.Option(help="Folder for one architecture file per budget.")],
    name: Annotated[str | None, typer.Option(help="Name of the family; the study's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    storage: StorageOption = None,
) -> None:
    """Write the best confirmed network of each budget, with its cost, origin and test score.

    The files work wherever an architecture is asked for: `cost`, `export`, `extend --reference`.
    """
    from search.database.storage import open_storage

    write_family(study, open_storage(storage), out, name=name or study, seed=seed)


def write_family(study: str, storage: Storage, out: Path, *, name: str, seed: int = 0) -> None:
    """Write the family of a confirmed study, and say what it scores."""
    from analysis.confirmation.compare import compare
    from analysis.confirmation.family import derive_family
    from analysis.study import read_table
    from search.records import read_confirmed

    table, confirmed = read_table(study, storage), read_confirmed(study, storage)
    comparison = compare(table, confirmed, seed=seed)
    for member in derive_family(table, comparison, confirmed, name):
        score = member.provenance["test"][comparison.objective]
        flops = member.provenance["costs"][table.cost]
        print(
            f"{member.write(out)}: {engineering(flops, 'FLOPs')}, test {comparison.objective} "
            f"{score['mean']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
        )


def choose(
    study: Study, budgets: Sequence[float], top: int, references: Sequence[str] | None
) -> Chosen:
    """Choose the candidates of each budget from the scores on validation records."""
    from analysis.confirmation.choose import RIVALS, choose_candidates, estimate_scores
    from analysis.errors import AnalysisError
    from analysis.laws_shape import shape_laws
    from analysis.study import read_table

    table = read_table(study.name, study.storage)
    print("Estimating the scores of all networks ...")
    estimated = estimate_scores(table)
    try:
        laws = shape_laws(table)
    except AnalysisError as error:
        print(f"  no law: {error}")
        laws = ()
    return choose_candidates(
        table,
        budgets,
        **study.shape,
        top=top,
        references=RIVALS if references is None else references,
        shrunken=estimated,
        laws=laws,
    )


def _candidates_of(other: str, storage: Storage) -> tuple[Candidate, ...]:
    """Return the candidates of another study's first confirmation."""
    from models import Architecture
    from search.confirm import Candidate, read_confirmations
    from search.errors import StudyError
    from search.records import read_trials
    from search.study import open_study

    rounds = read_confirmations(open_study(other, storage))
    if not rounds:
        raise StudyError(
            f"expected {other} to have a confirmation, got none: run 'ecgscale confirm {other}'"
        )
    frame = read_trials(other, storage)
    known = dict(zip(frame["architecture_hash"], frame["architecture"], strict=True))
    return tuple(
        Candidate(
            Architecture.from_json(known[entry.architecture_hash]),
            entry.budget,
            entry.group,
            entry.name,
        )
        for entry in rounds[0].entries
    )


def show(study: Study, chosen: Chosen) -> None:
    """Print the candidates with their costs, and why others are left out."""
    import pandas as pd

    rows = []
    for one in chosen.candidates:
        cost = one.architecture.cost(**study.shape)
        row = {"budget": engineering(one.budget), "group": one.group, "name": one.name}
        rows.append(row | {"MFLOP": round(cost.flops / 1e6, 2), "params": cost.params})
    print_table(pd.DataFrame(rows))
    for note in chosen.notes:
        print(f"  left out: {note}")
