"""Commands on architectures and design spaces: cost, space."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgscale.option_groups import MOST_SEED, grouped
from ecgscale.output import counted, engineering, print_table
from models.shape import DEFAULT, Shape

if TYPE_CHECKING:
    from models import Factor
    from models.survey import Survey

PANEL = "Architectures"


@dataclass(frozen=True, slots=True)
class ShapeArguments:
    """What a network reads and puts out, where it is not as usual."""

    samples: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**9,
            help=f"Samples per lead of one record. Default: the study's, else {DEFAULT.samples}.",
            show_default=False,
        ),
    ] = None
    leads: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_000, help=f"Leads. Default: {DEFAULT.leads}.", show_default=False
        ),
    ] = None
    outputs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=100_000,
            help=f"Classes to tell apart. Default: the study's, else {DEFAULT.outputs}.",
            show_default=False,
        ),
    ] = None

    def shape(self, known: Shape = DEFAULT) -> Shape:
        """Return what is known, with what was given in its place."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return replace(known, **given)


def register(app: typer.Typer) -> None:
    """Add the commands of this group to the command line."""
    app.command(rich_help_panel=PANEL)(cost)
    app.command(rich_help_panel=PANEL)(space)


@grouped
def cost(
    architecture: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE.json|FILE.safetensors",
            help="One of ours, such as ecgscale-m, a reference CNN, such as xresnet1d18 or "
            "mobilenetv2@0.5 (half as wide), or a file of `recommend --out`, `family` or "
            "`--weights`. Without one: all of them.",
        ),
    ] = None,
    given: ShapeArguments = ShapeArguments(),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
    svg: Annotated[
        Path | None, typer.Option(help="Draw the network here, its stages to scale.")
    ] = None,
) -> None:
    """Count parameters, FLOPs and activations of a network exactly, without building it.

    A network of a study is counted for the records and classes of the study.
    """
    import pandas as pd

    from models import family_names, find_architecture, reference_names
    from models.find import find_with_shape

    if architecture is None:
        shape = given.shape()
        names = (*family_names(), *reference_names())
        costs = {name: asdict(find_architecture(name).cost(**shape)) for name in names}
        if as_json:
            print(json.dumps(costs, indent=2))
        else:
            listed = pd.DataFrame(costs).T.rename_axis("network").reset_index()
            print_table(listed, title=f"One record of {shape_in_words(shape)}")
        return
    chosen, known = find_with_shape(architecture)
    shape = given.shape(known)
    if svg is not None:
        from models.diagram import architecture_svg

        drawing = architecture_svg(chosen, **shape)
        svg.write_text(drawing, encoding="utf-8")
    total = chosen.cost(**shape)
    if as_json:
        print(json.dumps(asdict(total)))
        return
    stages = chosen.describe(**shape)
    print_table(
        pd.DataFrame([asdict(stage) for stage in stages]),
        title=f"{chosen.name} {chosen.hash}, one record of {shape_in_words(shape)}",
    )
    print(
        f"{engineering(total.params)} parameters, {engineering(total.flops, 'FLOPs')} "
        f"(2 × multiply-accumulates, forward), {engineering(total.activations)} activations; "
        f"{chosen.counted}"
    )


@grouped
def space(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME|FILE.toml",
            help="A built-in design space, or the file of one of your own. Without one: the names.",
        ),
    ] = None,
    given: ShapeArguments = ShapeArguments(),
    data: Annotated[
        Path | None,
        typer.Option(metavar="STORE", help="Count costs for the records and classes of a store."),
    ] = None,
    draws: Annotated[int, typer.Option(min=20, max=1_000_000, help="Networks to draw.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Seed of the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show a design space: its factors, how many networks it has, their costs, a few of them."""
    import pandas as pd

    from models import load_space
    from models.space import FAMILIES
    from models.survey import survey

    if what is None:
        rows = [{"space": name, "factors": len(load_space(name).factors)} for name in FAMILIES]
        print_table(pd.DataFrame(rows))
        return
    known = DEFAULT if data is None else _shape_of_store(data)
    found = survey(load_space(what), given.shape(known), draws=draws, seed=seed)
    if as_json:
        print(json.dumps(_space_facts(found)))
    else:
        _show_space(found)


def _show_space(found: Survey) -> None:
    """Print a space for people."""
    import pandas as pd

    from models.survey import QUANTILES

    own = found.space
    factors = [{"factor": one.name, "values": _values(one)} for one in own.factors]
    fixed = [{"factor": name, "values": f"{value}, fixed"} for name, value in own.fixed]
    print_table(pd.DataFrame([*factors, *fixed]), title=f"Space {own.name} of family {own.family}")
    for text in own.constraints:
        print(f"Constraint: {text}; {found.allowed:.0%} of all draws meet every one.")
    few = f"at least about {engineering(found.networks)} different networks"
    points = "infinitely many" if math.isinf(found.points) else engineering(found.points)
    print(
        f"Exactly {counted(int(found.networks), 'different network')}, all counted; "
        f"{points} combinations of values."
        if found.exact
        else f"{few[0].upper()}{few[1:]}: an estimate from {found.draws:,} draws, from below "
        f"(Chao 1984); {points} combinations of values."
    )
    rows = [
        {
            "share below": f"{share:.0%}",
            "FLOPs": engineering(found.quantile(share)),
            "parameters": engineering(found.quantile(share, "params")),
        }
        for share in QUANTILES
    ]
    print_table(pd.DataFrame(rows), title=f"One record of {shape_in_words(found.shape)}")
    examples = [
        {**one.factors, "FLOPs": engineering(cost.flops), "parameters": engineering(cost.params)}
        for one, cost in found.examples
    ]
    shown = pd.DataFrame(examples, index=[f"example {n + 1}" for n in range(len(examples))])
    print_table(
        shown.T.rename_axis("factor").reset_index(), title="A small, a middling, a large one"
    )
    low, high = found.quantile(0.05), found.quantile(0.95)
    print(f'For a study: flops = ["{_toml(low)}", "{_toml(high)}"] holds 90 % of its networks.')


def _space_facts(found: Survey) -> dict[str, object]:
    """Return a space for programs."""
    from models.survey import QUANTILES

    return {
        **found.space.to_dict(),
        "points": None if math.isinf(found.points) else found.points,
        "networks": found.networks,
        "exact": found.exact,
        "draws": found.draws,
        "allowed": found.allowed,
        "flops": {str(share): found.quantile(share) for share in QUANTILES},
        "params": {str(share): found.quantile(share, "params") for share in QUANTILES},
        "examples": [
            {"factors": dict(one.factors), **asdict(cost)} for one, cost in found.examples
        ],
    }


def _values(factor: Factor) -> str:
    if factor.kind == "choice":
        return ", ".join(f"{v:g}" if type(v) in (int, float) else str(v) for v in factor.choices)
    step = f", in steps of {factor.step:g}" if factor.step not in (None, 1) else ""
    whole = "whole numbers " if factor.kind == "int" else ""
    return f"{whole}{factor.low:g} to {factor.high:g}{step}{', log-uniform' if factor.log else ''}"


def _toml(flops: float) -> str:
    return engineering(flops).replace(" ", "")


def _shape_of_store(path: Path) -> Shape:
    from data_pipeline import open_store

    opened = open_store(path)
    _, leads, samples = opened.signals.shape
    return Shape(samples, leads, len(opened.classes))


def shape_in_words(shape: Shape) -> str:
    """Say what a network reads and puts out."""
    return f"{shape.leads} leads × {shape.samples} samples, {shape.outputs} classes"
