"""The whole path, small: prepare, create, two workers side by side, report."""

from __future__ import annotations

import time
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.output import Progress, command_name, counted, duration, engineering
from ecgscale.steps import Places, find_or_create, prepare_raw, train
from ecgscale.study_commands import StorageOption

if TYPE_CHECKING:
    from data_pipeline import Store
    from search.database.storage import Storage
    from search.definition import StudyDefinition

DOWNLOADED_RECORDS = 400
SYNTHETIC_RECORDS = 600
BOOTSTRAPS = 100

SYNTHETIC_WARNING = """
  ******************************************************************************
  *  NO REAL ECGs. The download failed (reason above), so this demo trains on  *
  *  SYNTHETIC ECGs. Its scores show that the machinery works, and say nothing *
  *  about any network. With real ones:  make demo RAW=DIR OUT=demo-real       *
  ******************************************************************************
"""


def register(app: typer.Typer) -> None:
    """Add the demo to the command line."""
    app.command()(demo)


def demo(
    raw: Annotated[
        Path | None,
        typer.Option(help="Folder of WFDB records; default: download some of the Challenge."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path(
        "demo-output"
    ),
    trials: Annotated[
        int,
        typer.Option(
            min=8,
            max=20_000,
            help="Trainings in all; one in 14 is a replicate, one a negative control, at least 1 "
            "each.",
        ),
    ] = 56,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=1, max=10_000, help="Passes over the training records.", show_default="10"
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, max=1_024, help="Workers side by side.")] = 2,
    storage: StorageOption = None,
) -> None:
    """Walk the whole path: prepare, create, train with two workers, report.

    If you run it again, it continues where it stopped.
    """
    from analysis.report import write_report
    from ecgscale.analysis_commands import show_step
    from search.database.storage import open_storage

    started = time.monotonic()
    definition = _definition(trials, epochs)
    out.mkdir(parents=True, exist_ok=True)
    store = _store(raw, out)
    opened = open_storage(storage or f"embedded:{out / 'database'}")
    low, high = definition.sample.flops
    print(f"\n[2/4] Study of networks from {engineering(low)} to {engineering(high, 'FLOPs')}")
    print(_plan(definition))
    find_or_create(definition, store, opened)
    print(f"\n[3/4] {definition.planned} trainings with {counted(workers, 'worker')} side by side")
    if code := train(definition.name, store, opened, out, places=Places(workers, workers)):
        raise typer.Exit(code)
    print("\n[4/4] Analysing")
    page = write_report(
        definition.name,
        out / "report",
        storage=opened,
        data=store.path,
        bootstraps=BOOTSTRAPS,
        publish=True,
        progress=show_step,
    )
    _summarise(definition.name, opened, store)
    where = f"--storage {storage or opened.label}"
    print(f"\nReport:    {page.resolve()}")
    print(f"Dashboard: {command_name()} dashboard {where}")
    print(f"Trials:    {command_name()} trials {definition.name} --sort -macro_f1 {where}")
    print(f"Done in {duration(time.monotonic() - started)}.")


def _store(raw: Path | None, out: Path) -> Store:
    """Prepare the given ECGs, downloaded ones or, without a network, synthetic ones."""
    if raw is None:
        raw = _find_ecgs(out)
    else:
        print(f"[1/4] Reading the ECGs in {raw}")
    return prepare_raw(raw, out / "store")


def _find_ecgs(out: Path) -> Path:
    from data_pipeline.download import download_challenge
    from data_pipeline.errors import DataError
    from data_pipeline.synthetic import synthesize
    from search.launchers.local import available_cores

    print(f"[1/4] Downloading {DOWNLOADED_RECORDS} records of the PhysioNet/CinC Challenge 2021")
    try:
        with Progress("downloading", "files") as progress:
            download_challenge(
                out / "challenge-2021", records=DOWNLOADED_RECORDS, progress=progress
            )
        return out / "challenge-2021"
    except DataError as error:
        print(f"      {error}\n{SYNTHETIC_WARNING}")
    with Progress("synthesizing", "records") as progress:
        synthesize(
            out / "synthetic",
            records=SYNTHETIC_RECORDS,
            jobs=len(available_cores()),
            progress=progress,
        )
    return out / "synthetic"


def _definition(trials: int, epochs: int | None) -> StudyDefinition:
    from search.definition import StudyDefinition

    with as_file(files("ecgscale") / "demo.toml") as path:
        definition = StudyDefinition.from_toml(path)
    again = max(1, trials // 14)
    networks = trials - 2 * again
    recipe = definition.recipe if epochs is None else replace(definition.recipe, epochs=epochs)
    return replace(
        definition,
        sample=replace(definition.sample, architectures=networks, bins=min(8, networks)),
        replicates=replace(definition.replicates, architectures=again),
        controls=replace(definition.controls, shuffled_labels=again),
        recipe=recipe,
    )


def _plan(definition: StudyDefinition) -> str:
    """Say what will be trained, and why."""
    again = definition.replicates.architectures * definition.replicates.seeds
    controls = definition.controls.shuffled_labels
    return (
        f"      {counted(definition.planned, 'training')} of "
        f"{counted(definition.recipe.epochs, 'epoch')}:\n"
        f"      {definition.sample.architectures} different networks, drawn at random\n"
        f"      {counted(again, 'replicate')}: the same network with another seed, for "
        "seed-to-seed variability\n"
        f"      {counted(controls, 'negative control')}: shuffled training labels, must score as "
        "by chance"
    )


def _summarise(name: str, storage: Storage, store: Store) -> None:
    from search.reading.records import read_trials

    trials = read_trials(name, storage)
    done = trials[trials["state"] == "complete"]
    sampled, control = (done[done["role"] == role] for role in ("sample", "control"))
    print(
        f"\n{len(done)} of {len(trials)} trials complete. Validation, "
        f"{len(store.rows('validation'))} records:\n"
        f"  best macro-AUROC {sampled['macro_auroc'].max():.3f}, "
        f"best macro-F1 {sampled['macro_f1'].max():.3f}"
    )
    if len(control):
        scores = ", ".join(f"{value:.3f}" for value in control["macro_auroc"])
        print(
            "  negative controls (training labels shuffled): mean macro-AUROC "
            f"{control['macro_auroc'].mean():.3f} ({scores}); chance is 0.5"
        )
