"""Commands on studies: init-db, create, extend, trials."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.definition_help import DefinitionCommand
from ecgscale.output import Format, command_line, counted, print_table
from ecgscale.steps import networks_in_words

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
    typer.Option(
        file_okay=False, help="Folder that all workers share: any goes on where another stopped."
    ),
]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]


StartOption = Annotated[
    float,
    typer.Option(
        "--start-within",
        metavar="SECONDS",
        min=0,
        max=604_800,
        envvar="ECGSCALE_START_WITHIN",
        show_envvar=True,
        help="Wait so long at the start for what others still make: the database, its tables, the "
        "study.",
    ),
]
LongFirstOption = Annotated[
    bool,
    typer.Option(
        "--long-first",
        help="Train the costliest networks first: many workers end together. Without it a study "
        "that is cut short is a random sample of the plan.",
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
    app.command(rich_help_panel=PANEL)(trials)


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
    start_within: StartOption = 0.0,
) -> None:
    """Create or upgrade the tables in the database; safe to repeat, and by many at once.

    With --listen, the password comes from $PGPASSWORD or the file $ECGSCALE_PASSWORD_FILE, or is
    made up. The connection is not encrypted (the bundled PostgreSQL has no TLS): open it within a
    network you trust, or listen on 127.0.0.1 and tunnel it.
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
    opened = open_storage(storage, patience_seconds=start_within, say=_tell)
    schema.init_db(opened)
    print(f"The database {opened.label} is ready.")
    if address is not None:
        listening = open_to_others(opened, address)
        print(
            f"Other machines reach it, not encrypted, as --storage {listening.url}\n"
            f"The password is in {listening.pgpass}: copy that file there (chmod 600), "
            "and set PGPASSFILE to its path."
        )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
    from search.secret_file import read_secret

    password = None if password_file is None else read_secret(password_file, "the password")
    opened = open_storage(storage)
    grant_access(opened, login, access, password=password)  # type: ignore[arg-type]
    print(f"{login} may be a {access} in {opened.label}.")


def create(
    definition: Annotated[
        Path, typer.Argument(metavar="DEFINITION.toml", help="What the study samples and trains.")
    ],
    data: Annotated[Path, typer.Option(metavar="STORE", help="Store that `prepare` made.")],
    storage: StorageOption = None,
    long_first: LongFirstOption = False,
    start_within: StartOption = 0.0,
) -> None:
    """Create a study with all its planned trials; the seed alone decides which.

    The keys of the definition stand below, as a file that holds each at its default.
    """
    from data_pipeline import open_store
    from search.database.schema import require_schema
    from search.database.storage import open_storage, when_there
    from search.definition import StudyDefinition
    from search.study import create_study
    from search.training.folds import study_warnings

    defined = StudyDefinition.from_toml(definition)
    store = open_store(data)
    opened = open_storage(storage, patience_seconds=start_within, say=_tell)
    when_there(lambda: require_schema(opened), start_within, _tell)
    study = create_study(defined, store, opened, long_first=long_first)
    trials = counted(study.planned, "trial")
    print(f"Study {study.name}: {trials} planned, {networks_in_words(defined)}.")
    for warning in study_warnings(store, defined.data):
        print(f"Warning: {warning}.")
    following = command_line("worker", study.name, "--data", data, storage=storage)
    print(f"Next: {following}   (any number of them)")


def extend(
    study: StudyArgument,
    architectures: Annotated[
        int, typer.Option(min=0, max=20_000, help="Further networks of the sample.")
    ] = 0,
    replicates: Annotated[
        int, typer.Option(min=0, max=20_000, help="Networks of the sample to train again.")
    ] = 0,
    controls: Annotated[
        int, typer.Option(min=0, max=20_000, help="Trials on shuffled labels.")
    ] = 0,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="A reference architecture, such as xresnet1d18 or mobilenetv2@0.5, an "
            "architecture's .json file, or a folder of such; repeatable."
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=1_000, help="Seeds per replicate and reference.")
    ] = 1,
    learning_rate: Annotated[
        list[float] | None,
        typer.Option(
            min=1e-9,
            max=1,
            help="Learning rate of the references, in place of the recipe's; repeatable.",
        ),
    ] = None,
    storage: StorageOption = None,
) -> None:
    """Plan further trials for a study, also while its workers run."""
    from models.find import find_architectures
    from search.database.storage import open_storage
    from search.definition import ReplicatePlan
    from search.study import extend_study, open_study
    from search.trials.plan import Extension

    found = open_study(study, open_storage(storage))
    extension = Extension(
        architectures=architectures,
        replicates=ReplicatePlan(replicates, seeds),
        controls=controls,
        references=tuple(one for name in reference or () for one in find_architectures(name)),
        seeds=seeds,
        learning_rates=tuple(learning_rate or ()),
    )
    extended = extend_study(found, extension)
    further = counted(extended.planned - found.planned, "further trial")
    print(f"Study {study}: {further}, {extended.planned:,} now.")
    print(f"Next: {command_line('worker', study, '--data', 'STORE', storage=storage)}")


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
    limit: Annotated[
        int | None, typer.Option(min=1, max=10**9, help="Show at most this many.")
    ] = None,
    format: Annotated[Format, typer.Option(help="How to print.")] = Format.table,
) -> None:
    """List the trials with their factors, costs and scores."""
    from search.database.storage import open_storage
    from search.reading.query import select_trials
    from search.reading.records import StudyReader

    reader = StudyReader(study, open_storage(storage))
    frame = select_trials(reader.trials, where, sort)
    frame = frame if limit is None else frame.head(limit)
    if format is not Format.table:
        print_table(frame, format)
        return
    own = [name for name in reader.own_columns if not name.startswith("test_")]
    print_table(brief(frame, (reader.objective, *own)), format)
    if reader.traced:
        print("The cost was counted by tracing a forward pass with torch.utils.flop_counter.")


def brief(frame: pd.DataFrame, scores: Sequence[str] = ("macro_f1",)) -> pd.DataFrame:
    """Keep the columns that fit on a terminal, of these scores and two more."""
    shown = frame[["trial", "state", "role"]].copy()
    shown["MFLOP"] = (frame["flops"] / 1e6).round(3)
    shown["params"] = frame["params"]
    for name in dict.fromkeys((*scores, "macro_auroc", "challenge_score", "seconds")):
        shown[name] = frame[name]
    shown["failure"] = frame["failure"].fillna("")
    return shown
