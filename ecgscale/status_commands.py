"""The command `status`: once, as JSON, or watched until the study is done."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.output import print_facts, print_table
from ecgscale.status_view import COLUMNS, StatusView, counts, worker_cells
from ecgscale.study_commands import PANEL, StorageOption

if TYPE_CHECKING:
    from search.database.storage import Storage


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(status)


def status(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name of the study; default: list all.")
    ] = None,
    storage: StorageOption = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until the study is done; Ctrl-C ends it.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.5, max=3_600, help="Seconds between looks.")] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object (one per look with --watch).")
    ] = False,
) -> None:
    """Show how far a study is, how fast it goes, who works on it and what failed; or list all.

    The time left is that of the trials still open: the cost of each is predicted from its
    activations and FLOPs, by a rate fitted to the last trials that finished on the same device,
    and the workers of now are let to take them in order. It says what it rests on.
    """
    from search.database.storage import open_storage
    from search.reading.status import read_status

    opened = open_storage(storage)
    if study is None:
        _list(opened, watch=watch, as_json=as_json)
        return
    now = read_status(study, opened)
    if not watch:
        if as_json:
            print(json.dumps(now.to_dict(), indent=2))
            return
        print_facts(counts(now), title=f"Study {study}")
        for reason, number in now.failures.items():
            print(f"  failed: {number} × {reason}")
        for one in now.workers:
            cells = zip(COLUMNS, worker_cells(one, now.epochs), strict=True)
            print("  " + ", ".join(f"{name} {cell}" for name, cell in cells))
        return
    with StatusView(quiet=as_json, interval_seconds=0.0) as view:
        try:
            while True:
                if as_json:
                    print(json.dumps(now.to_dict()), flush=True)
                view(now)
                if now.done:
                    return
                time.sleep(every)
                now = opened.patiently(lambda: read_status(study, opened))
        except KeyboardInterrupt:
            return


def _list(opened: Storage, *, watch: bool, as_json: bool) -> None:
    """List all studies, and name those that cannot be read."""
    import pandas as pd

    from search.errors import StudyError
    from search.reading.status import count_trials

    if watch:
        raise StudyError("expected a STUDY to watch, got none: 'ecgscale status' lists them")
    counted, unreadable = count_trials(opened)
    if as_json:
        print(json.dumps({"studies": counted, "unreadable": unreadable}, indent=2))
    elif counted:
        print_table(pd.DataFrame(counted))
    elif not unreadable:
        print(f"No studies are in {opened.label}.")
    if not as_json:
        for why in unreadable.values():
            print(f"Skipped: {why}", file=sys.stderr)
