"""The command `run`: a definition and raw ECGs in, a confirmed study with its report out."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.confirm_commands import (
    BudgetOption,
    ReferenceOption,
    SeedsOption,
    TopOption,
    read_budgets,
    show_candidates,
    write_family,
)
from ecgscale.definition_help import DefinitionCommand
from ecgscale.output import command_name, counted, duration, engineering
from ecgscale.steps import find_or_create, prepare_raw, train
from ecgscale.study_commands import StorageOption

if TYPE_CHECKING:
    from data_pipeline import Store
    from search.database.storage import Storage
    from search.definition import StudyDefinition
    from search.study import Study


RawOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of ECGs, prepared with the default options; a patients.csv (record, "
        "patient) in or beside it keeps each patient in one split."
    ),
]
LayoutOption = Annotated[
    str, typer.Option("--format", help="Layout of the ECGs: challenge, ptb-xl or csv.")
]
StoreOption = Annotated[
    Path | None, typer.Option(metavar="STORE", help="Instead of --raw: a prepared store.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="At most this many; default: --per-gpu on each GPU, or one per core."),
]
ConfirmOption = Annotated[
    bool,
    typer.Option(
        help="Train the best networks and known CNNs anew and score them on the test split, once."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=DefinitionCommand)(run)


def run(
    definition: Annotated[
        Path, typer.Argument(metavar="DEFINITION.toml", help="What the study samples and trains.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")],
    raw: RawOption = None,
    layout: LayoutOption = "challenge",
    data: StoreOption = None,
    workers: WorkersOption = None,
    per_gpu: Annotated[int, typer.Option(min=1, help="Workers that share one GPU.")] = 1,
    confirm: ConfirmOption = True,
    budgets: BudgetOption = None,
    top: TopOption = None,
    reference: ReferenceOption = None,
    seeds: SeedsOption = None,
    storage: StorageOption = None,
) -> None:
    """Walk the whole path for a study: prepare, create, train, confirm, report, family.

    Give the same command again after an interruption, and it goes on. Other machines can help:
    `ecgscale worker` with the same storage and store.

    The keys of the definition stand below, as a file that holds each at its default.
    """
    from search.database.storage import open_storage
    from search.definition import StudyDefinition

    started = time.monotonic()
    _require_one(raw, data)
    planned = StudyDefinition.from_toml(definition)
    wanted = read_budgets(budgets)
    opened = open_storage(storage)
    print(f"[1/5] ECGs in {raw or data}")
    store = _store(raw, data, out, layout)
    study = _study(planned, store, opened)
    fit = partial(train, study.name, store, opened, out, workers=workers, per_gpu=per_gpu)
    print("\n[3/5] Training")
    if code := fit():
        raise typer.Exit(code)
    print("\n[4/5] Confirming")
    if not confirm:
        print("      Left out, as asked for; the test records stay unread.")
    elif _plan_confirmation(study, wanted, top, reference, seeds):
        if code := fit():
            raise typer.Exit(code)
        write_family(study.name, opened, out / "family")
    _report(study, out)
    print(f"Done in {duration(time.monotonic() - started)}.")


def _require_one(raw: Path | None, data: Path | None) -> None:
    from search.errors import StudyError

    if (raw is None) == (data is None):
        raise StudyError(
            "expected either --raw with a folder of ECGs or --data with a prepared store, got "
            f"{'neither' if raw is None else 'both'}: give one"
        )


def _store(raw: Path | None, data: Path | None, out: Path, layout: str) -> Store:
    """Open the given store, or prepare the given ECGs."""
    from data_pipeline import open_store

    if raw is not None:
        return prepare_raw(raw, out / "store", layout)
    assert data is not None
    return open_store(data)


def _study(planned: StudyDefinition, store: Store, storage: Storage) -> Study:
    """Create the study or find it, and say what it is."""
    low, high = planned.sample.flops
    print(
        f"\n[2/5] Study {planned.name}: {planned.planned} trials, "
        f"{planned.sample.architectures} networks from {engineering(low)} to "
        f"{engineering(high, 'FLOPs')}"
    )
    return find_or_create(planned, store, storage)


def _report(study: Study, out: Path) -> None:
    """Analyse the study, keep it as a file, and say where everything is."""
    from analysis.report import write_report
    from ecgscale.analysis_commands import show_step
    from search.reading.transfer import dump_study

    print("\n[5/5] Analysing")
    page = write_report(
        study.name, out / "report", storage=study.storage, publish=True, progress=show_step
    )
    dump_study(study.name, study.storage, out / "study.jsonl.gz")
    print(f"\nReport:    {page.resolve()}")
    print(f"Dashboard: {command_name()} dashboard --storage {study.storage.label}")
    print(f"All of it: {out / 'study.jsonl.gz'}   (ecgscale load)")


def _plan_confirmation(
    study: Study,
    budgets: list[float],
    top: int | None,
    reference: list[str] | None,
    seeds: int | None,
) -> bool:
    """Plan the confirmation unless an earlier run did; False, with the reason, if none can be."""
    from analysis.errors import AnalysisError
    from analysis.questions.confirmation.choose import RIVALS
    from analysis.questions.confirmation.rounds import TOP, choose_first
    from search.confirm import confirm_study, read_confirmations
    from search.database.storage import Unreachable
    from search.errors import StudyError

    if read_confirmations(study):
        print("      Planned before; going on with its trials.")
        return True
    try:
        chosen = choose_first(
            study, budgets=budgets, top=top or TOP, references=reference or RIVALS
        )
        planned = confirm_study(study, chosen.candidates, seeds=seeds)
    except Unreachable:
        raise
    except (AnalysisError, StudyError) as error:
        print(f"      No confirmation: {error}")
        return False
    show_candidates(study, chosen)
    print(f"      {counted(planned.planned - study.planned, 'trial')} with fresh seeds planned.")
    return True
