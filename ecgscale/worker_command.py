"""The command `worker`: train planned trials until none is left."""

from __future__ import annotations

import os
import platform
import sys
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.option_groups import grouped
from ecgscale.study_commands import (
    PANEL,
    CheckpointsOption,
    DataOption,
    StartOption,
    StorageOption,
    StudyArgument,
    WaitOption,
)
from ecgscale.worker_options import LogFormat, WorkerArguments

if TYPE_CHECKING:
    from search.events import Log

MetricsOption = Annotated[
    str | None,
    typer.Option(
        metavar="[HOST:]PORT",
        help="Serve Prometheus metrics (/metrics) and /healthz; for this machine only unless a "
        "HOST is given, such as 0.0.0.0.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option(help="auto (a GPU where there is one), cpu, cuda or cuda:N.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(worker)


@grouped
def worker(
    study: StudyArgument,
    data: DataOption,
    how: WorkerArguments,
    storage: StorageOption = None,
    device: DeviceOption = "auto",
    checkpoints: CheckpointsOption = None,
    wait: WaitOption = True,
    start_within: StartOption = 60.0,
    metrics: MetricsOption = None,
) -> None:
    """Train planned trials until none is left; exit 0 when done, 75 when stopped by a signal.

    Full, vanished or frozen folders of checkpoints cost no trial: the training goes on without. An
    error of the trial is tried three times; faults of the machine (disk, GPU, memory that others
    hold) are not counted as such. `ecgscale retry` gives failed trials another go.
    """
    from data_pipeline import open_store
    from search.database.storage import open_storage, when_there
    from search.events import Event
    from search.launchers.secret import require_password_file
    from search.study import open_study
    from search.trials.queue import Limits
    from search.worker import WorkerOptions, run_worker

    how.require_folder()
    require_password_file(
        storage, seen="which stays visible while the worker runs", disk="this machine"
    )
    tell = partial(print, file=sys.stderr, flush=True)
    opened = open_storage(storage, patience_seconds=start_within, say=tell)
    options = WorkerOptions(
        checkpoints=checkpoints,
        weights=how.weights,
        keep="all" if how.keep is None else how.keep.value,
        init=how.init,
        limits=Limits(grace_seconds=how.lease_seconds, patience_seconds=how.patience_seconds),
        trial_seconds=how.trial_seconds,
        wait=wait,
        emulate=how.emulate,
        name=f"{platform.node()}:{os.getpid()}",
    )
    common = {"study": study, "worker": str(options.name), "host": platform.node()}
    events = _events(how.log, common, opened.engine.url.password)
    if metrics is not None:
        events = _counted(events, metrics, device)
    try:
        when_there(lambda: open_study(study, opened), start_within, tell)
        code = run_worker(study, opened, open_store(data), device, options=options, log=events)
    except ValueError as error:  # what `main` tells in a sentence
        if how.log is LogFormat.json:
            events(Event("worker_refused", str(error), {"exit_code": 2}))
        raise
    raise typer.Exit(code)


def _events(log: LogFormat, common: dict[str, str], secret: str | None) -> Log:
    from search.events import json_log, text_log

    say = partial(print, flush=True)
    return json_log(say, secret=secret, **common) if log is LogFormat.json else text_log(say)


def _counted(log: Log, where: str, device: str) -> Log:
    """Let what is told be counted, too, and serve the counts."""
    from prometheus_client import CollectorRegistry

    from search.machine import choose_device
    from search.prometheus import counting, serve_worker

    registry = CollectorRegistry()
    serve_worker(registry, where)
    return counting(log, registry, choose_device(device))
