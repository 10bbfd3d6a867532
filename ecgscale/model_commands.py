"""Commands on architectures: cost, export."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ecgscale.output import engineering, print_table
from models.shape import DEFAULT, Shape

PANEL = "Architectures"


class Takeaway(StrEnum):
    """Forms in which a network leaves ecgscale."""

    torch = "torch"
    onnx = "onnx"


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(cost)
    app.command(rich_help_panel=PANEL)(export)


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
        f"(2 × multiply-accumulates, forward), {engineering(total.activations)} activations"
    )


def export(
    architecture: Annotated[
        str,
        typer.Argument(
            metavar="FILE.safetensors|FILE.json|NAME",
            help="A network that `worker --weights` kept; an architecture or a reference CNN "
            "gets random weights.",
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="File to write: .safetensors for torch, .onnx for --format onnx.")
    ],
    format: Annotated[Takeaway, typer.Option(help="How to take it away.")] = Takeaway.torch,
    samples: Annotated[
        int, typer.Option(min=1, help="Samples per lead, if untrained.")
    ] = DEFAULT.samples,
    rate: Annotated[float, typer.Option(min=1, help="Hz, if untrained.")] = 100,
) -> None:
    """Write a network with its model card, for PyTorch alone or as ONNX."""
    from models.export import load_network, save_network, save_onnx

    if architecture.endswith(".safetensors"):
        network: Any = load_network(Path(architecture))
        chosen, card = network.architecture, network.card
    else:
        chosen, network, card = _untrained(architecture, samples, rate)
        print("Untrained: the weights are random.")
    if format is Takeaway.onnx:
        difference = save_onnx(out, chosen, network, card)
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
