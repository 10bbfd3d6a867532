"""Commands on architectures: cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ecgscale.output import engineering, print_table

PANEL = "Architectures"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(cost)


def cost(
    architecture: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE.json",
            help="A reference CNN, such as xresnet1d18 or mobilenetv2@0.5 (half as wide), or a "
            "file that `recommend --out` wrote. Without one: all reference CNNs.",
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples per lead of one record.")] = 1000,
    leads: Annotated[int, typer.Option(min=1, help="Leads of one record.")] = 12,
    outputs: Annotated[int, typer.Option(min=1, help="Classes to tell apart.")] = 26,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Count parameters, FLOPs and activations of a network exactly, without building it."""
    import pandas as pd

    from models import find_architecture, reference, reference_names

    shape = {"samples": samples, "leads": leads, "outputs": outputs}
    if architecture is None:
        costs = {name: asdict(reference(name).cost(**shape)) for name in reference_names()}
        if as_json:
            print(json.dumps(costs, indent=2))
        else:
            listed = pd.DataFrame(costs).T.rename_axis("reference").reset_index()
            print_table(listed, title=f"One record of {leads} leads × {samples} samples")
        return
    chosen = find_architecture(architecture)
    total = chosen.cost(**shape)
    if as_json:
        print(json.dumps(asdict(total)))
        return
    stages = chosen.describe(**shape)
    print_table(
        pd.DataFrame([asdict(stage) for stage in stages]),
        title=f"{chosen.name} {chosen.hash}, one record of {leads} leads × {samples} samples",
    )
    print(
        f"{engineering(total.params)} parameters, {engineering(total.flops, 'FLOPs')} "
        f"(2 × multiply-accumulates, forward), {engineering(total.activations)} activations"
    )
