"""Write the networks of the dissection: xresnet1d50 and ours, one part of each exchanged.

    python studies/dissection/networks.py OUT --budget 100M

Every network's widths are scaled so that it has the budget's FLOPs, within 3 %. The names sort in
the order of training; README.md has the commands that train them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models import Architecture, find_architecture
from models.ecg_cnn import multiple, network
from search.definition import parse_count

TOLERANCE = 0.03
WIDTH_STEP = 2  # in place of 8, which would jump over the budget
WIDTHS = np.geomspace(8, 1024, 2000)  # of the first stage, the narrowest first

XRESNET1D50: dict[str, Any] = {
    "blocks": (3, 4, 6, 3), "growth": 1.0, "kernel_size": 5, "stem": "triple", "stem_kernel": 5,
    "stem_width": 0.25, "stem_pool": True, "halving": "block", "head": "hidden",
    "grouping": "dense", "expansion": 0.25, "se_ratio": 0.0,
}  # fmt: skip
# The networks that the study ecg-cnn-2320 confirmed.
OURS = {"100M": "ecgscale-m", "300M": "ecgscale-l"}
# What is exchanged together: a part of one network for that of the other.
PARTS: dict[str, tuple[str, ...]] = {
    "stem": ("stem", "stem_kernel", "stem_width"),
    "stem-pool": ("stem_pool",),
    "kernel": ("kernel_size",),
    "halving": ("halving",),
    "head": ("head",),
    "widths": ("growth",),
    "grouping": ("grouping",),
    "depth": ("blocks",),
}


def ours(budget: str) -> dict[str, Any]:
    """Return the parts of the network that was confirmed for a budget."""
    known = find_architecture(OURS[budget])
    stages = known.describe()[1:-1]
    return {
        **{k: known.factors[k] for k in ("kernel_size", "stem_kernel", "grouping", "expansion")},
        "blocks": tuple(row.blocks for row in stages),
        "growth": known.factors["width_growth"],
        "se_ratio": known.factors["se_ratio"],
        "stem": "single", "stem_width": 1.0, "stem_pool": False, "halving": "apart",
        "head": "average",
    }  # fmt: skip


def fitted(name: str, parts: Mapping[str, Any], flops: float) -> Architecture:
    """Return the network of these parts whose widths bring it nearest to so many FLOPs."""
    values = {**parts, "residual": True, "width_step": WIDTH_STEP}
    found = {}
    for width in WIDTHS:
        widths = [
            multiple(width * parts["growth"] ** i, WIDTH_STEP) for i in range(len(parts["blocks"]))
        ]
        found[tuple(widths)] = None
    best = None
    for widths in found:
        made = Architecture(name, network(values, widths, parts["blocks"]))
        off = abs(made.cost().flops / flops - 1)
        if best is None or off < best[0]:
            best = off, made
        if made.cost().flops > 2 * flops:
            break
    assert best is not None
    if best[0] > TOLERANCE:
        raise ValueError(
            f"expected {name} within {TOLERANCE:.0%} of {flops:.3g}, got {best[0]:.1%}"
        )
    return best[1]


def dissection(budget: str) -> list[Architecture]:
    """Return both networks and every exchange of one part, at a budget."""
    pair = {"xresnet1d50": XRESNET1D50, "ours": ours(budget)}
    flops = parse_count(budget)
    made = [fitted(f"{name}", parts, flops) for name, parts in pair.items()]
    for part, factors in PARTS.items():
        for name, other in (("xresnet1d50", "ours"), ("ours", "xresnet1d50")):
            exchanged = {factor: pair[other][factor] for factor in factors}
            made.append(fitted(f"{name} {part}", {**pair[name], **exchanged}, flops))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--budget", choices=OURS, default="100M")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for number, made in enumerate(dissection(given.budget)):
        cost = made.cost()
        path = given.out / f"{number:02d}-{made.name.replace(' ', '-')}.json"
        path.write_text(made.to_json(), encoding="utf-8")
        widths = [row.width for row in made.describe()[:-1]]
        print(
            f"{path.name:40s} {cost.flops / 1e6:6.1f} MFLOP {cost.params / 1e3:7.0f} k {cost.activations / 1e3:6.0f} k acts  {widths}"
        )


if __name__ == "__main__":
    main()
