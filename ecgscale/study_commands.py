"""Commands on studies: init-db, create, worker, trials, dump, load."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.definition_help import DefinitionCommand
from ecgscale.output import Format, command_name, counted, engineering, print_table

if TYPE_CHECKING:
    import pandas as pd

PANEL = "Studies"

StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar="ECGSCALE_STORAGE",
        show_envvar=True,
        show_default=False,
        help="postgresql://USER@HOST/DATABASE, embedded:DIR, or embedded "
        "(a PostgreSQL of your own, the default).",
    ),
]
DataOption = Annotated[
    Path, typer.Option(metavar="STORE", help="Store that the study was created on.")
]
CheckpointsOption = Annotated[
    Path | None,
    typer.Option(help="Folder that all workers share: any goes on where another stopped."),
]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]


class LogFormat(StrEnum):
    """How workers say what happens."""

    text = "text"
    json = "json"


LogOption = Annotated[
    LogFormat, typer.Option(help="Sentences, or one JSON line per event (times in UTC).")
]
EmulateOption = Annotated[
    bool,
    typer.Option(
        "--emulate",
        help="Train in the study's precision also where the device only emulates it, many times "
        "slower.",
    ),
]
WaitOption = Annotated[
    bool,
    typer.Option(
        "--wait/--no-wait",
        help="Stay while others still train, to take over from one that dies; or leave as soon as "
        "no trial waits, which suits array jobs.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command("init-db", rich_help_panel=PANEL)(init_db)
    app.command("stop-db", rich_help_panel=PANEL)(stop_db)
    app.command(rich_help_panel=PANEL)(grant)
    app.command(rich_help_panel=PANEL, cls=DefinitionCommand)(create)
    app.command(rich_help_panel=PANEL)(extend)
    app.command(rich_help_panel=PANEL)(worker)
    app.command(rich_help_panel=PANEL)(trials)
    app.command(rich_help_panel=PANEL)(dump)
    app.command(rich_help_panel=PANEL)(load)


def init_db(
    storage: StorageOption = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST[:PORT]|off",
            help="Open the embedded database to other machines ('*': on every address), for "
            "workers with a password; off closes it again.",
        ),
    ] = None,
) -> None:
    """Create or upgrade the tables in the database; safe to repeat, and by many at once.

    With --listen, the password comes from $PGPASSWORD or the file $ECGSCALE_PASSWORD_FILE, or is
    made up. The connection is not encrypted: open it within a network you trust, or tunnel it.
    """
    from search.database import schema
    from search.database.listen import Address, close
    from search.database.listen import listen as open_to_others
    from search.database.storage import embedded_server, open_storage

    if listen == "off":
        server = embedded_server(storage)
        was_open = close(server)
        how = "is closed to other machines" if was_open else "was not open to other machines"
        print(f"The database in {server.folder} {how}.")
        return
    address = None if listen is None else Address.parse(listen)
    opened = open_storage(storage)
    schema.init_db(opened)
    print(f"The database {opened.label} is ready.")
    if address is not None:
        listening = open_to_others(opened, address)
        print(
            f"Other machines reach it, not encrypted, as --storage {listening.url}\n"
            f"The password is in {listening.pgpass}: copy that file there (chmod 600), "
            "and set PGPASSFILE to its path."
        )


def stop_db(storage: StorageOption = None) -> None:
    """Stop the embedded PostgreSQL; the next command that needs it starts it again."""
    from search.database.storage import embedded_server

    server = embedded_server(storage)
    stopped = server.stop()
    print(f"The database in {server.folder} {'is stopped' if stopped else 'was not running'}.")


def grant(
    login: Annotated[str, typer.Argument(help="Login to make, or to change.")],
    access: Annotated[str, typer.Option(help="worker (runs planned trials) or reader.")],
    password_file: Annotated[
        Path | None, typer.Option(help="File with its password; default: the one it has, or none.")
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Let a login of a shared server work or read, and nothing more."""
    from search.database.roles import grant_access
    from search.database.storage import open_storage
    from search.errors import StudyError

    try:
        password = None if password_file is None else password_file.read_text("utf-8").strip()
    except OSError as error:
        raise StudyError(
            f"expected the password in {password_file}, got: {error.strerror}"
        ) from None
    opened = open_storage(storage)
    grant_access(opened, login, access, password=password)  # type: ignore[arg-type]
    print(f"{login} may be a {access} in {opened.label}.")


def create(
    definition: Annotated[
        Path, typer.Argument(metavar="DEFINITION.toml", help="What the study samples and trains.")
    ],
    data: Annotated[Path, typer.Option(metavar="STORE", help="Store that `prepare` made.")],
    storage: StorageOption = None,
    long_first: Annotated[
        bool,
        typer.Option(
            "--long-first",
            help="Train the costliest networks first: many workers end together. Without it a "
            "study that is cut short is a random sample of the plan.",
        ),
    ] = False,
) -> None:
    """Create a study with all its planned trials; the seed alone decides which.

    The keys of the definition stand below, as a file that holds each at its default.
    """
    from data_pipeline import open_store
    from search.database.storage import open_storage
    from search.definition import StudyDefinition
    from search.study import create_study

    defined = StudyDefinition.from_toml(definition)
    store = open_store(data)
    study = create_study(defined, store, open_storage(storage), long_first=long_first)
    low, high = defined.sample.flops
    print(
        f"Study {study.name}: {counted(study.planned, 'trial')} planned, "
        f"{counted(defined.sample.architectures, 'different network')} from {engineering(low)} to "
        f"{engineering(high, 'FLOPs')}."
    )
    print(f"Next: {command_name()} worker {study.name} --data {data}   (any number of them)")


def extend(
    study: StudyArgument,
    architectures: Annotated[int, typer.Option(min=0, help="Further networks of the sample.")] = 0,
    replicates: Annotated[
        int, typer.Option(min=0, help="Networks of the sample to train again.")
    ] = 0,
    controls: Annotated[int, typer.Option(min=0, help="Trials on shuffled labels.")] = 0,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="A known CNN, such as xresnet1d18 or mobilenetv2@0.5, or an architecture's .json "
            "file; repeatable."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds per replicate and reference.")] = 1,
    storage: StorageOption = None,
) -> None:
    """Plan further trials for a study, also while its workers run."""
    from models import find_architecture
    from search.database.storage import open_storage
    from search.definition import ReplicatePlan
    from search.study import extend_study, open_study
    from search.trials.plan import Extension

    found = open_study(study, open_storage(storage))
    extension = Extension(
        architectures=architectures,
        replicates=ReplicatePlan(replicates, seeds),
        controls=controls,
        references=tuple(find_architecture(name) for name in reference or ()),
        seeds=seeds,
    )
    extended = extend_study(found, extension)
    further = counted(extended.planned - found.planned, "further trial")
    print(f"Study {study}: {further}, {extended.planned:,} now.")


def worker(
    study: StudyArgument,
    data: DataOption,
    storage: StorageOption = None,
    device: Annotated[
        str, typer.Option(help="auto (a GPU where there is one), cpu, cuda or cuda:N.")
    ] = "auto",
    checkpoints: CheckpointsOption = None,
    weights: Annotated[
        Path | None, typer.Option(help="Keep every trained network in this folder, for `export`.")
    ] = None,
    trial_seconds: Annotated[
        float | None, typer.Option(min=1, help="A trial that takes longer counts as failed.")
    ] = None,
    wait: WaitOption = True,
    emulate: EmulateOption = False,
    log: LogOption = LogFormat.text,
) -> None:
    """Train planned trials until none is left; exit 0 when done, 75 when stopped by a signal."""
    import os
    import platform
    import sys
    from functools import partial

    from data_pipeline import open_store
    from search.database.storage import open_storage
    from search.events import Event, json_log
    from search.worker import WorkerOptions, run_worker

    tell = partial(print, file=sys.stderr, flush=True)
    opened = open_storage(storage, patience_seconds=60, say=tell)  # it may be about to restart
    options = WorkerOptions(
        checkpoints=checkpoints,
        weights=weights,
        trial_seconds=trial_seconds,
        wait=wait,
        emulate=emulate,
        name=f"{platform.node()}:{os.getpid()}",
    )
    events = None
    if log is LogFormat.json:
        common = {"study": study, "worker": options.name, "host": platform.node()}
        events = json_log(partial(print, flush=True), secret=opened.engine.url.password, **common)
    try:
        code = run_worker(study, opened, open_store(data), device, options=options, log=events)
    except ValueError as error:  # what `main` tells in a sentence
        if events is not None:
            events(Event("worker_refused", str(error), {"exit_code": 2}))
        raise
    raise typer.Exit(code)


def trials(
    study: StudyArgument,
    storage: StorageOption = None,
    where: Annotated[
        str | None,
        typer.Option(help='Condition, such as "macro_f1 > 0.5 and gflops < 0.1".'),
    ] = None,
    sort: Annotated[
        str, typer.Option(help="Column to sort by; a minus sorts down, as in -macro_f1.")
    ] = "trial",
    limit: Annotated[int | None, typer.Option(min=1, help="Show at most this many.")] = None,
    format: Annotated[Format, typer.Option(help="How to print.")] = Format.table,
) -> None:
    """List the trials with their factors, costs and scores."""
    from search.database.storage import open_storage
    from search.reading.query import select_trials
    from search.reading.records import read_trials

    frame = select_trials(read_trials(study, open_storage(storage)), where, sort)
    frame = frame if limit is None else frame.head(limit)
    if format is Format.table:
        frame = brief(frame)
    print_table(frame, format)


def dump(
    study: StudyArgument,
    file: Annotated[Path, typer.Argument(help="File to write.")],
    storage: StorageOption = None,
) -> None:
    """Write a study with all its trials into one file."""
    from search.database.storage import open_storage
    from search.reading.transfer import dump_study

    count = dump_study(study, open_storage(storage), file)
    print(f"{count} trials of {study} in {file}.")


def load(
    file: Annotated[Path, typer.Argument(help="File that `dump` wrote.")],
    storage: StorageOption = None,
    name: Annotated[str | None, typer.Option(help="Another name for the study.")] = None,
) -> None:
    """Add a dumped study to a database."""
    from search.database.storage import open_storage
    from search.reading.transfer import load_study

    study = load_study(file, open_storage(storage), name=name)
    print(f"Study {study.name} with {study.planned} trials is in {study.storage.label}.")


def brief(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the columns that fit on a terminal."""
    shown = frame[["trial", "state", "role"]].copy()
    shown["MFLOP"] = (frame["flops"] / 1e6).round(3)
    shown["params"] = frame["params"]
    for name in ("macro_f1", "macro_auroc", "challenge_score", "seconds"):
        shown[name] = frame[name]
    shown["failure"] = frame["failure"].fillna("")
    return shown
