"""The steps of the whole path, each of which goes on where an earlier run of it stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ecgscale.output import Progress, engineering, print_table
from ecgscale.status_view import StatusView

if TYPE_CHECKING:
    from analysis.confirmation.choose import Chosen
    from data_pipeline import Store
    from search.database.storage import Storage
    from search.definition import StudyDefinition
    from search.study import Study

POLL_SECONDS = 2.0
PATIENTS_FILE = "patients.csv"
BUDGETS = ("10M", "30M", "100M", "300M", "1G")


def prepare_raw(raw: Path, out: Path, layout: str = "challenge") -> Store:
    """Prepare the ECGs in `raw` with the default options, on all cores; show what came of it.

    A table of patients in or beside the folder is used, so that each patient stays in one split.
    """
    from data_pipeline import PrepareOptions, prepare_store
    from ecgscale.data_commands import describe_store
    from search.launchers.local import available_cores

    patients = next(
        (
            folder / PATIENTS_FILE
            for folder in (raw, raw.parent)
            if layout != "ptb-xl" and (folder / PATIENTS_FILE).is_file()
        ),
        None,
    )
    if patients is not None:
        print(f"      Patients from {patients}: each stays in one split.")
    options = PrepareOptions(layout=layout, patients=patients)  # type: ignore[arg-type]
    with Progress("preparing", "records") as progress:
        store = prepare_store(
            raw, out, options, jobs=len(available_cores()), progress=progress, tell=print
        )
    describe_store(store)
    return store


def find_or_create(definition: StudyDefinition, store: Store, storage: Storage) -> Study:
    """Create the study, or find the one that an earlier run made from the same."""
    from search.errors import StudyError
    from search.study import create_study, open_study, study_names

    if definition.name not in study_names(storage):
        return create_study(definition, store, storage)
    found = open_study(definition.name, storage)
    if found.definition != definition or found.data_hash != store.hash:
        raise StudyError(
            f"expected the study {definition.name} in {storage.label} to be this one, got one on "
            "other data or with other settings: change its name, or give another --storage"
        )
    print("      An earlier run made it; going on with its trials.")
    return found


def train(
    study: str,
    store: Store,
    storage: Storage,
    out: Path,
    *,
    workers: int | None = None,
    per_gpu: int = 1,
) -> None:
    """Keep workers as processes of their own until all trials are done; leave when told to."""
    from search.launchers.local import worker_command

    command = worker_command(study, store.path, out / "checkpoints")
    code = keep_workers(study, storage, command, out / "logs", workers=workers, per_gpu=per_gpu)
    if code:
        print("Interrupted; give the same command again, and it goes on from here.")
        raise typer.Exit(code)


def keep_workers(
    study: str,
    storage: Storage,
    command: Sequence[str],
    logs: Path,
    *,
    workers: int | None,
    per_gpu: int,
    quiet: bool = False,
) -> int:
    """Keep workers on this machine's GPUs or cores, show their progress; return the exit code."""
    from search.launchers.local import available_gpus, launch_local, plan_slots

    slots = plan_slots(gpus=available_gpus(), per_gpu=per_gpu, workers=workers)
    with StatusView(quiet=quiet, stream=sys.stderr) as view:
        return launch_local(
            study,
            storage,
            command,
            slots,
            logs=logs,
            on_status=view,
            every_seconds=POLL_SECONDS,
            say=partial(print, file=sys.stderr, flush=True),
        )


def budgets_within(flops: tuple[float, float], asked: Sequence[str] | None) -> list[float]:
    """Return the budgets asked for; by default the usual ones within a study's range of FLOPs."""
    from search.definition import parse_count

    if asked:
        return [parse_count(text, "--budget") for text in asked]
    usual = [parse_count(text) for text in BUDGETS]
    return [budget for budget in usual if flops[0] < budget <= flops[1]] or [flops[1]]


def find_candidates(
    study: Study, budgets: Sequence[float], top: int, references: Sequence[str] | None
) -> Chosen:
    """Choose the candidates of each budget from the scores on validation records."""
    from analysis.confirmation.choose import RIVALS, choose_candidates, estimate_scores
    from analysis.errors import AnalysisError
    from analysis.laws.shape import shape_laws
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
        print(f"  left out: {note}")


def write_family(study: str, storage: Storage, out: Path, *, name: str, seed: int = 0) -> None:
    """Write the family of a confirmed study, and say what it scores."""
    from analysis.confirmation.compare import compare
    from analysis.confirmation.family import derive_family
    from analysis.study import read_table
    from search.reading.records import read_confirmed

    table, confirmed = read_table(study, storage), read_confirmed(study, storage)
    comparison = compare(table, confirmed, seed=seed)
    for member in derive_family(table, comparison, confirmed, name):
        score = member.provenance["test"][comparison.objective]
        flops = member.provenance["costs"][table.cost]
        print(
            f"{member.write(out)}: {engineering(flops, 'FLOPs')}, test {comparison.objective} "
            f"{score['mean']:.3f} ({score['low']:.3f} to {score['high']:.3f})"
        )
