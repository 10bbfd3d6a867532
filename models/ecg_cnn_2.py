"""The design space `ecg-cnn-2`: the rules of `ecg_cnn` with wider ranges and more parts.

    stem     one convolution or three (`stem`) of `stem_kernel`, of `stem_width` × the first
             stage's width; three: stride 2 and half the width, half the width, all of it
    halving  apart: as in `ecg-cnn`; in a block: the middle convolution of a stage's first block
             has the stride, its shortcut pools and changes the width (a stage without a block
             halves as before). With `stem_pool`, max pooling after the stem halves in place of
             the first stage, whose other rules stay
    head     averages, averages and maxima, or those with a hidden layer (Strodthoff et al. 2021)

No factor changes the length of any stage, so all are drawn independently. xresnet1d50 is a point
but for its blocks, 3, 4, 6 and 3 where a space spreads them evenly; every network of `ecg-cnn`
is one.

The ranges, by the study of `ecg-cnn` on 2,301 ECGs (studies/ecg-cnn-2320; points of validation
macro-F1 at equal FLOPs, 95 % intervals, among networks with residual connections):

* `depth` from 1 in place of 3: 16 blocks against 3 cost 1.6 ± 0.8, two of four winners have 3 or 4;
* `stages` to 8 in place of 6: 6 against 3 gain 3.1 ± 0.7;
* `width` to 384 in place of 128: the upper end gains 2.1 ± 0.8 and the winner at 300 MFLOP has it;
* `expansion` from ⅛ in place of ¼: 4 against ¼ costs 2.4 ± 0.9;
* `stem_kernel` to 31 in place of 15, which all four winners have (as a trend: 0.8, not
  significant); `kernel_size` to 31 in place of 23, which the winner at 100 MFLOP has;
* `width_growth` stays: winners lie between 1.6 and 2.0. `grouping`, `se_ratio` and `residual` stay
  for the sake of their interactions; a study at large scale may fix `residual = true`, which was
  worth 9.4 ± 0.8 points.
"""

from __future__ import annotations

from models.architecture import Value
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

# The point whose FLOPs are nearest to those of xresnet1d50, parts and widths being its own.
XRESNET1D50: dict[str, Value] = {
    "depth": 15, "stages": 4, "width": 256, "width_growth": 1.0, "kernel_size": 5,
    "stem_kernel": 5, "stem": "triple", "stem_width": 0.25, "stem_pool": True,
    "halving": "block", "expansion": 0.25, "grouping": "dense", "residual": True,
    "se_ratio": 0.0, "head": "hidden", "activation": "relu",
}  # fmt: skip
