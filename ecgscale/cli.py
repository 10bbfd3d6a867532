"""Assemble the ``ecgscale`` command from its groups, and turn user errors into one sentence."""

from __future__ import annotations

import sys
from typing import Annotated, NoReturn

import typer

from analysis.errors import AnalysisError
from data_pipeline.errors import DataError
from definitions.plugins import VARIABLE, PluginError, load_named, load_plugin
from ecgscale import (
    analysis_commands,
    confirm_commands,
    data_commands,
    demo,
    latency_command,
    launch_commands,
    manage_commands,
    model_commands,
    refine_command,
    run_command,
    status_commands,
    study_commands,
    url_command,
    use_commands,
    worker_command,
)
from models.errors import ModelError
from search.errors import StudyError

EXIT_USER_ERROR = 2
"""Exit code of every error that a user can mend: a path, a name, an option, a database."""

LONGEST_MESSAGE = 2_000

USER_ERRORS = (DataError, ModelError, StudyError, AnalysisError, PluginError)

app = typer.Typer(
    name="ecgscale",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Find the CNN that classifies twelve-lead ECGs best at every computational budget.

The way through: **prepare** raw ECG files to a store, **create** a study of sampled
architectures, run one or more **worker**s until all are trained, then read the **report**.
`ecgscale run` does all of it for a definition, and `ecgscale demo` shows it in a quarter of an
hour.""",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"ecgscale {version('ecgscale')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
    plugin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE.py",
            help="Python of your own that adds a family, loss, metric, augmentation or evaluation: "
            "a file, a folder or the name of an installed one; repeatable, before or after the "
            f"command. Also ${VARIABLE}, several joined as in $PATH.",
        ),
    ] = None,
) -> None:
    load_named()
    for where in plugin or ():
        load_plugin(where)


for group in (
    demo,
    run_command,
    data_commands,
    model_commands,
    study_commands,
    refine_command,
    worker_command,
    status_commands,
    manage_commands,
    url_command,
    latency_command,
    launch_commands,
    analysis_commands,
    confirm_commands,
    use_commands,
):
    group.register(app)


def main() -> None:
    """Run the command line; exit with 0 (done), 2 (user error) or 75 (work handed back)."""
    try:
        app(_plugins_first(sys.argv[1:]))
    except USER_ERRORS as error:
        _refuse(str(error))
    except OSError as error:
        if error.filename is None:
            raise
        _refuse(
            f"expected to read or write {error.filename}, got: {error.strerror}; check the path, "
            "its folder and its rights"
        )


def _refuse(why: str) -> NoReturn:
    """Say in one line what is to be changed, whatever bytes of a file or argument are quoted."""
    shown = "".join(one if one.isprintable() else "�" for one in " ".join(why.split()))
    cut = len(shown) - LONGEST_MESSAGE
    shown = (
        shown if cut <= 0 else f"{shown[: LONGEST_MESSAGE // 2]} … {shown[-LONGEST_MESSAGE // 2 :]}"
    )
    print(f"ecgscale: {shown}", file=sys.stderr)
    sys.exit(EXIT_USER_ERROR)


def _plugins_first(words: list[str]) -> list[str]:
    """Move every --plugin before the command, where it belongs: they all have it."""
    first: list[str] = []
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            rest += [word, *left]
        elif word == "--plugin":
            first += [word, *(next(left, ""),)]
        else:
            (first if word.startswith("--plugin=") else rest).append(word)
    return [*first, *rest]
