"""Commands of the confirmation on the test split: plan it, and derive a family of networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.option_groups import MOST_SEED
from ecgscale.output import command_line, counted, engineering, print_table
from ecgscale.study_commands import StorageOption, StudyArgument

if TYPE_CHECKING:
    from analysis.questions.confirmation.choose import Chosen
    from search.database.storage import Storage
    from search.study import Study

PANEL = "Results"

BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        help="FLOPs of one record, e.g. 100M; repeatable. Default: those of 10M, 30M, 100M, 300M "
        "and 1G within the study's range.",
    ),
]
TopOption = Annotated[
    int | None, typer.Option(min=1, max=1_000, help="Searched networks per budget. Default: 5.")
]
ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A reference architecture, fitted into each budget; repeatable. Default: resnet18, "
        "xresnet1d50, resnet1d-wang, inception1d, ribeiro, net1d, mobilenetv2, efficientnet-b0, "
        "regnetx-200mf, convnext-atto."
    ),
]
SeedsOption = Annotated[
    int | None, typer.Option(min=1, max=1_000, help="Fresh seeds per network. Default: 3.")
]
RateOption = Annotated[
    list[float] | None,
    typer.Option(
        help="Tried for every network, the best on validation counts; repeatable. Default: the "
        "recipe's, or three of the range that the study drew its rates from."
    ),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show the candidates and plan nothing.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(confirm)
    app.command("confirm-references", rich_help_panel=PANEL)(confirm_references)
    app.command("confirm-like", rich_help_panel=PANEL)(confirm_like)
    app.command(rich_help_panel=PANEL)(family)


def confirm(
    study: StudyArgument,
    budgets: BudgetOption = None,
    top: TopOption = None,
    reference: ReferenceOption = None,
    seeds: SeedsOption = None,
    learning_rate: RateOption = None,
    unfinished: Annotated[
        bool,
        typer.Option("--unfinished", help="Choose candidates although planned trials are left."),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Confirm searched networks once more, although test records were read before: the "
            "report keeps them out of its comparison, as they may have been chosen by test scores. "
            "Reference architectures are brought in by confirm-references.",
        ),
    ] = False,
    dry_run: DryRunOption = False,
    storage: StorageOption = None,
) -> None:
    """Plan fresh-seed trials of the best networks and reference architectures, on the test split.

    Candidates are chosen per budget by their estimated score on validation records. Every one gets
    the same seeds and learning rates under the study's recipe; workers run them like other trials,
    and `report` compares them. The test split is read for nothing else, so plan this once.
    """
    from analysis.questions.confirmation.choose import RIVALS
    from analysis.questions.confirmation.rounds import TOP, choose_first
    from search.database.storage import open_storage
    from search.study import open_study

    found = open_study(study, open_storage(storage))
    wanted = read_budgets(budgets)
    print("Estimating the scores of all networks ...")
    chosen = choose_first(
        found,
        budgets=wanted,
        top=top or TOP,
        references=reference or RIVALS,
        unfinished=unfinished,
        again=again,
    )
    _plan(found, chosen, dry_run, storage, seeds=seeds, learning_rates=learning_rate, again=again)


def confirm_references(
    study: StudyArgument,
    budgets: Annotated[
        list[str] | None,
        typer.Option(
            "--budget", help="One of the confirmation's; repeatable. Default: all of them."
        ),
    ] = None,
    reference: ReferenceOption = None,
    dry_run: DryRunOption = False,
    storage: StorageOption = None,
) -> None:
    """Bring further reference architectures into the confirmation that a study has.

    A reference architecture is fitted into its budget by rule, not by scores: it counts although
    test records were read before. It gets the seeds and learning rates that the others had.
    """
    from analysis.questions.confirmation.choose import RIVALS
    from analysis.questions.confirmation.rounds import choose_further_references
    from search.database.storage import open_storage
    from search.study import open_study

    found = open_study(study, open_storage(storage))
    chosen = choose_further_references(
        found, budgets=read_budgets(budgets), references=reference or RIVALS
    )
    _plan(found, chosen, dry_run, storage, again=True)


def confirm_like(
    study: StudyArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="A study with a confirmation.")],
    budgets: Annotated[
        list[str] | None,
        typer.Option("--budget", help="Only this budget of OTHER; repeatable."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, max=1_000, help="Only the first searched networks of each budget."),
    ] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="Only this reference architecture; repeatable.")
    ] = None,
    seeds: SeedsOption = None,
    learning_rate: RateOption = None,
    dry_run: DryRunOption = False,
    storage: StorageOption = None,
) -> None:
    """Plan fresh-seed trials, under this study's recipe and data, of what another study confirmed.

    It shows whether a comparison holds elsewhere: with less data, on a hospital that no training
    record came from. Nothing is chosen anew.
    """
    from analysis.questions.confirmation.rounds import choose_like
    from search.database.storage import open_storage
    from search.study import open_study

    found = open_study(study, open_storage(storage))
    chosen = choose_like(
        found, other, budgets=read_budgets(budgets), top=top, references=reference or ()
    )
    _plan(found, chosen, dry_run, storage, seeds=seeds, learning_rates=learning_rate)


def family(
    study: StudyArgument,
    out: Annotated[Path, typer.Option(help="Folder for one architecture file per budget.")],
    name: Annotated[str | None, typer.Option(help="Name of the family; the study's.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of the bootstrap.")] = 0,
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder where workers kept networks: writes the trained ones, too."),
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Write one confirmed network per budget, with its cost, origin and test score.

    It is the searched one with the best estimate from before the confirmation, or the scaling law's
    where that won on test records.

    The files work wherever an architecture is asked for: `cost`, `export`, `extend --reference`.
    """
    from search.database.storage import open_storage

    write_family(study, open_storage(storage), out, name=name, seed=seed, weights=weights)


def read_budgets(texts: Sequence[str] | None) -> list[float]:
    """Read the budgets that were given."""
    from search.definition import parse_count

    return [parse_count(text, "--budget") for text in texts or ()]


def show_candidates(study: Study, chosen: Chosen) -> None:
    """Print the candidates with their costs, and why others are left out."""
    import pandas as pd

    rows = []
    for one in chosen.candidates:
        cost = one.architecture.cost(**study.shape)
        row = {"budget": engineering(one.budget), "group": one.group, "name": one.name}
        rows.append(row | {"MFLOP": round(cost.flops / 1e6, 2), "params": cost.params})
    print_table(pd.DataFrame(rows))
    for note in chosen.notes:
        print(f"  excluded: {note}")


def write_family(
    study: str,
    storage: Storage,
    out: Path,
    *,
    name: str | None = None,
    seed: int = 0,
    weights: Path | None = None,
) -> None:
    """Write the family of a confirmed study, with trained networks from `weights`; say its scores.

    Of the trainings of a network the one with the best validation score is handed out.
    """
    from analysis.questions.confirmation.family import find_family
    from search.kept import KeptNetworks
    from search.study import open_study

    found = open_study(study, storage)
    for member in find_family(study, storage, name=name, seed=seed):
        test = member.test
        print(
            f"{member.write(out)}: {engineering(member.flops, 'FLOPs')}, test {member.metric} "
            f"{test.estimate:.3f} ({test.low:.3f} to {test.high:.3f})"
        )
        if weights is None:
            continue
        path = member.write_network(out, KeptNetworks(weights, "best", found).path(member.trial))
        if path is not None:
            print(f"  trained: {path}   ({command_line('predict', path, 'ECG...')})")
        else:
            again = ("--data", "STORE", "--out", out / f"{member.name}.safetensors")
            train = command_line("export", study, "--trial", member.trial, *again)
            print(f"  trained: none was kept in {weights}; train it again: {train}")


def _plan(
    study: Study,
    chosen: Chosen,
    dry_run: bool,
    storage: str | None,
    *,
    seeds: int | None = None,
    learning_rates: Sequence[float] | None = None,
    again: bool = False,
) -> None:
    """Show the candidates, and plan their trials unless this is a rehearsal."""
    from search.confirm import confirm_study

    show_candidates(study, chosen)
    if dry_run:
        return
    planned = confirm_study(
        study, chosen.candidates, seeds=seeds, learning_rates=learning_rates, again=again
    )
    following = command_line("worker", study.name, "--data", "STORE", storage=storage)
    new = counted(planned.planned - study.planned, "trial")
    print(f"{new} planned. Next: {following}")
