"""Commands on trained networks: export, predict, evaluate."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgscale.option_groups import MOST_SEED, MOST_TRIAL
from ecgscale.output import Format, Progress, print_table, require_table, write_table
from ecgscale.study_commands import StorageOption
from ecgscale.worker_command import DeviceOption
from models.shape import DEFAULT

if TYPE_CHECKING:
    from analysis.use.predict import FilePrediction
    from models.card import ModelCard

PANEL = "Networks in use"
SOME_UNREADABLE, NONE_READABLE = 1, 2
"""Exit codes of a prediction that left files out."""


class Takeaway(StrEnum):
    """Forms in which a network leaves ecgscale."""

    torch = "torch"
    onnx = "onnx"
    onnx_raw = "onnx-raw"


class Aggregate(StrEnum):
    """How the windows of a long ECG become one probability."""

    mean = "mean"
    max = "max"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(export)
    app.command(rich_help_panel=PANEL)(predict)
    app.command(rich_help_panel=PANEL)(evaluate)


def export(
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE.safetensors|STUDY|FILE.json|NAME",
            help="A network that was kept, or, with --trial, a study; an architecture or a "
            "reference CNN gets random weights.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="File to write: .safetensors for torch, .onnx for --format onnx.")
    ],
    trial: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST_TRIAL,
            help="Number of a trial of STUDY: the network that was kept in --weights, or else the "
            "trial is trained again on --data, which has to give the same scores.",
        ),
    ] = None,
    format: Annotated[
        Takeaway,
        typer.Option(
            help="torch, onnx (reads prepared signals), or onnx-raw (reads millivolts at the "
            "network's rate, filter and all inside)."
        ),
    ] = Takeaway.torch,
    weights: Annotated[
        Path | None, typer.Option(help="With --trial: folder where workers kept networks.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Store it was trained on: to train a trial again, or to complete files of before "
            "preparation was kept."
        ),
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(help="Where the network of the study's recipe.init lies, if it moved."),
    ] = None,
    device: DeviceOption = "auto",
    samples: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="Samples per lead, if untrained.")
    ] = DEFAULT.samples,
    rate: Annotated[float, typer.Option(min=1, max=100_000, help="Hz, if untrained.")] = 100,
    storage: StorageOption = None,
) -> None:
    """Write a network with its model card: everything from a raw ECG to a decision."""
    if trial is not None:
        places = {"weights": weights, "data": data, "init": init}
        chosen, network, card = _of_trial(what, trial, storage, device, **places)
    elif what.endswith(".safetensors"):
        chosen, network, card = _loaded(Path(what), data)
    else:
        chosen, network, card = _untrained(what, samples, rate)
        print("Untrained: the weights are random.")
    _write(out, format, chosen, network, card)


def _write(out: Path, format: Takeaway, chosen: Any, network: Any, card: ModelCard) -> None:
    from models.export import save_network, save_onnx

    if format is not Takeaway.torch:
        raw = format is Takeaway.onnx_raw
        difference = save_onnx(out, chosen, network, card, raw=raw)
        checked = (
            "not checked: onnxruntime is not installed"
            if difference is None
            else f"onnxruntime differs from torch by {difference:.1e} of the largest output"
        )
        print(f"{out} and its card {out.with_suffix('.md')}; {checked}.")
        return
    for path in save_network(out, chosen, network, card):
        print(path)
    print(f'Load it with: import models; network = models.load("{out}")')


def _of_trial(
    name: str,
    number: int,
    storage: str | None,
    device: str,
    *,
    weights: Path | None,
    data: Path | None,
    init: Path | None,
) -> tuple[Any, Any, ModelCard]:
    """Load the network that was kept of a trial, or train the trial again."""
    from data_pipeline import open_store
    from search.database.storage import open_storage
    from search.errors import StudyError
    from search.kept import KeptNetworks
    from search.replay import read_stored, replay
    from search.study import open_study

    study = open_study(name, open_storage(storage))
    read_stored(study, number)
    kept = None if weights is None else KeptNetworks(weights, "all", study).path(number)
    if kept is not None and kept.is_file():
        return _loaded(kept, None)
    if data is None:
        where = "without --weights" if kept is None else f"none at {kept}"
        raise StudyError(
            f"expected the network of trial {number} of {name} in --weights, or --data to train it "
            f"again, got {where}: give the folder of its workers' --weights, or the study's store"
        )
    epochs = study.definition.recipe.epochs
    with TemporaryDirectory() as folder, Progress("training again", "epochs") as progress:
        path = replay(
            study,
            open_store(data),
            number,
            Path(folder) / f"{number}.safetensors",
            device=device,
            init=init,
            on_epoch=lambda epoch, _: progress(epoch + 1, epochs),
        )
        print(f"Trial {number} of {name} was trained again and scores the same, to the last bit.")
        return _loaded(path, None)


def _loaded(path: Path, data: Path | None) -> tuple[Any, Any, ModelCard]:
    from models.export import load_network

    network: Any = load_network(path)
    card = network.card if data is None else _completed(network.card, data)
    return network.architecture, network, card


def predict(
    network: Annotated[
        Path, typer.Argument(help="A network that was kept or exported: .safetensors or .onnx.")
    ],
    ecgs: Annotated[
        list[Path],
        typer.Argument(
            metavar="ECG...",
            help="WFDB records (with or without .hea), folders of them, or CSV files with a column "
            "per lead in mV and, unless --rate is given, one called time_s.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Write all probabilities here: .csv, .json or .parquet."),
    ] = None,
    format: Annotated[
        Format, typer.Option(help="What to print: findings as a table, or all probabilities.")
    ] = Format.table,
    rate: Annotated[
        float | None, typer.Option(min=1, max=100_000, help="Sampling rate of CSV files, Hz.")
    ] = None,
    windows: Annotated[
        int,
        typer.Option(
            min=0, max=100_000, help="Windows of a longer ECG: 0 all that fit, 1 the middle."
        ),
    ] = 0,
    aggregate: Annotated[
        Aggregate, typer.Option(help="How their probabilities become one.")
    ] = Aggregate.mean,
    plot: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Folder for a drawing (.svg) of each ECG with its findings."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Tell the probability and the decision of every diagnosis for raw ECGs.

    Files that cannot be read are named; the exit code is then 1, and 2 where none could be.
    """
    from analysis.use.predict import Drawings, findings_table, predict_files, prediction_table
    from data_pipeline.ecg_files import list_ecgs
    from models.export import load_predictor

    if out is not None:
        require_table(out)
    predictor = load_predictor(network)
    paths = list_ecgs(ecgs)
    note = f"by {network.name}; a research tool, no diagnosis"
    seen = None if plot is None else Drawings(plot, predictor, note)
    how: dict[str, Any] = {"csv_rate_hz": rate, "windows": windows, "aggregate": aggregate.value}
    said = []
    with Progress("predicting", "ECGs", quiet) as progress:
        for one in predict_files(predictor, paths, seen=seen, **how):
            said.append(one)
            progress(len(said), len(paths))
    if format is Format.table:
        print_table(findings_table(said))
    else:
        print_table(prediction_table(said), format)
    if out is not None:
        write_table(prediction_table(said), out)
    _tell_unread(said)


def _tell_unread(said: list[FilePrediction]) -> None:
    """Name the files that could not be read, and exit so that a program can tell."""
    failed = [one for one in said if one.prediction is None]
    for one in failed:
        print(f"ecgscale: not read: {one.path}: {one.problem}", file=sys.stderr)
    if failed:
        raise typer.Exit(SOME_UNREADABLE if len(failed) < len(said) else NONE_READABLE)


def evaluate(
    networks: Annotated[
        list[Path],
        typer.Argument(
            metavar="NETWORK...",
            help="Networks that were kept or exported, .safetensors; several trainings of one "
            "architecture count as one network.",
        ),
    ],
    data: Annotated[Path, typer.Option(help="Store of other records, from `prepare`.")],
    out: Annotated[Path, typer.Option(help="Folder for evaluation.html and tables/*.csv.")] = Path(
        "evaluation"
    ),
    split: Annotated[
        str | None,
        typer.Option(
            help="train, validation, test or all. By default all; of a store that a network was "
            "trained on, test."
        ),
    ] = None,
    draws: Annotated[
        int, typer.Option(min=1, max=10_000, help="Draws of patients for the intervals.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of the draws.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Score networks on records of another hospital: external validation, with one page."""
    from analysis.use import evaluate as evaluating
    from analysis.use.page import write_evaluation
    from analysis.use.tables import summary_table
    from data_pipeline import open_store

    out.mkdir(parents=True, exist_ok=True)  # told before the work, not after it
    with Progress("evaluating", "networks", quiet) as progress:
        evaluation = evaluating.evaluate(networks, open_store(data), split, progress)
    page, scored = write_evaluation(evaluation, out, seed=seed, draws=draws)
    count = len(evaluation.evaluated.labels)
    title = f"Means over classes, {count:,} records ({evaluation.split})"
    print_table(summary_table(scored), title=title)
    print(f"{page} has classes, groups and calibration; {page.parent / 'tables'} the numbers.")


def _completed(card: ModelCard, data: Path) -> ModelCard:
    from data_pipeline import open_store
    from search.training.keep import completed_card

    return completed_card(card, open_store(data))


def _untrained(name: str, samples: int, rate: float) -> tuple[Any, Any, Any]:
    import torch

    from data_pipeline.labels import ABBREVIATIONS
    from data_pipeline.store import LEADS
    from models import find_architecture
    from models.build import build
    from models.card import ModelCard

    chosen = find_architecture(name)
    torch.manual_seed(0)
    network = build(chosen, leads=len(LEADS), outputs=len(ABBREVIATIONS)).eval()
    card = ModelCard(
        name=f"{chosen.name}, untrained",
        classes=tuple(ABBREVIATIONS),
        leads=LEADS,
        samples=samples,
        sample_rate_hz=rate,
        preparation="The weights are random: this network was never trained.",
    )
    return chosen, network, card
