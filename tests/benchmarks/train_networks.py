"""Networks of a wanted cost and kind for the training benchmarks."""

from __future__ import annotations

from models import Architecture, load_space

GROUPINGS = ("dense", "group16", "depthwise")


def network_of(mflop: float, grouping: str) -> Architecture:
    """Return the residual network of 8 blocks, kernel 7, SE 1/4 whose width fits the cost best.

    Wider than the space allows where the cost asks for it, so that its size is what it says.
    """
    space = load_space("ecg-cnn")
    factors = {
        "depth": 8,
        "stages": 4,
        "width_growth": 1.5,
        "kernel_size": 7,
        "stem_kernel": 7,
        "expansion": 4.0 if grouping == "depthwise" else 1.0,
        "grouping": grouping,
        "residual": True,
        "se_ratio": 0.25,
    }
    widths = [*range(16, 128), *range(128, 513, 8)]
    candidates = [
        Architecture(f"{grouping}-{width}", space.layers(factors | {"width": width}))
        for width in widths
    ]
    return min(candidates, key=lambda a: abs(a.cost().flops - mflop * 1e6))
