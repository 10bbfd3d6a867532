"""Commands that keep studies in order: retry, rename, delete, dump, load."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgscale.option_groups import MOST_TRIAL
from ecgscale.study_commands import PANEL, StorageOption, StudyArgument


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    for command in (retry, rename, delete, dump, load):
        app.command(rich_help_panel=PANEL)(command)


def retry(
    study: StudyArgument,
    trial: Annotated[
        int | None, typer.Option(min=0, max=MOST_TRIAL, help="The failed trial of this number.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All failed trials.")] = False,
    storage: StorageOption = None,
) -> None:
    """Give failed trials another go, with all their attempts; why they failed stays on record.

    A trial that diverged diverges again on the same type of device: the seed decides.
    """
    from search.database.storage import open_storage
    from search.errors import StudyError
    from search.study import open_study
    from search.trials.queue import Queue

    if (trial is None) != failed:
        raise StudyError("expected --trial N or --failed, got none or both: give one of them")
    opened = open_storage(storage)
    numbers = Queue(opened, open_study(study, opened).study_id).retry(trial)
    if trial is not None and not numbers:
        raise StudyError(
            f"expected trial {trial} of {study} to have failed, got one that has not: "
            f"'ecgscale trials {study}' shows the states"
        )
    which = ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")
    print(f"{len(numbers)} trials of {study} wait again" + (f": {which}." if numbers else "."))


def rename(
    study: StudyArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    storage: StorageOption = None,
) -> None:
    """Rename a study, also while its workers run; folders of its files keep their names."""
    from search.database.storage import open_storage
    from search.manage import rename_study

    rename_study(study, new, open_storage(storage))
    print(f"The study {study} is called {new} now.")


def delete(
    study: StudyArgument,
    storage: StorageOption = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a study with all its trials from the database, also one that cannot be read.

    It asks first. `ecgscale dump` keeps a copy; files of checkpoints and networks stay.
    """
    from search.database.storage import open_storage
    from search.errors import StudyError
    from search.manage import delete_study, running_workers

    opened = open_storage(storage)
    workers = running_workers(study, opened)
    if not yes:
        at_work = f", on which {workers} workers are at work," if workers else ""
        try:
            sure = typer.confirm(f"Delete {study}{at_work} from {opened.label} for good?")
        except typer.Abort:
            print()
            raise StudyError("expected an answer, got none: give --yes to delete") from None
        if not sure:
            print("Nothing is deleted.")
            return
    print(f"The study {study} with its {delete_study(study, opened)} trials is deleted.")


def dump(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="Name of the study.")] = None,
    file: Annotated[Path | None, typer.Argument(help="File to write.")] = None,
    storage: StorageOption = None,
    all_into: Annotated[
        Path | None,
        typer.Option("--all", metavar="DIR", help="Write every study of the database in here."),
    ] = None,
) -> None:
    """Write a study with all its trials into one file, or all studies into a folder.

    The file holds the number of its trials and their checksum; `ecgscale load` verifies them.
    """
    from search.database.storage import open_storage
    from search.errors import StudyError
    from search.reading.transfer import dump_all, dump_study

    if all_into is not None and study is None:
        dumped, refused = dump_all(open_storage(storage), all_into)
        for name, count in dumped.items():
            print(f"{count} trials of {name} in {all_into / name}.jsonl.gz.")
        if refused:
            raise StudyError(f"could not dump {len(refused)}: {'; '.join(refused.values())}")
        return
    if all_into is not None or study is None or file is None:
        raise StudyError("expected STUDY and FILE, or --all DIR, got something else: give either")
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
    if start := study.definition.recipe.init_hash:
        print(
            f"Its trainings start from the network {Path(study.definition.recipe.init).name} "
            f"(SHA-256 {start[:16]}…), which no dump holds: copy it, and give workers --init FILE."
        )
