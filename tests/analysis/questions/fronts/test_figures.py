"""What a front draws beside the random networks, and that it is no part of the front."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from analysis.questions.fronts.figures import pareto_front
from analysis.trials.table import TrialTable


def test_proposed_and_reference_networks_are_drawn_beside_the_front(planted: TrialTable) -> None:
    like = planted.frame[planted.frame["role"] == "sample"].iloc[[0, 0, 1]]
    others = like.assign(
        role=["refine", "refine", "reference"],
        architecture_hash=["new", "new", "known"],
        macro_f1=[0.97, 0.99, 0.99],
    )
    table = replace(planted, frame=pd.concat([planted.frame, others], ignore_index=True))
    plain, drawn = (pareto_front(one, "macro_f1", "flops") for one in (planted, table))
    rows = drawn.data.set_index("architecture_hash")
    assert rows.loc["new", "series"] == "proposed network"
    assert rows.loc["new", "macro_f1"] == pytest.approx(0.98)
    assert rows.loc["known", "series"] == "reference architecture"
    front = drawn.data[drawn.data["on_observed_front"] == True]["architecture_hash"]  # noqa: E712
    assert set(front) == set(plain.data[plain.data["on_observed_front"]]["architecture_hash"])
    names = [trace["name"] for trace in drawn.figure["data"]]
    assert {"proposed networks", "reference architectures"} <= set(names)
