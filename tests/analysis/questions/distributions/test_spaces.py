"""Two design spaces at equal FLOPs: a planted difference, and none."""

from __future__ import annotations

from dataclasses import replace

from analysis.questions.context import Context
from analysis.questions.distributions.numbers import spaces_at_equal_cost
from analysis.questions.distributions.section import section
from analysis.questions.distributions.spaces import compare_spaces
from analysis.trials.table import StudyFacts, TrialTable
from tests.analysis.simulate import FLOPS_ONLY, simulate
from tests.analysis.told import refused


def study(name: str, **changes: object) -> TrialTable:
    made = simulate(FLOPS_ONLY, architectures=150, **changes)  # type: ignore[arg-type]
    return replace(made, study=StudyFacts(name, 150, {"space": name}))


def shifted(table: TrialTable, by: float) -> TrialTable:
    frame = table.frame.copy()
    frame["macro_f1"] += by
    return replace(table, frame=frame)


def test_planted_difference_is_found_with_its_size() -> None:
    hybrid, cnn = shifted(study("ecg-hybrid", seed=1), 0.01), study("ecg-cnn", seed=2)
    found = compare_spaces(hybrid, cnn)
    assert found.names == ("ecg-hybrid", "ecg-cnn")
    assert found.matched.p_value < 0.01
    assert found.difference.low < 0.01 < found.difference.high
    assert found.difference.low > 0


def test_other_flops_alone_are_no_difference() -> None:
    """Two identical spaces of which one was sampled at larger networks: naive tests reject."""
    low = study("a", seed=3, flops_range=(3e6, 3e8))
    high = study("b", seed=4, flops_range=(3e7, 1e9))
    found = compare_spaces(low, high)
    naive = low.designs()["score"].mean() - high.designs()["score"].mean()
    assert abs(naive) > 0.01
    assert abs(found.difference.estimate) < 0.004
    assert found.matched.p_value > 0.05


def test_studies_without_common_flops_or_objective_are_refused() -> None:
    low = study("a", flops_range=(3e6, 1e7))
    assert "one range" in refused(compare_spaces(low, study("b", flops_range=(1e8, 1e9))))
    assert "one objective" in refused(compare_spaces(low, replace(low, objective="macro_auroc")))


def test_what_else_differs_is_said_in_the_report() -> None:
    one, other = study("a", seed=5), study("b", seed=6)
    frame = other.frame.copy()
    frame["data_hash"] = "another"
    context = Context(one, other=replace(other, frame=frame))
    found = context.known(spaces_at_equal_cost)
    assert found is not None
    assert found.unlike == ("data_hash",)
    texts = [getattr(block, "text", "") for block in section(context).blocks]
    assert any("also differ in data_hash" in text for text in texts)
    assert found.difference.known
