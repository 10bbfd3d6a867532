"""A part of a study: the same networks, fewer factors, and never chosen by their scores."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

import analysis
from analysis.errors import AnalysisError
from analysis.questions.budgets.recommend import Recommendation, recommend
from analysis.questions.confirmation.section import section
from analysis.questions.context import Context
from analysis.questions.effects.interactions import interactions
from analysis.questions.effects.main import effects
from analysis.questions.laws.scaled import study_space
from analysis.report.header import header
from analysis.trials.subset import only
from analysis.trials.table import StudyFacts, TrialTable
from models import load_space
from search.errors import StudyError
from tests.analysis.told import refused


def test_networks_that_meet_the_condition_and_all_controls(small: TrialTable) -> None:
    part = only(small, "residual and mflops < 100")
    frame = small.frame
    drawn = frame["role"].isin(["sample", "replicate"])
    meets = drawn & frame["residual"].astype(bool) & (frame["flops"] < 1e8)
    assert set(part.frame["trial"]) == set(frame[meets | (frame["role"] == "control")]["trial"])
    assert (part.frame["role"] == "control").sum() == 2
    assert part.study.planned == len(part.frame)
    assert part.study.condition == "residual and mflops < 100"
    assert set(part.factor_names) == set(small.factor_names) - {"residual"}


def test_factors_shrink_to_what_is_left(planted: TrialTable) -> None:
    part = only(planted, 'depth >= 8 and grouping in ("dense", "depthwise")')
    assert part.factor("grouping").choices == ("dense", "depthwise")
    left = part.frame["depth"]
    assert (part.factor("depth").low, part.factor("depth").high) == (left.min(), left.max())
    assert part.factor("depth").low >= 8
    assert len(effects(part).effects) == len(planted.factors)


def test_what_depends_on_a_choice_shows_in_the_part_with_it(planted: TrialTable) -> None:
    """Deep networks are worth more with shortcuts, as planted; pairs and parts agree on it."""
    pairs = {(p.factor, p.condition): p for p in interactions(planted).pairs}
    pair = pairs["depth", "residual"]
    within = dict(zip((False, True), pair.within, strict=True))
    found = {}
    for residual in (False, True):
        part = effects(only(planted, f"residual == {residual}"))
        found[residual] = next(e for e in part.effects if e.factor == "depth").effect.estimate
        assert found[residual] == pytest.approx(within[residual].effect.estimate, abs=0.006)
    assert found[True] > found[False] + 0.01


def test_space_of_a_part_builds_networks_of_the_part(planted: TrialTable) -> None:
    whole = load_space("ecg-cnn")
    facts = StudyFacts("s", 1, definition={"design_space": whole.to_dict()})
    part = only(replace(planted, study=facts), "residual == False and se_ratio == 0")
    space = study_space(part)
    assert space is not None
    assert {("residual", False), ("se_ratio", 0)} <= set(space.fixed)
    values = part.designs().iloc[0][list(part.factor_names)].to_dict()
    same = whole.resolve(values | {"residual": False, "se_ratio": 0})
    assert space.resolve(values).hash == same.hash


@pytest.mark.parametrize("where", ["macro_f1 > 0.5", "residual and seconds < 10", "seed == 0"])
def test_choosing_by_what_was_measured_is_refused(planted: TrialTable, where: str) -> None:
    assert "seconds" in planted.frame
    with pytest.raises(AnalysisError, match=r"would bias every number.*depth, stages"):
        only(planted, where)


def test_conditions_that_choose_nothing_or_cannot_be_read(planted: TrialTable) -> None:
    with pytest.raises(AnalysisError, match="No network of 'simulated' meets 'depth > 99'"):
        only(planted, "depth > 99")
    with pytest.raises(StudyError, match="did you mean residual"):
        only(planted, "residuals")
    with pytest.raises(StudyError, match="expected a condition"):
        only(planted, "depth >")


def test_a_frame_of_a_notebook_is_cut_as_well() -> None:
    frame = pd.DataFrame(
        {"macs": [1.0, 2.0, 3.0], "score": [0.1, 0.2, 0.3], "depth": [2, 2, 4], "width": [1, 2, 1]}
    )
    part = analysis.table(frame, cost="macs", objective="score", where="macs <= 2")
    assert part.factor_names == ("width",)
    assert list(part.frame["score"]) == [0.1, 0.2]


def test_a_budget_beyond_the_part_is_refused_with_its_condition(planted: TrialTable) -> None:
    part = only(planted, "mflops < 50")
    assert isinstance(recommend(part, 5e7, None), Recommendation)
    assert "trained and meets “mflops < 50” costs" in refused(recommend(part, 5e8, None))


def test_the_report_says_that_it_shows_a_part(small: TrialTable) -> None:
    context = Context(only(small, "residual"))
    banner = next(b for b in header(context).banners if b.title == "Only a part of the study.")
    assert "that meet “residual”" in banner.text
    (told,) = section(context).blocks
    assert "for a study as a whole" in told.text
