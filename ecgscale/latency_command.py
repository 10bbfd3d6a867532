"""The command that measures the latency of a study's networks."""

from __future__ import annotations

from typing import Annotated

import typer

from ecgscale.output import Progress, command_line
from ecgscale.study_commands import StorageOption, StudyArgument


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(rich_help_panel="Results")(latency)


def latency(
    study: StudyArgument,
    storage: StorageOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, max=1_024, help="Threads on a CPU.")] = 1,
    again: Annotated[
        bool, typer.Option("--again", help="Also those measured before, here or elsewhere.")
    ] = False,
) -> None:
    """Measure one ECG's time through each trained network on this machine, as a further cost.

    `report` then draws fronts over latency too, and `recommend` prefers the faster of equals. Run
    it on the device you care about, with nothing else running; it goes on where it stopped.
    """
    from search.database.storage import open_storage
    from search.latency import measure_latencies
    from search.machine import choose_device
    from search.study import open_study

    opened = open_study(study, open_storage(storage))
    device = choose_device(device)
    with Progress("Measuring", "networks") as progress:
        count = measure_latencies(
            opened, device=device, threads=threads, again=again, progress=progress
        )
    following = command_line("report", study, "--out", "report", storage=storage)
    print(f"{count} networks measured. Next: {following}")
