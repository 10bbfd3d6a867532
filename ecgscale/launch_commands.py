"""Commands that place workers: launch local, launch slurm, launch kubernetes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from definitions.plugins import LOADED
from ecgscale.option_groups import grouped
from ecgscale.output import command_line
from ecgscale.steps import keep_workers, tell_kept
from ecgscale.study_commands import (
    PANEL,
    CheckpointsOption,
    DataOption,
    StorageOption,
    StudyArgument,
    WaitOption,
)
from ecgscale.worker_options import PerGpuOption, WorkerArguments, read_per_gpu

if TYPE_CHECKING:
    from search.database.storage import Storage
    from search.launchers.slurm import SlurmJob

launch = typer.Typer(name="launch", help="Place workers on machines.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.add_typer(launch, rich_help_panel=PANEL)


@launch.command("local")
@grouped
def launch_local(
    study: StudyArgument,
    data: DataOption,
    how: WorkerArguments,
    storage: StorageOption = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1_024,
            help="At most this many; default: --per-gpu on each GPU, or one per core.",
        ),
    ] = None,
    per_gpu: PerGpuOption = "1",
    checkpoints: CheckpointsOption = None,
    logs: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for what the workers say.")
    ] = Path("logs"),
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Keep workers on this machine until the study is done; Ctrl-C hands their work back."""
    from search.launchers.local import worker_command

    opened = _check(study, data, storage, how)
    command = worker_command(study, data, checkpoints, more=how.options())
    code = keep_workers(
        study, opened, command, logs, workers=workers, per_gpu=read_per_gpu(per_gpu), quiet=quiet
    )
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class SlurmArguments:
    """What each worker of an array job is given."""

    gpus: Annotated[
        int,
        typer.Option(min=0, max=64, help="GPUs per worker; one that gets none refuses to train."),
    ] = 1
    cpus: Annotated[int, typer.Option(min=1, max=1_024, help="Cores per worker.")] = 4
    memory: Annotated[str, typer.Option(help="Memory per worker, as Slurm writes it.")] = "16G"
    time: Annotated[str, typer.Option(help="Time limit, as Slurm writes it: 1-0 is a day.")] = "1-0"
    option: Annotated[
        list[str] | None,
        typer.Option(
            help="A further option of sbatch, such as --option=--partition=gpu; repeatable."
        ),
    ] = None

    def options(self) -> tuple[str, ...]:
        """Return options of sbatch."""
        from search.launchers.slurm import Resources

        resources = Resources(self.gpus, self.cpus, self.memory, self.time)
        return (*resources.options(), *(self.option or ()))


@launch.command("slurm")
@grouped
def launch_slurm(
    study: StudyArgument,
    given: SlurmArguments,
    how: WorkerArguments,
    data: Annotated[
        Path | None, typer.Option(metavar="STORE", help="Store that the study was created on.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Elements of the array job.")
    ] = None,
    storage: StorageOption = None,
    checkpoints: CheckpointsOption = None,
    logs: Annotated[Path, typer.Option(file_okay=False, help="Folder on a shared disk.")] = Path(
        "logs"
    ),
    wait: WaitOption = True,
    script: Annotated[
        Path | None, typer.Option(help="Only write the batch script here, to edit and submit.")
    ] = None,
    status: Annotated[
        bool, typer.Option("--status", help="Only show the study's jobs by state.")
    ] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Only end the study's jobs; their trials wait again.")
    ] = False,
) -> None:
    """Submit an array job of workers that survives preemption and time limits.

    `--status` and `--cancel` find a study's jobs by their name; they need nothing else, and
    `--script` needs no database. The database's password is never part of a job: put it into a file
    on the shared disk, and the file's path into $ECGSCALE_PASSWORD_FILE.
    """
    from search.errors import StudyError

    if status or cancel:
        _tend_jobs(study, cancel=cancel)
        return
    if data is None or workers is None:
        raise StudyError(
            "expected --data and --workers to submit a job, got not both: give them, or --status "
            "or --cancel for the jobs there are"
        )

    from search.launchers.secret import require_password_file
    from search.launchers.slurm import SlurmJob, require_shared

    if script is None:  # which is submitted by others, perhaps elsewhere
        require_password_file(storage, seen="which the batch system would keep with the job")
        require_shared(_check(study, data, storage, how))
    command = _slurm_command(study, data, checkpoints, how, wait=wait, gpus=given.gpus)
    job = SlurmJob(study, workers, command, logs.resolve(), given.options())
    _write_or_submit(job, storage, logs, script)


def _slurm_command(
    study: str,
    data: Path,
    checkpoints: Path | None,
    how: WorkerArguments,
    *,
    wait: bool,
    gpus: int,
) -> tuple[str, ...]:
    """Return the command of a worker, with paths that every node understands."""
    from search.launchers.local import worker_command

    # A worker that was promised a GPU and has none says so, instead of training on a processor.
    more = (
        *how.options(absolute=True),
        *(() if wait else ("--no-wait",)),
        *(("--device=cuda",) if gpus else ()),
    )
    kept = checkpoints and checkpoints.resolve()
    return tuple(worker_command(study, data.resolve(), kept, more=more))


def _write_or_submit(job: SlurmJob, storage: str | None, logs: Path, script: Path | None) -> None:
    """Write a job's script, and submit it unless the script alone was asked for."""
    from search.launchers.slurm import submit

    text = job.script()
    logs.mkdir(parents=True, exist_ok=True)
    path = script or logs / f"{job.study}.sh"
    path.write_text(text, encoding="utf-8")
    if script is not None:
        print(f"Script: {path}   (set ECGSCALE_STORAGE, then: sbatch {path})")
        return
    print(f"Array job {submit(path, storage)}: {job.workers} workers; logs in {logs}.")
    print(f"Next: {command_line('launch', 'slurm', job.study, '--status')}   (or --cancel)")


@launch.command("kubernetes")
@grouped
def launch_kubernetes(
    study: StudyArgument,
    how: WorkerArguments,
    workers: Annotated[int, typer.Option(min=1, max=10_000, help="Pods of the indexed job.")],
    image: Annotated[str, typer.Option(help="Image with its tag, as in name:1.0.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the manifests.")],
    store_claim: Annotated[
        str, typer.Option(help="Volume claim that holds the store.")
    ] = "ecgscale-store",
    gpu: Annotated[bool, typer.Option(help="One GPU per worker.")] = True,
    definition: Annotated[
        Path | None,
        typer.Option(help="Also a job that creates the study, from this file, as `create` does."),
    ] = None,
) -> None:
    """Write kustomize manifests: an indexed job of workers, the dashboard, the tables.

    In a pod the store is /data, and the disk that all pods share is /checkpoints: give
    `--weights /checkpoints/networks`. Files of --plugin go along.
    """
    from search.launchers.kubernetes import KubernetesJob, write_manifests

    more = (*how.options(), *(("--device=cuda",) if gpu else ()))
    if definition is not None:
        _require_study(definition, study)
    plugins = tuple(Path(plugin.where) for plugin in LOADED.values())
    job = KubernetesJob(
        *(study, workers, image, store_claim, gpu),
        options=more,
        definition=definition,
        plugins=plugins,
    )
    overlay = write_manifests(job, out)
    apply = shlex.join(["kubectl", "apply", "-k", str(overlay)])
    print(
        "It needs, in the namespace:\n"
        f"  a volume claim {store_claim} that holds the store, readable by many pods\n"
        "  a storage class for ReadWriteMany (ecgscale-checkpoints takes 50 GiB of it)\n"
        "  kubectl create secret generic ecgscale-storage "
        "--from-literal=storage=postgresql://USER@HOST/DATABASE --from-file=password=FILE\n"
        + _created(study, definition)
        + f"Next: {apply}   (workers wait ten minutes for tables and study)"
    )


def _require_study(definition: Path, study: str) -> None:
    """Refuse a definition of another study than the one that workers are started for."""
    from search.definition import StudyDefinition
    from search.errors import StudyError

    found = StudyDefinition.from_toml(definition).name
    if found != study:
        raise StudyError(
            f"expected the definition of {study} in --definition, got that of {found} in "
            f"{definition}: change its name, or the study's"
        )


def _created(study: str, definition: Path | None) -> str:
    """Say how the study comes into the database."""
    if definition is not None:
        return ""
    return (
        f"  the study {study}: {command_line()} create DEFINITION.toml --data STORE "
        "--storage postgresql://USER@HOST/DATABASE, before or after (or give --definition)\n"
    )


def _check(study: str, data: Path, storage: str | None, how: WorkerArguments) -> Storage:
    """Open the storage, refuse another store than the study's, and say what will be kept."""
    from data_pipeline import open_store
    from search.database.storage import open_storage
    from search.study import open_study
    from search.worker import check_store

    opened = open_storage(storage)
    found = open_study(study, opened)
    check_store(found, open_store(data))
    if how.weights is not None:
        tell_kept(found, how.weights, how.keep)
    return opened


def _tend_jobs(study: str, *, cancel: bool) -> None:
    """Show a study's array jobs, and end them if asked to."""
    from search.launchers import slurm

    jobs = slurm.study_jobs(study)
    if not jobs:
        print(f"No jobs of {study} are in Slurm's queue.")
    for job, states in jobs.items():
        counted = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
        print(f"Array job {job}: {counted}")
        if cancel:
            slurm.cancel(job)
            print(f"Array job {job} is cancelled; its workers hand their trials back.")
