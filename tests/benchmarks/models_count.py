"""Compare counting costs by formula with building each network and counting with torch.

    python tests/benchmarks/models_count.py [--networks 100] [--seed 0]

Draws random architectures of ecg-cnn up to 400 MFLOPs at 12×1000. For each: the time to resolve the
factors, to count by formula, to build, and to count with FlopCounterMode in one forward pass. The
counts must agree. Times are CPU seconds of one thread, medians; the last line draws a whole study.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from models import load_space, sample_architectures
from models.build import build
from models.cost import tree_cost

SHAPE = {"samples": 1000, "leads": 12, "outputs": 26}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--networks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    space, rng = load_space("ecg-cnn"), np.random.default_rng(options.seed)
    seconds: dict[str, list[float]] = {key: [] for key in ("resolve", "formula", "build", "torch")}
    while len(seconds["torch"]) < options.networks:
        values = {factor.name: factor.draw(rng, 1)[0] for factor in space.factors}
        marks = [time.process_time()]
        for _ in range(10):  # one pass is too short for the clock
            layers = space.layers(values)
        marks.append(time.process_time())
        for _ in range(10):
            cost = tree_cost(layers, **SHAPE)
        marks.append(time.process_time())
        if cost.flops > 4e8:
            continue
        network = build(space.named(values, layers)).eval()
        marks.append(time.process_time())
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(torch.zeros(1, 12, 1000))
        marks.append(time.process_time())
        assert counter.get_total_flops() == cost.flops
        for key, spent, passes in zip(seconds, np.diff(marks), (10, 10, 1, 1), strict=True):
            seconds[key].append(float(spent) / passes)
    medians = {key: statistics.median(values) for key, values in seconds.items()}
    ours, theirs = medians["formula"], medians["build"] + medians["torch"]
    for key, value in medians.items():
        print(f"{key:10} {1e3 * value:9.4f} ms")
    print(f"counting by formula is {theirs / ours:,.0f} times faster than building and counting,")
    print(f"with resolving the factors {theirs / (ours + medians['resolve']):,.0f} times")
    start = time.process_time()
    sample = sample_architectures(space, 500, flops_range=(3e6, 1e9), bins=10, seed=options.seed)
    spent = time.process_time() - start
    print(f"500 stratified architectures, {sample.proposals} proposals: {spent:.2f} s")


if __name__ == "__main__":
    main()
