"""Networks of a wanted cost and kind for the training benchmarks."""

from __future__ import annotations

from models import Architecture, load_space

GROUPINGS = ("dense", "group16", "depthwise")


def network_of(mflop: float, grouping: str) -> Architecture:
    """Return the residual network of 8 blocks, kernel 7, SE 1/4 whose width fits the cost best."""
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
    candidates = [space.resolve(factors | {"width": width}) for width in range(16, 129)]
    return min(candidates, key=lambda a: abs(a.cost().flops - mflop * 1e6))
