"""Commands on architectures: cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ecgscale.output import engineering, print_table
from models.shape import DEFAULT, Shape

PANEL = "Architectures"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(cost)


def cost(
    architecture: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE.json",
            help="One of ours, such as ecgscale-m, a reference CNN, such as xresnet1d18 or "
            "mobilenetv2@0.5 (half as wide), or a file that `recommend --out` wrote. Without one: "
            "all of them.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Samples per lead of one record.")
    ] = DEFAULT.samples,
    leads: Annotated[int, typer.Option(min=1, help="Leads of one record.")] = DEFAULT.leads,
    outputs: Annotated[int, typer.Option(min=1, help="Classes to tell apart.")] = DEFAULT.outputs,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Draw the network here, its stages to scale.")
    ] = None,
) -> None:
    """Count parameters, FLOPs and activations of a network exactly, without building it."""
    import pandas as pd

    from models import family_names, find_architecture, reference_names

    shape = Shape(samples, leads, outputs)
    if architecture is None:
        names = (*family_names(), *reference_names())
        costs = {name: asdict(find_architecture(name).cost(**shape)) for name in names}
        if as_json:
            print(json.dumps(costs, indent=2))
        else:
            listed = pd.DataFrame(costs).T.rename_axis("network").reset_index()
            print_table(listed, title=f"One record of {leads} leads × {samples} samples")
        return
    chosen = find_architecture(architecture)
    if svg is not None:
        from models.diagram import architecture_svg

        drawing = architecture_svg(chosen, samples=samples, leads=leads, outputs=outputs)
        svg.write_text(drawing, encoding="utf-8")
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
        f"(2 × multiply-accumulates, forward), {engineering(total.activations)} activations; "
        f"{chosen.counted}"
    )
