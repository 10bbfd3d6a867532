"""The design space `ecg-cnn-2`: the rules of `ecg_cnn` with wider ranges and more parts."""

from __future__ import annotations

from models.factors import Factor

FACTORS = (
    Factor.integer("depth", 1, 24, log=True),
    Factor.integer("stages", 3, 8),
    Factor.integer("width", 16, 384, log=True),
    Factor.real("width_growth", 1.0, 2.5),
    Factor.choice("kernel_size", 3, 5, 7, 11, 15, 23, 31),
    Factor.choice("stem_kernel", 3, 5, 7, 15, 23, 31),
    Factor.choice("stem", "single", "triple"),
    Factor.choice("stem_width", 0.25, 0.5, 1.0),
    Factor.choice("stem_pool", True, False),
    Factor.choice("halving", "apart", "block"),
    Factor.choice("expansion", 0.125, 0.25, 0.5, 1.0, 2.0, 4.0),
    Factor.choice("grouping", "dense", "group16", "depthwise"),
    Factor.choice("residual", True, False),
    Factor.choice("se_ratio", 0.0, 0.0625, 0.25),
    Factor.choice("head", "average", "peak", "hidden"),
    Factor.choice("activation", "relu", "silu"),
)
