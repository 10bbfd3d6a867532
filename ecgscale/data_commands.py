"""Commands on ECG files and stores: download, synthesize, prepare, store, show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.option_groups import MOST_SEED, grouped
from ecgscale.output import Progress, command_line, print_facts, print_table
from ecgscale.prepare_options import PrepareArguments

if TYPE_CHECKING:
    from data_pipeline.store import Store

PANEL = "Data"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(download)
    app.command(rich_help_panel=PANEL)(synthesize)
    app.command(rich_help_panel=PANEL)(prepare)
    app.command(rich_help_panel=PANEL)(store)
    app.command(rich_help_panel=PANEL)(show)


def download(
    dataset: Annotated[str, typer.Argument(help="challenge-2021 or ptb-xl.")],
    out: Annotated[Path, typer.Option(help="Folder for the files; an earlier run is continued.")],
    records: Annotated[
        int | None,
        typer.Option(min=1, max=10_000_000, help="Stop after this many records; default: all."),
    ] = None,
    connections: Annotated[int, typer.Option(min=1, max=32, help="Connections at once.")] = 8,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Download a public data set; every file is checked against its SHA-256."""
    from data_pipeline.download import download_challenge, download_ptb_xl
    from data_pipeline.errors import DataError

    sources = {"challenge-2021": download_challenge, "ptb-xl": download_ptb_xl}
    if dataset not in sources:
        raise DataError(
            f"Expected a data set out of {', '.join(sources)}, but got {dataset!r}; "
            "choose one of these."
        )
    with Progress("downloading", "files", quiet) as progress:
        sources[dataset](out, records=records, connections=connections, progress=progress)
    layout = () if dataset == "challenge-2021" else ("--format", dataset)
    print(f"Next: {command_line('prepare', out, '--out', 'store', *layout)}")


def synthesize(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    records: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many ECGs.")],
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Same seed, same files.")] = 0,
    quirks: Annotated[
        float, typer.Option(min=0, max=1, help="Share of records with the faults of real files.")
    ] = 0,
    jobs: Annotated[int, typer.Option(min=1, max=1_024, help="Processes at once.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Write synthetic twelve-lead ECGs as Challenge files, for tests of scale."""
    from data_pipeline.synthetic import synthesize as write

    with Progress("synthesizing", "records", quiet) as progress:
        write(out, records=records, seed=seed, quirks=quirks, jobs=jobs, progress=progress)
    print(f"Next: {command_line('prepare', out, '--out', 'store')}")


@grouped
def prepare(
    raw: Annotated[Path, typer.Argument(help="Folder of WFDB files, nested in any way.")],
    out: Annotated[Path, typer.Option(help="Folder of the store to make.")],
    how: PrepareArguments,
    jobs: Annotated[int, typer.Option(min=1, max=1_024, help="Processes at once.")] = 1,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Turn raw ECG files into a store: resampled, filtered, standardised, labelled and split."""
    from data_pipeline import prepare_store

    with Progress("preparing", "records", quiet) as progress:
        made = prepare_store(raw, out, how.options(), jobs=jobs, progress=progress, tell=print)
    describe_store(made)
    print(f"Next: {command_line('create', 'DEFINITION.toml', '--data', out)}")


def store(
    path: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with the cohort and a few ECGs here.")
    ] = None,
) -> None:
    """Show what a store holds: the cohort by split, its labels, and which records are excluded."""
    from data_pipeline import open_store
    from data_pipeline.page import write_page

    opened = open_store(path)
    if html is not None:
        print(f"Page: {write_page(opened, html)}")
    elif as_json:
        print(json.dumps(_facts(opened), indent=2))
    else:
        describe_store(opened)


def show(
    path: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of the store.")],
    record: Annotated[
        str | None, typer.Argument(help="Name of a record; without one, some are named.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File to draw to: .html or .svg.")] = Path("ecg.html"),
) -> None:
    """Draw the twelve leads of one ECG on ECG paper."""
    import pandas as pd

    from data_pipeline import open_store
    from data_pipeline.drawing import examples
    from data_pipeline.drawing import show as draw

    opened = open_store(path)
    if record is not None:
        print(f"Drawing: {draw(opened, record, out)}")
        return
    some = examples(opened)
    print_table(pd.DataFrame(some, columns=["record", "diagnoses"]), title="Some of its records")
    print(f"Next: {command_line('show', path, some[0][0], '--out', out)}")


def describe_store(store: Store) -> None:
    """Print the facts of a store, the flow from files to splits, its cohort and its warnings."""
    import pandas as pd

    from data_pipeline.cohort import characteristics, flow
    from data_pipeline.summary import sentences

    counts = flow(store)
    splits = ", ".join(f"{split} {count:,}" for split, count in counts.records.items())
    windows = "" if counts.rows == counts.kept else f" in {counts.rows:,} rows"
    print_facts(
        {
            "records": f"{counts.kept:,}{windows} ({splits})",
            "excluded": f"{sum(counts.excluded.values()):,} of {counts.found:,} found",
            "signal": f"12 leads × {store.samples} samples, {store.sample_rate_hz:g} Hz",
            "hash": store.hash[:16],
            **({"SYNTHETIC": "these ECGs came out of a generator"} if store.synthetic else {}),
        },
        title=f"Store {store.path}",
    )
    if counts.excluded:
        reasons = pd.DataFrame(counts.excluded.items(), columns=["reason", "records"])
        print_table(reasons, title="Excluded")
        print(f"Each excluded record with its reason: {store.path / store.excluded_file}")
    # Classes without records are among the warnings.
    cohort = characteristics(store)
    print_table(cohort[cohort["all"] != "0 (0.0 %)"], title="Cohort: records (share), or as said")
    for sentence in sentences(store.summary):
        print(f"Note: {sentence}.")
    for warning in store.summary.get("warnings", ()):
        print(f"Warning: {warning}.")


def _facts(store: Store) -> dict[str, object]:
    from dataclasses import asdict

    from data_pipeline.cohort import flow

    return {
        "records": len(store),
        "excluded": len(store.excluded),
        "labels": store.label_counts(),
        "sources": dict(_count(store.records["source"])),
        "splits": {name: len(store.rows(name)) for name in ("train", "validation", "test")},
        "sample_rate_hz": store.sample_rate_hz,
        "samples": store.samples,
        "synthetic": store.synthetic,
        "hash": store.hash,
        "flow": asdict(flow(store)),
        "summary": store.summary,
    }


def _count(column: object) -> list[tuple[str, int]]:
    import pandas as pd

    counts = pd.Series(column).value_counts()
    return [(str(name), int(n)) for name, n in counts.items()]
