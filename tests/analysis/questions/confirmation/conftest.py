"""A simulated study whose networks can be built."""

from __future__ import annotations

import pytest

from analysis.trials.find import StudyFacts
from analysis.trials.table import TrialTable
from models import load_space, sample_architectures
from tests.analysis.questions.confirmation.confirmations import SHAPE
from tests.analysis.simulate import FACTORS, simulate


@pytest.fixture(scope="session")
def study() -> TrialTable:
    """A simulated study whose networks can be built."""
    simulated = simulate(architectures=120, flops_range=(3e6, 3e8), seed=4)
    drawn = sample_architectures(
        load_space("ecg-cnn"), 120, flops_range=(3e6, 3e8), bins=6, seed=4, **SHAPE
    )
    frame = simulated.frame.copy()
    hashes = frame.loc[frame["role"] == "sample", "architecture_hash"].tolist()
    made = dict(zip(hashes, drawn.architectures, strict=True))
    for place, row in frame.iterrows():
        network = made[row["architecture_hash"]]
        cost = network.cost(**SHAPE)
        frame.loc[place, ["flops", "params", "activations"]] = (
            cost.flops, cost.params, cost.activations,
        )  # fmt: skip
        frame.loc[place, "architecture"] = network.to_json()
        frame.loc[place, "architecture_hash"] = network.hash
    facts = StudyFacts("simulated", len(frame), {"space": "ecg-cnn"}, {**SHAPE, "records": 2000})
    return TrialTable(frame, FACTORS, facts)
