"""Commands on architectures: cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.output import engineering, print_table

if TYPE_CHECKING:
    from models import Architecture

PANEL = "Architectures"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(cost)


def cost(
    architecture: Annotated[
        str, typer.Argument(metavar="FILE.json", help="An architecture, as `trials` gives it.")
    ],
    samples: Annotated[int, typer.Option(min=1, help="Samples per lead of one record.")] = 1000,
    leads: Annotated[int, typer.Option(min=1, help="Leads of one record.")] = 12,
    outputs: Annotated[int, typer.Option(min=1, help="Classes to tell apart.")] = 26,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Count parameters, FLOPs and activations of a network exactly, without building it."""
    import pandas as pd

    chosen = read_architecture(architecture)
    total = chosen.cost(samples=samples, leads=leads, outputs=outputs)
    if as_json:
        print(json.dumps(asdict(total)))
        return
    stages = chosen.describe(samples=samples, leads=leads, outputs=outputs)
    print_table(
        pd.DataFrame([asdict(stage) for stage in stages]),
        title=f"{chosen.name} {chosen.hash}, one record of {leads} leads × {samples} samples",
    )
    print(
        f"{engineering(total.params)} parameters, {engineering(total.flops, 'FLOPs')} "
        f"(2 × multiply-accumulates, forward), {engineering(total.activations)} activations"
    )


def read_architecture(argument: str) -> Architecture:
    """Return the architecture in a JSON file.

    Raises:
        ModelError: there is no such file, or it holds no architecture.
    """
    from models import Architecture, ModelError

    path = Path(argument)
    if not path.is_file():
        raise ModelError(
            f"expected a file with an architecture, got {argument!r}; "
            "write one with `ecgscale recommend STUDY --flops 10M --out FILE.json`"
        )
    return Architecture.from_json(path.read_text("utf-8"))
