"""Write the networks of the dissection: parts of xresnet1d50 and of ours, exchanged.

    python studies/dissection/networks.py OUT --budget 100M

A network is called by eight letters, one per part in the order of PARTS: x for the part of
xresnet1d50, o for ours. Sixteen are a fractional factorial design of resolution IV, 2^(8−4): half
of them have each part, each pair of parts in all four forms equally often, and no main effect is
confounded with one of two parts together (Box, Hunter & Hunter 2005, chapter 6). The other sixteen
are the two networks with a single part exchanged. Every network's widths are scaled so that it has
the budget's FLOPs, within 3 %. Files sort in the order of training.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from models import Architecture, find_architecture
from models.ecg_cnn import multiple, network
from models.ecg_cnn_2 import XRESNET1D50
from search.definition import parse_count

TOLERANCE = 0.03
WIDTH_STEPS = (2, 1)  # in place of 8, which would jump over the budget; 1 where 2 does, too
WIDTHS = np.geomspace(8, 1024, 4000)  # of the first stage, the narrowest first

# The networks that the study ecg-cnn-2320 confirmed.
OURS = {"100M": "ecgscale-m", "300M": "ecgscale-l"}
# What is exchanged together; all parts of one network make the other.
PARTS: dict[str, tuple[str, ...]] = {
    "stem": ("stem", "stem_kernel", "stem_width"),
    "stem pool": ("stem_pool",),
    "kernel": ("kernel_size",),
    "halving": ("halving",),
    "head": ("head",),
    "widths": ("width_growth",),
    "middle": ("grouping", "expansion", "se_ratio"),
    "depth": ("blocks",),
}
FACTORIAL = 16  # networks, the first ones
Values = dict[str, Any]


def pair(budget: str) -> dict[str, Values]:
    """Return all factors of xresnet1d50 ("x") and of our network of a budget ("o")."""
    known = find_architecture(OURS[budget])
    blocks = tuple(row.blocks for row in known.describe()[1:-1])
    plain = {"stem": "single", "stem_width": 1.0, "stem_pool": False, "halving": "apart"}
    return {
        "x": {**XRESNET1D50, "blocks": (3, 4, 6, 3)},
        "o": {**known.factors, **plain, "head": "average", "blocks": blocks},
    }


def patterns() -> list[str]:
    """Return the sixteen of the factorial design, then those with one part exchanged."""
    factorial = []
    for a, b, c, d in product((-1, 1), repeat=4):
        signs = (a, b, c, d, b * c * d, a * c * d, a * b * c, a * b * d)
        factorial.append("".join("o" if sign > 0 else "x" for sign in signs))
    count = len(PARTS)
    single = [
        base * part + other + base * (count - 1 - part)
        for part in range(count)
        for base, other in (("x", "o"), ("o", "x"))
    ]
    corners = ["x" * count, "o" * count]
    return [*corners, *(one for one in factorial if one not in corners), *single]


def exchanged(pattern: str, budget: str) -> Architecture:
    """Return the network of a pattern whose widths bring it nearest to the budget."""
    both = pair(budget)
    values: Values = {"residual": True, "activation": "relu"}
    for letter, factors in zip(pattern, PARTS.values(), strict=True):
        values |= {factor: both[letter][factor] for factor in factors}
    for step in WIDTH_STEPS:
        off, nearest = _nearest(pattern, {**values, "width_step": step}, parse_count(budget))
        if off <= TOLERANCE:
            return nearest
    raise ValueError(f"expected {pattern} within {TOLERANCE:.0%} of {budget}, got {off:.1%}")


def _nearest(pattern: str, values: Values, flops: float) -> tuple[float, Architecture]:
    growth, blocks, step = values["width_growth"], values["blocks"], values["width_step"]
    best: tuple[float, Architecture] | None = None
    for width in WIDTHS:
        widths = [multiple(width * growth**i, step) for i in range(len(blocks))]
        made = Architecture(pattern, network(values, widths, blocks))
        ratio = made.cost().flops / flops
        if best is None or abs(ratio - 1) < best[0]:
            best = abs(ratio - 1), made
        if ratio > 1.5:
            break
    assert best is not None
    return best


def main() -> None:
    """Write one JSON file per network, and a line about each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--budget", choices=OURS, default="100M")
    given = parser.parse_args()
    for number, pattern in enumerate(patterns()):
        made = exchanged(pattern, given.budget)
        folder = given.out / ("factorial" if number < FACTORIAL else "single")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02d}-{pattern}.json").write_text(made.to_json(), encoding="utf-8")
        cost, widths = made.cost(), [row.width for row in made.describe()[:-1]]
        millions = f"{cost.flops / 1e6:.1f} MFLOP, {cost.params / 1e6:.2f} M parameters"
        print(f"{pattern}: {millions}, {cost.activations / 1e3:.0f} k activations, {widths}")


if __name__ == "__main__":
    main()
