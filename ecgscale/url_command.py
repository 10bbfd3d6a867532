"""The command `url`: how other programs reach the database."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from ecgscale.output import print_facts
from ecgscale.study_commands import PANEL, StorageOption


class Program(StrEnum):
    """Programs that take an address in one line."""

    psql = "psql"
    sqlalchemy = "sqlalchemy"
    dbeaver = "dbeaver"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(url)


def url(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Also show a query for this study.")
    ] = None,
    storage: StorageOption = None,
    program: Annotated[
        Program | None, typer.Option("--for", help="Print the address for this one alone.")
    ] = None,
) -> None:
    """Show what psql, pandas, DBeaver and Grafana need to read the database, the embedded, too.

    The view `ecgscale_trials` has one row per trial. No password is shown.
    """
    from search.database.address import address_of
    from search.database.schema import require_schema
    from search.database.storage import open_storage
    from search.errors import StudyError
    from search.study import open_study

    opened = open_storage(storage)
    require_schema(opened)
    if study is not None:
        open_study(study, opened)
    there = address_of(opened)
    by_socket = "not by a socket: run 'ecgscale init-db --listen 127.0.0.1' first"
    if program is not None:
        lines = {"psql": there.psql, "sqlalchemy": there.sqlalchemy, "dbeaver": there.jdbc}
        line = lines[program.value]
        if line is None:
            raise StudyError(
                f"expected a database that listens on a port for DBeaver, got {opened.label} with "
                "a socket only: run 'ecgscale init-db --listen 127.0.0.1' first"
            )
        print(line)
        return
    form = f"{there.host}:{there.port}, database {there.database}, user {there.user}"
    print_facts(
        {
            "psql": f'psql "{there.psql}"',
            "pandas, SQLAlchemy": there.sqlalchemy,
            "DBeaver (JDBC)": there.jdbc or by_socket,
            "Grafana": form if there.host else by_socket,
            "password": there.password,
        },
        title=opened.label,
    )
    if study is not None:
        print(
            f"  SELECT trial, macro_f1, flops FROM ecgscale_trials WHERE study = '{study}' "
            "ORDER BY macro_f1 DESC NULLS LAST LIMIT 5;"
        )
