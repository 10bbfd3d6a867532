"""Ends of the space: planted ones are named, optima inside and kinds are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.page.blocks import TableBlock
from analysis.questions.context import Context
from analysis.questions.edges.numbers import best_values
from analysis.questions.edges.optima import Optima
from analysis.questions.edges.section import finding, section
from analysis.trials.table import TrialTable, from_frame
from tests.analysis.simulate import NOTHING, Truth, simulate

ENDS = Truth(
    effects={"stages": -0.01, "stem_kernel": 0.01, "grouping": -0.02, "se_ratio": 0.01},
    shape={"kernel_size": (8.0, 0.0, 0.4)},
    amplitude=0.1,
)


def found_in(table: TrialTable) -> Optima:
    found = best_values(Context(table))
    assert isinstance(found, Optima)
    return found


@pytest.fixture(scope="module")
def planted() -> Context:
    return Context(simulate(ENDS, architectures=300, replicates=(0, 1), seed=1))


def test_planted_ends_are_named_and_no_others(planted: Context) -> None:
    found = planted.known(best_values)
    assert found is not None
    assert {one.factor: one.end_value for one in found.open} == {"stages": 6, "stem_kernel": 3}
    by_name = {one.factor: one for one in found.optima}
    kernel = by_name["kernel_size"]
    assert (kernel.best, kernel.end) == (7, "")
    assert kernel.low >= 5
    assert kernel.high <= 11
    assert by_name["se_ratio"].end == "lowest"
    assert by_name["se_ratio"].last  # no ratio is below zero
    assert not {"grouping", "residual"} & set(by_name)
    assert found.kinds == {"grouping": "depthwise"}


def test_they_are_said_and_tabulated(planted: Context) -> None:
    (told,) = finding(planted).sentences
    assert "stages 6, the highest tried" in told
    assert "widen the space" in told
    table = section(planted).blocks[-1]
    assert isinstance(table, TableBlock)
    assert table.data is not None
    assert table.data.set_index("factor")["open"].sum() == 2


def test_ends_are_those_among_the_networks_that_are_best() -> None:
    # Depth helps with residual connections and hurts more without: the average says the opposite.
    truth = Truth(
        effects={"residual": -0.06, "depth": 0.004}, interactions={("residual", "depth"): -0.02}
    )
    found = found_in(simulate(truth, architectures=400, replicates=(0, 1), seed=2))
    assert (found.condition, found.at) == ("residual", "on")
    depth = next(one for one in found.optima if one.factor == "depth")
    assert (depth.end, depth.end_value) == ("highest", 24)
    assert depth.open


def test_values_of_the_best_networks_can_contradict(planted: Context) -> None:
    found = planted.known(best_values)
    assert found is not None
    one = next(o for o in found.optima if o.factor == "stages")
    assert one.open
    assert not replace(one, top_there=one.all_there - 0.1).open
    assert not replace(one, p_adjusted=0.06).open


def test_losses_have_ends_too() -> None:
    table = simulate(ENDS, architectures=200, replicates=(0, 1), seed=3)
    frame = table.frame.assign(loss=1 - table.frame["macro_f1"])
    loss = from_frame(frame, factors=table.factors, objective="loss", maximize=False)
    assert {"stages", "stem_kernel"} <= {one.factor for one in found_in(loss).open}


def test_nothing_ordered_has_no_end() -> None:
    table = simulate(architectures=80, replicates=(0, 1), seed=4)
    kinds = tuple(factor for factor in table.factors if factor.name in ("grouping", "residual"))
    assert not isinstance(best_values(Context(replace(table, factors=kinds))), Optima)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_chance_has_no_ends() -> None:
    studies = [simulate(NOTHING, architectures=150, replicates=(0, 1), seed=s) for s in range(100)]
    assert sum(bool(found_in(study).open) for study in studies) <= 7
