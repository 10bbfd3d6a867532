"""The steps of the whole path, each of which goes on where an earlier run of it stopped."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ecgscale.output import Progress
from ecgscale.status_view import StatusView

if TYPE_CHECKING:
    from data_pipeline import Store
    from search.database.storage import Storage
    from search.definition import StudyDefinition
    from search.study import Study

POLL_SECONDS = 2.0
PLAIN_INTERVAL_SECONDS = 20.0
PATIENTS_FILE = "patients.csv"


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
        store = prepare_store(raw, out, options, jobs=len(available_cores()), progress=progress)
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
            "other data or with other settings: give it another name, or another --out or "
            "--storage"
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
    poll_seconds: float = POLL_SECONDS,
) -> None:
    """Keep workers as processes of their own until all trials are done; leave when told to."""
    from search.launchers.local import available_gpus, launch_local, plan_slots, worker_command

    with StatusView(stream=sys.stderr, interval_seconds=PLAIN_INTERVAL_SECONDS) as view:
        code = launch_local(
            study,
            storage,
            worker_command(study, store.path, out / "checkpoints"),
            plan_slots(gpus=available_gpus(), per_gpu=per_gpu, workers=workers),
            logs=out / "logs",
            on_status=view,
            every_seconds=poll_seconds,
            say=partial(print, file=sys.stderr, flush=True),
        )
    if code:
        print("Interrupted; give the same command again, and it goes on from here.")
        raise typer.Exit(code)


def command_name() -> str:
    """Name the command as this user can type it, inside a virtual environment or not."""
    beside = Path(sys.executable).parent / "ecgscale"
    return os.path.relpath(beside) if beside.is_file() else "ecgscale"
