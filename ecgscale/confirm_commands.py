"""Commands on what a study found: confirm it on the test split, derive a family of networks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.output import command_line, counted, engineering
from ecgscale.steps import budgets_within, find_candidates, show_candidates, write_family
from ecgscale.study_commands import StorageOption, StudyArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analysis.confirmation.choose import Chosen
    from search.confirm import Candidate, Confirmation
    from search.database.storage import Storage

PANEL = "Results"
TOP = 5

BudgetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--budget",
        help="FLOPs of one record, e.g. 100M; repeatable. Default: those of 10M, 30M, 100M, 300M "
        "and 1G within the study's range.",
    ),
]
TopOption = Annotated[
    int | None, typer.Option(min=1, help="Searched networks per budget. Default: 5.")
]
ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="A known CNN, fitted into each budget; repeatable. Default: resnet18, xresnet1d50, "
        "resnet1d-wang, inception1d, ribeiro, net1d, mobilenetv2, efficientnet-b0, regnetx-200mf, "
        "convnext-atto."
    ),
]
SeedsOption = Annotated[
    int | None,
    typer.Option(min=1, help="Fresh seeds per network. Default: 3, or those of the first time."),
]
RateOption = Annotated[
    list[float] | None,
    typer.Option(
        help="Tried for every network, the best on validation counts; repeatable. Default: the "
        "recipe's, or three of the range that the study drew its rates from."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(confirm)
    app.command(rich_help_panel=PANEL)(family)


def confirm(
    study: StudyArgument,
    budgets: BudgetOption = None,
    top: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Searched networks per budget. Default: 5. With --again 0 brings in known ones "
            "alone.",
        ),
    ] = None,
    reference: ReferenceOption = None,
    seeds: SeedsOption = None,
    learning_rate: RateOption = None,
    like: Annotated[
        str | None,
        typer.Option(
            help="Take the candidates that another study confirmed: all, or those that --budget, "
            "--top and --reference leave."
        ),
    ] = None,
    unfinished: Annotated[
        bool,
        typer.Option("--unfinished", help="Choose candidates although planned trials are left."),
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            help="Confirm once more, although test records were read before. Known networks alone "
            "(--top 0) join the comparison; searched ones, chosen late, are kept out of it.",
        ),
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
    from analysis.confirmation.choose import RIVALS, Chosen, choose_references
    from search.confirm import confirm_study, read_confirmations
    from search.database.storage import open_storage
    from search.errors import StudyError
    from search.reading.status import read_status
    from search.study import open_study

    opened = open_storage(storage)
    found = open_study(study, opened)
    left = read_status(study, opened)
    if not left.done and not (unfinished or like or top == 0):
        raise StudyError(
            f"expected {study} to be finished, got {left.waiting + left.running} trials left: run "
            "its workers, or choose from what there is with --unfinished"
        )
    earlier = read_confirmations(found)
    if top == 0 and (like or not earlier):
        raise StudyError(
            "expected --top of at least 1, got 0: known networks alone can only be brought into a "
            f"confirmation that {study} has, and without --like"
        )
    if earlier and not budgets:
        wanted = sorted({entry.budget for entry in earlier[0].entries})
    else:
        wanted = budgets_within(found.definition.sample.flops, budgets)
    if like is not None:
        chosen = Chosen(_candidates_of(like, opened, budgets, top, reference), ())
    elif top == 0:
        known = choose_references(wanted, **found.shape, references=reference or RIVALS)
        chosen = _not_yet(known, earlier)
    else:
        chosen = find_candidates(found, wanted, top or TOP, reference)
    show_candidates(found, chosen)
    if dry_run:
        return
    planned = confirm_study(
        found, chosen.candidates, seeds=seeds, learning_rates=learning_rate, again=again
    )
    new = counted(planned.planned - found.planned, "trial")
    following = command_line("worker", study, "--data", "STORE", storage=storage)
    print(f"{new} planned. Next: {following}")


def family(
    study: StudyArgument,
    out: Annotated[Path, typer.Option(help="Folder for one architecture file per budget.")],
    name: Annotated[str | None, typer.Option(help="Name of the family; the study's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    storage: StorageOption = None,
) -> None:
    """Write one confirmed network per budget, with its cost, origin and test score.

    It is the searched one with the best estimate from before the confirmation, or the scaling law's
    where that won on test records.

    The files work wherever an architecture is asked for: `cost`, `export`, `extend --reference`.
    """
    from search.database.storage import open_storage

    write_family(study, open_storage(storage), out, name=name or study, seed=seed)


def _not_yet(chosen: Chosen, earlier: Sequence[Confirmation]) -> Chosen:
    """Leave out what an earlier round has: more seeds for it would not count."""
    from search.errors import StudyError

    had = {(entry.budget, entry.architecture_hash) for one in earlier for entry in one.entries}
    left = tuple(c for c in chosen.candidates if (c.budget, c.architecture.hash) not in had)
    if not left:
        raise StudyError(
            "expected a known network that is not in the confirmation yet, got none: name one "
            "with --reference, and its budget with --budget"
            + "".join(f"; {note}" for note in chosen.notes)
        )
    return replace(chosen, candidates=left)


def _candidates_of(
    other: str,
    storage: Storage,
    budgets: Sequence[str] | None,
    top: int | None,
    references: Sequence[str] | None,
) -> tuple[Candidate, ...]:
    """Return the candidates of another study's first confirmation, or those asked for of them."""
    from models import Architecture
    from search.confirm import Candidate, read_confirmations
    from search.definition import parse_count
    from search.errors import StudyError
    from search.reading.records import read_trials
    from search.study import open_study

    rounds = read_confirmations(open_study(other, storage))
    if not rounds:
        raise StudyError(
            f"expected {other} to have a confirmation, got none: run 'ecgscale confirm {other}'"
        )
    frame = read_trials(other, storage)
    known = dict(zip(frame["architecture_hash"], frame["architecture"], strict=True))
    asked = {parse_count(text, "--budget") for text in budgets or ()}
    found: list[Candidate] = []
    for entry in rounds[0].entries:
        alike = [one for one in found if (one.budget, one.group) == (entry.budget, entry.group)]
        base = entry.name.partition("@")[0]
        if (
            (asked and entry.budget not in asked)
            or (top and entry.group == "searched" and len(alike) == top)
            or (references and entry.group == "reference" and base not in references)
        ):
            continue
        network = Architecture.from_json(known[entry.architecture_hash])
        found.append(Candidate(network, entry.budget, entry.group, entry.name))
    if not found:
        there = ", ".join(engineering(one) for one in sorted({e.budget for e in rounds[0].entries}))
        raise StudyError(
            f"expected --budget out of those that {other} confirmed, got none of them: there are "
            f"{there}"
        )
    return tuple(found)
