"""Commands on ECG files and stores: download, synthesize, prepare, store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.output import Progress, print_facts, print_table

if TYPE_CHECKING:
    from data_pipeline.store import Store

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(download)
    app.command(rich_help_panel=PANEL)(synthesize)
    app.command(rich_help_panel=PANEL)(prepare)
    app.command(rich_help_panel=PANEL)(store)


def download(
    dataset: Annotated[str, typer.Argument(help="challenge-2021")],
    out: Annotated[Path, typer.Option(help="Folder for the files; an earlier run is continued.")],
    records: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many records; default: all.")
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=32, help="Connections at once.")] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Download a public data set; every file is checked against its SHA-256."""
    from data_pipeline.download import download_challenge
    from data_pipeline.errors import DataError

    if dataset != "challenge-2021":
        raise DataError(
            f"Expected a data set out of challenge-2021, but got {dataset!r}; choose one of these."
        )
    with Progress("downloading", "records", quiet) as progress:
        download_challenge(out, records=records, connections=connections, progress=progress)
    print(f"Next: ecgscale prepare {out} --out STORE")


def synthesize(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    records: Annotated[int, typer.Option(min=1, help="How many ECGs.")],
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Write synthetic twelve-lead ECGs as Challenge files, for tests of scale."""
    from data_pipeline.synthetic import synthesize as write

    with Progress("synthesizing", "records", quiet) as progress:
        write(out, records=records, seed=seed, jobs=jobs, progress=progress)
    print(f"Next: ecgscale prepare {out} --out STORE")


def prepare(
    raw: Annotated[Path, typer.Argument(help="Folder of WFDB files, nested in any way.")],
    out: Annotated[Path, typer.Option(help="Folder of the store to make.")],
    layout: Annotated[
        str, typer.Option("--format", help="Layout of RAW: challenge, ptb-xl or csv.")
    ] = "challenge",
    rate: Annotated[int, typer.Option(help="Samples per second to keep, Hz.")] = 100,
    seconds: Annotated[float, typer.Option(help="Length to keep of each record, s.")] = 10,
    standardise: Annotated[
        str, typer.Option(help="Unit variance of each lead, of each record, or none (mV).")
    ] = "lead",
    patients: Annotated[
        Path | None,
        typer.Option(help="CSV with columns record, patient: a patient stays in one split."),
    ] = None,
    keep_unlabelled: Annotated[
        bool, typer.Option(help="Keep records without any scored label (they are not normal!).")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Processes at once.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Turn raw ECG files into a store: resampled, filtered, standardised, labelled and split."""
    from data_pipeline import PrepareOptions, prepare_store

    options = PrepareOptions(
        layout=layout,  # type: ignore[arg-type]  # checked by PrepareOptions
        sample_rate_hz=rate,
        seconds=seconds,
        standardise=standardise,  # type: ignore[arg-type]
        patients=patients,
        keep_unlabelled=keep_unlabelled,
    )
    with Progress("preparing", "records", quiet) as progress:
        made = prepare_store(raw, out, options, jobs=jobs, progress=progress)
    describe_store(made)
    print(f"Next: ecgscale create DEFINITION.toml --data {out}")


def store(
    path: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show what a store holds: records, sources, labels by split, and what was left out."""
    from data_pipeline import open_store

    opened = open_store(path)
    if as_json:
        print(json.dumps(_facts(opened), indent=2))
    else:
        describe_store(opened)


def describe_store(store: Store) -> None:
    """Print the facts of a store, its label counts per split and its quarantine by reason."""
    import pandas as pd

    print_facts(
        {
            "records": f"{len(store):,}",
            "quarantined": f"{len(store.quarantine):,}",
            "signal": f"12 leads × {store.samples} samples, {store.sample_rate_hz:g} Hz",
            "sources": ", ".join(f"{name} {n:,}" for name, n in _count(store.records["source"])),
            "hash": store.hash[:16],
            **({"SYNTHETIC": "these ECGs came out of a generator"} if store.synthetic else {}),
        },
        title=f"Store {store.path}",
    )
    splits = {name: store.labels[store.rows(name)] for name in ("train", "validation", "test")}
    counts = pd.DataFrame({name: rows.sum(axis=0) for name, rows in splits.items()})
    counts.insert(0, "label", list(store.classes))
    records = {"label": "records", **{name: len(rows) for name, rows in splits.items()}}
    counts = pd.concat([counts, pd.DataFrame([records])])
    print_table(counts, title="Positive records per label and split")
    if len(store.quarantine):
        reasons = pd.DataFrame(_count(store.quarantine["reason"]), columns=["reason", "records"])
        print_table(reasons, title="Left out (each record in quarantine.csv)")


def _facts(store: Store) -> dict[str, object]:
    return {
        "records": len(store),
        "quarantined": len(store.quarantine),
        "labels": store.label_counts(),
        "sources": dict(_count(store.records["source"])),
        "splits": {name: len(store.rows(name)) for name in ("train", "validation", "test")},
        "sample_rate_hz": store.sample_rate_hz,
        "samples": store.samples,
        "synthetic": store.synthetic,
        "hash": store.hash,
    }


def _count(column: object) -> list[tuple[str, int]]:
    import pandas as pd

    counts = pd.Series(column).value_counts()
    return [(str(name), int(n)) for name, n in counts.items()]
