"""The command `run`: a definition and raw ECGs in, a confirmed study with its report out."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.confirm_commands import (
    BudgetOption,
    RateOption,
    ReferenceOption,
    SeedsOption,
    TopOption,
    read_budgets,
    show_candidates,
    write_family,
)
from ecgscale.definition_help import DefinitionCommand
from ecgscale.option_groups import grouped
from ecgscale.output import command_line, command_name, counted, duration
from ecgscale.prepare_options import PrepareArguments
from ecgscale.steps import Places, find_or_create, networks_in_words, prepare_raw, tell_kept, train
from ecgscale.study_commands import LongFirstOption, StartOption, StorageOption
from ecgscale.worker_options import Keep, PerGpuOption, WorkerArguments, read_per_gpu

if TYPE_CHECKING:
    from data_pipeline import Store
    from search.database.storage import Storage
    from search.definition import StudyDefinition
    from search.study import Study


RawOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of ECGs, prepared as the options say; without --patients a patients.csv "
        "(record, patient) in or beside it keeps each patient in one split."
    ),
]
StoreOption = Annotated[
    Path | None, typer.Option(metavar="STORE", help="Instead of --raw: a prepared store.")
]
JobsOption = Annotated[
    int | None,
    typer.Option(min=1, max=1_024, help="Processes that prepare; default: one per core."),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1, max=1_024, help="At most this many; default: --per-gpu on each GPU, or one per core."
    ),
]
ConfirmOption = Annotated[
    bool,
    typer.Option(
        help="Train the best networks and reference architectures anew and score them on the test "
        "split, once."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(cls=DefinitionCommand)(run)


@grouped
def run(
    definition: Annotated[
        Path, typer.Argument(metavar="DEFINITION.toml", help="What the study samples and trains.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")],
    prepared: PrepareArguments,
    how: WorkerArguments,
    raw: RawOption = None,
    data: StoreOption = None,
    jobs: JobsOption = None,
    long_first: LongFirstOption = False,
    workers: WorkersOption = None,
    per_gpu: PerGpuOption = "1",
    confirm: ConfirmOption = True,
    budgets: BudgetOption = None,
    top: TopOption = None,
    reference: ReferenceOption = None,
    seeds: SeedsOption = None,
    learning_rate: RateOption = None,
    storage: StorageOption = None,
    start_within: StartOption = 0.0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Walk the whole path for a study: prepare, create, train, confirm, report, family.

    Trained networks are kept in OUT/networks and, of the family, in OUT/family: for `predict`.
    Give the same command again after an interruption, and it goes on. Other machines can help:
    `ecgscale worker` with the same storage and store.

    The keys of the definition stand below, as a file that holds each at its default.
    """
    from models.find import find_architecture
    from search.definition import StudyDefinition

    started = time.monotonic()
    _require_one(raw, data, prepared)
    how = replace(how, weights=how.weights or out / "networks", keep=how.keep or Keep.best)
    planned = StudyDefinition.from_toml(definition)
    for name in reference or ():
        find_architecture(name)  # told now, not when the training is over
    asked = Confirming(read_budgets(budgets), top, reference, seeds, learning_rate)
    opened = _storage(storage, start_within)
    print(f"[1/5] ECGs in {raw or data}")
    store = _store(raw, data, out, prepared, jobs=jobs, quiet=quiet)
    study = _study(planned, store, opened, long_first=long_first)
    places = Places(workers, read_per_gpu(per_gpu))
    fit = partial(train, study.name, store, opened, out, how=how, places=places, quiet=quiet)
    print("\n[3/5] Training")
    assert how.weights is not None
    tell_kept(study, how.weights, how.keep)
    if code := fit():
        raise typer.Exit(code)
    print("\n[4/5] Confirming")
    if not confirm:
        print("      Left out, as asked for; the test records stay unread.")
    elif _plan_confirmation(study, asked):
        if code := fit():
            raise typer.Exit(code)
        write_family(study.name, opened, out / "family", weights=how.weights)
    _report(study, store, out, how.weights)
    print(f"Done in {duration(time.monotonic() - started)}.")


@dataclass(frozen=True, slots=True)
class Confirming:
    """What was asked for of the confirmation."""

    budgets: list[float]
    top: int | None
    references: list[str] | None
    seeds: int | None
    learning_rates: list[float] | None


def _require_one(raw: Path | None, data: Path | None, prepared: PrepareArguments) -> None:
    from search.errors import StudyError

    if (raw is None) == (data is None):
        raise StudyError(
            "expected either --raw with a folder of ECGs or --data with a prepared store, got "
            f"{'neither' if raw is None else 'both'}: give one"
        )
    if data is not None and prepared != PrepareArguments():
        raise StudyError(
            "expected options of the preparation with --raw alone, got some with --data, a store "
            "that is prepared: give --raw, or leave them out"
        )


def _storage(where: str | None, start_within: float) -> Storage:
    """Open the database, and wait a while for it and its tables."""
    from search.database.schema import require_schema
    from search.database.storage import open_storage, when_there

    opened = open_storage(where, patience_seconds=start_within, say=print)
    when_there(lambda: require_schema(opened), start_within, print)
    return opened


def _store(
    raw: Path | None,
    data: Path | None,
    out: Path,
    prepared: PrepareArguments,
    *,
    jobs: int | None,
    quiet: bool,
) -> Store:
    """Open the given store, or prepare the given ECGs."""
    from data_pipeline import open_store

    if raw is not None:
        return prepare_raw(raw, out / "store", prepared, jobs=jobs, quiet=quiet)
    assert data is not None
    return open_store(data)


def _study(planned: StudyDefinition, store: Store, storage: Storage, *, long_first: bool) -> Study:
    """Create the study or find it, and say what it is."""
    trials = counted(planned.planned, "trial")
    print(f"\n[2/5] Study {planned.name}: {trials}, {networks_in_words(planned)}")
    return find_or_create(planned, store, storage, long_first=long_first)


def _report(study: Study, store: Store, out: Path, weights: Path) -> None:
    """Analyse the study, keep it as a file, and say where everything is."""
    from analysis.report import write_report
    from ecgscale.analysis_commands import show_step
    from search.kept import KeptNetworks
    from search.reading.transfer import dump_study

    print("\n[5/5] Analysing")
    page = write_report(
        study.name,
        out / "report",
        storage=study.storage,
        data=store.path,
        publish=True,
        progress=show_step,
    )
    dump_study(study.name, study.storage, out / "study.jsonl.gz")
    print(f"\nReport:    {page.resolve()}")
    print(f"Dashboard: {command_name()} dashboard --storage {study.storage.label}")
    print(f"All of it: {out / 'study.jsonl.gz'}   (ecgscale load)")
    for path in KeptNetworks(weights, "best", study).kept():
        print(f"Network:   {command_line('predict', path, 'ECG...')}")


def _plan_confirmation(study: Study, asked: Confirming) -> bool:
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
            study,
            budgets=asked.budgets,
            top=asked.top or TOP,
            references=asked.references or RIVALS,
        )
        planned = confirm_study(
            study, chosen.candidates, seeds=asked.seeds, learning_rates=asked.learning_rates
        )
    except Unreachable:
        raise
    except (AnalysisError, StudyError) as error:
        print(f"      No confirmation: {error}")
        return False
    show_candidates(study, chosen)
    print(f"      {counted(planned.planned - study.planned, 'trial')} with fresh seeds planned.")
    return True
