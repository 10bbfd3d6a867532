"""Write the 24 networks of the pilot on learning rates.

    python studies/rates/networks.py OUT

Draws of `ecg-cnn-2` are divided by `residual` (2) and FLOPs (4 bins), and within each by the width
of the first stage into thirds; of every cell the first draw is taken. Files sort so that any prefix
is spread over the cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from models import Architecture, load_space

SEED = 2311
DRAWS = 3000
FLOPS = np.geomspace(3e6, 3e8, 5)
MOST_PARAMETERS = 2e7  # a network above trains for longer than the pilot is worth


def networks() -> list[Architecture]:
    """Draw one network per cell, in random order of the cells."""
    space, rng = load_space("ecg-cnn-2"), np.random.default_rng(SEED)
    cells: dict[tuple[bool, int], list[Architecture]] = {}
    for _ in range(DRAWS):
        made = space.resolve({factor.name: factor.draw(rng, 1)[0] for factor in space.factors})
        cost = made.cost()
        place = int(np.searchsorted(FLOPS, cost.flops))
        if 0 < place < len(FLOPS) and cost.params <= MOST_PARAMETERS:
            cells.setdefault((bool(made.factors["residual"]), place), []).append(made)
    chosen = []
    for place in sorted(cells):
        ranks = np.argsort(np.argsort([float(made.factors["width"]) for made in cells[place]]))
        thirds = 3 * ranks // len(ranks)
        chosen += [cells[place][int(np.flatnonzero(thirds == third)[0])] for third in range(3)]
    return [chosen[i] for i in rng.permutation(len(chosen))]


def main() -> None:
    """Write one JSON file per network, and a line about each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    for number, made in enumerate(networks()):
        (out / f"{number:02d}.json").write_text(made.to_json(), encoding="utf-8")
        told = {key: made.factors[key] for key in ("residual", "depth", "width", "grouping")}
        cost = made.cost()
        size = f"{cost.flops / 1e6:.1f} MFLOP, {cost.activations / 1e3:.0f} k activations"
        print(f"{number:02d}: {size}, {told}")


if __name__ == "__main__":
    main()
