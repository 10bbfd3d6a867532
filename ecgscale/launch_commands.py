"""Commands that place workers: launch local, launch slurm, launch kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.output import Progress
from ecgscale.study_commands import (
    PANEL,
    CheckpointsOption,
    DataOption,
    StorageOption,
    StudyArgument,
)

if TYPE_CHECKING:
    from search.database.storage import Storage

launch = typer.Typer(name="launch", help="Place workers on machines.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.add_typer(launch, rich_help_panel=PANEL)


@launch.command("local")
def launch_local(
    study: StudyArgument,
    data: DataOption,
    storage: StorageOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="How many in all; default: one per GPU, or per core.")
    ] = None,
    per_gpu: Annotated[int, typer.Option(min=1, help="Workers that share one GPU.")] = 1,
    checkpoints: CheckpointsOption = None,
    logs: Annotated[Path, typer.Option(help="Folder for what the workers say.")] = Path("logs"),
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Keep workers on this machine until the study is done; Ctrl-C hands their work back."""
    from search.launchers.local import available_gpus, plan_slots, worker_command
    from search.launchers.local import launch_local as keep_workers

    opened = _check(study, data, storage)
    slots = plan_slots(gpus=available_gpus(), per_gpu=per_gpu, workers=workers)
    with Progress("training", "trials", quiet) as progress:
        code = keep_workers(
            study,
            opened,
            worker_command(study, data, checkpoints),
            slots,
            logs=logs,
            on_status=lambda now: progress(now.complete + now.failed, now.planned),
            every_seconds=2.0,
        )
    raise typer.Exit(code)


@launch.command("slurm")
def launch_slurm(
    study: StudyArgument,
    data: DataOption,
    workers: Annotated[int, typer.Option(min=1, help="Elements of the array job.")],
    storage: StorageOption = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of sbatch, such as --option=--partition=gpu; repeatable."),
    ] = None,
    checkpoints: CheckpointsOption = None,
    logs: Annotated[Path, typer.Option(help="Folder on a shared disk.")] = Path("logs"),
    script: Annotated[
        Path | None, typer.Option(help="Only write the batch script here, to edit and submit.")
    ] = None,
) -> None:
    """Submit an array job of workers that survives preemption and time limits."""
    from dataclasses import replace

    from search.launchers.local import worker_command
    from search.launchers.slurm import SlurmJob, require_shared, submit

    require_shared(_check(study, data, storage))
    command = tuple(worker_command(study, data.resolve(), checkpoints and checkpoints.resolve()))
    job = SlurmJob(study, workers, command, logs.resolve())
    if option:
        job = replace(job, options=tuple(option))
    text = job.script()
    logs.mkdir(parents=True, exist_ok=True)
    path = script or logs / f"{study}.sh"
    path.write_text(text, encoding="utf-8")
    if script is not None:
        print(f"Script: {path}   (sbatch {path})")
        return
    print(f"Array job {submit(path)}: {workers} workers. End it with scancel; logs in {logs}.")


@launch.command("kubernetes")
def launch_kubernetes(
    study: StudyArgument,
    workers: Annotated[int, typer.Option(min=1, help="Pods of the indexed job.")],
    image: Annotated[str, typer.Option(help="Image with its tag, as in name:1.0.")],
    out: Annotated[Path, typer.Option(help="Folder for the manifests.")],
    store_claim: Annotated[
        str, typer.Option(help="Volume claim that holds the store.")
    ] = "ecgscale-store",
    gpu: Annotated[bool, typer.Option(help="One GPU per worker.")] = True,
) -> None:
    """Write kustomize manifests: an indexed job of workers, the dashboard, the tables."""
    from search.launchers.kubernetes import KubernetesJob, write_manifests

    overlay = write_manifests(KubernetesJob(study, workers, image, store_claim, gpu), out)
    print(f"Next: kubectl apply -k {overlay}")


def _check(study: str, data: Path, storage: str | None) -> Storage:
    """Open the storage, and refuse a store that is not the study's before workers start."""
    from data_pipeline import open_store
    from search.database.storage import open_storage
    from search.study import open_study
    from search.worker import check_store

    opened = open_storage(storage)
    check_store(open_study(study, opened), open_store(data))
    return opened
