"""Simulated studies shared by the tests of the analysis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analysis.trials.table import TrialTable
from tests.analysis.simulate import FLOPS_ONLY, PLANTED, simulate


@pytest.fixture(autouse=True)
def nothing_breaks(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Iterator:
    """Fail a test in which a result broke: a context says so in a page, and goes on."""
    yield
    if request.node.get_closest_marker("breaks") is None:
        records = [*caplog.get_records("setup"), *caplog.get_records("call")]
        broken = [one for one in records if one.name == "analysis.questions.context"]
        assert not broken, [one.getMessage() for one in broken]


@pytest.fixture(scope="session")
def planted() -> TrialTable:
    """300 architectures with strong known effects."""
    return simulate(PLANTED, architectures=300, seed=1)


@pytest.fixture(scope="session")
def small() -> TrialTable:
    """The size of the demo: 48 trials, 10 factors."""
    return simulate(PLANTED, architectures=42, replicates=(3, 3), controls=2, seed=2)


@pytest.fixture(scope="session")
def flops_only() -> TrialTable:
    """300 architectures whose score depends on FLOPs alone."""
    return simulate(FLOPS_ONLY, architectures=300, seed=3)
