"""The steps of the whole path, each of which goes on where an earlier run of it stopped."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ecgscale.output import Progress, counted, engineering
from ecgscale.prepare_options import PrepareArguments
from ecgscale.status_view import StatusView
from ecgscale.worker_options import Keep, WorkerArguments

if TYPE_CHECKING:
    from data_pipeline import Store
    from search.database.storage import Storage
    from search.definition import StudyDefinition
    from search.study import Study

POLL_SECONDS = 2.0


def prepare_raw(
    raw: Path,
    out: Path,
    how: PrepareArguments | None = None,
    *,
    jobs: int | None = None,
    quiet: bool = False,
) -> Store:
    """Prepare the ECGs in `raw`, by default on all cores; show what came of it.

    A table of patients in or beside the folder is used where none is named, so that each patient
    stays in one split.
    """
    from data_pipeline import prepare_store
    from data_pipeline.tables import find_patients
    from ecgscale.data_commands import describe_store
    from search.launchers.local import available_cores

    how = how or PrepareArguments()
    if how.patients is None and how.layout != "ptb-xl":  # PTB-XL's tables have them
        how = replace(how, patients=find_patients(raw))
        if how.patients is not None:
            print(f"      Patients from {how.patients}: each stays in one split.")
    jobs = jobs or len(available_cores())
    with Progress("preparing", "records", quiet) as progress:
        store = prepare_store(raw, out, how.options(), jobs=jobs, progress=progress, tell=print)
    describe_store(store)
    return store


def find_or_create(
    definition: StudyDefinition, store: Store, storage: Storage, *, long_first: bool = False
) -> Study:
    """Create the study, or find the one that an earlier run made from the same; say which."""
    from search.study import find_or_create_study

    study, found = find_or_create_study(definition, store, storage, long_first=long_first)
    if found:
        print("      An earlier run made it; going on with its trials.")
    return study


def networks_in_words(definition: StudyDefinition) -> str:
    """Say which networks a study trains."""
    if definition.recipe.init_hash:
        return f"the network of {definition.recipe.init}, its trunk under a new head"
    low, high = definition.sample.flops
    return (
        f"{counted(definition.sample.architectures, 'different network')} from "
        f"{engineering(low)} to {engineering(high, 'FLOPs')}"
    )


def tell_kept(study: Study, folder: Path, keep: Keep | None) -> None:
    """Say which networks will be kept, and what they may take of the disk."""
    from search.kept import KeptNetworks

    print(
        f"Keeping {KeptNetworks(folder, 'best' if keep is Keep.best else 'all', study).describe()}."
    )


@dataclass(frozen=True, slots=True)
class Places:
    """How many workers: at most `workers`, `per_gpu` on each GPU (None: as fit) or one per core."""

    workers: int | None = None
    per_gpu: int | None = 1


def train(
    study: str,
    store: Store,
    storage: Storage,
    out: Path,
    *,
    how: WorkerArguments | None = None,
    places: Places | None = None,
    quiet: bool = False,
) -> int:
    """Keep workers as processes of their own until all trials are done; return the exit code."""
    from search.launchers.local import worker_command

    more = (how or WorkerArguments()).options()
    command = worker_command(study, store.path, out / "checkpoints", more=more)
    code = keep_workers(
        study,
        storage,
        command,
        out / "logs",
        **asdict(places or Places()),
        quiet=quiet,
    )
    if code:
        print("Interrupted; give the same command again, and it goes on from here.")
    return code


def keep_workers(
    study: str,
    storage: Storage,
    command: Sequence[str],
    logs: Path,
    *,
    workers: int | None,
    per_gpu: int | None,
    quiet: bool = False,
) -> int:
    """Keep workers on this machine's GPUs or cores, show their progress; return the exit code."""
    from search.launchers.gpus import visible_gpus, workers_per_gpu
    from search.launchers.local import available_cores, launch_local, plan_slots, worker_bytes
    from search.study import open_study

    gpus = visible_gpus()
    if per_gpu is None:
        size = worker_bytes(open_study(study, storage)) if gpus else 0
        per_gpu = workers_per_gpu(gpus, size, len(available_cores()))
        if gpus:
            print(f"{counted(per_gpu, 'worker')} per GPU: each takes {size / 2**30:.1f} GiB of it.")
    slots = plan_slots(gpus=gpus, per_gpu=per_gpu, workers=workers)
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
