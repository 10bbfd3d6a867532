"""Levels of a factor: choices, few numbers, or thirds of many."""

from __future__ import annotations

import numpy as np

from analysis.stats.coding import groups
from analysis.trials.table import TrialTable


def test_levels_are_choices_few_numbers_or_thirds(planted: TrialTable) -> None:
    designs = planted.designs()
    assert groups(planted.factor("residual"), designs["residual"])[1] == ["off", "on"]
    assert groups(planted.factor("stages"), designs["stages"])[1] == ["3", "4", "5", "6"]
    group, names = groups(planted.factor("width"), designs["width"])
    assert len(names) == 3
    assert names[0].startswith("16 to ")
    assert names[2].endswith(" to 128")
    assert np.bincount(group).min() > 0.2 * len(group)
    widths = designs["width"].to_numpy()
    assert widths[group == 0].max() < widths[group == 1].min()
