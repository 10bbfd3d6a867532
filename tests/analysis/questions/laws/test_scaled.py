"""Networks by a law and against it: equal FLOPs, paired, where the law says; refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.questions.laws.scaled import FAR, NEAR, law_network, scaled_architectures, study_space
from analysis.questions.laws.shape import ShapeLaw, shape_law, shape_laws
from analysis.trials.factors import FactorInfo
from analysis.trials.table import StudyFacts, TrialTable, from_frame
from models import Architecture, Shape, load_space, sample_architectures
from tests.analysis.told import refused

SHAPE = Shape()
SPACE = load_space("ecg-cnn")
BEST = {"width": (40.0, 0.30), "depth": (9.0, 0.20)}


def truth(values: dict[str, object], flops: float) -> float:
    """Return an error that is least at the planted width and depth."""
    relative = flops / 1e8
    away = sum(
        np.log(float(values[name]) / (best * relative**power)) ** 2  # type: ignore[arg-type]
        for name, (best, power) in BEST.items()
    )
    return 0.3 + 0.1 * float(relative**-0.25) * (1 + 0.25 * away)


@pytest.fixture(scope="module")
def table() -> TrialTable:
    """A study of networks that can be built."""
    drawn = sample_architectures(SPACE, 240, flops_range=(1e7, 1e9), bins=10, seed=1, **SHAPE)
    rng = np.random.default_rng(1)
    rows = []
    for architecture in drawn.architectures:
        flops = architecture.cost(**SHAPE).flops
        score = 1 - truth(architecture.factors, flops) + rng.normal(0, 0.004)
        rows.append({**architecture.factors, "flops": flops, "macro_f1": score})
    factors = [
        FactorInfo(f.name, f.kind, f.log, f.choices, f.low, f.high)  # type: ignore[arg-type]
        for f in SPACE.factors
    ]
    return from_frame(pd.DataFrame(rows), factors=factors)


@pytest.fixture(scope="module")
def law(table: TrialTable) -> ShapeLaw:
    return shape_law(table, ["depth", "width"], bootstraps=60)


def distance(architecture: Architecture, law: ShapeLaw, table: TrialTable, budget: float) -> float:
    designs, best = table.designs(), law.optimum(budget)
    away = [
        np.log(float(architecture.factors[name]) / best[name]) / np.log(designs[name]).std()
        for name in best
    ]
    return float(np.sqrt(np.mean(np.square(away))))


def test_pairs_cost_the_same_and_differ_in_the_law_alone(table: TrialTable, law: ShapeLaw) -> None:
    assert law.stands
    for budget in (5e7, 2e8):
        following, against = scaled_architectures(table, [law], budget, SPACE, SHAPE)
        assert len(following) == len(against) == 3
        assert len({net.hash for net in (*following, *against)}) >= 5
        for good, bad in zip(following, against, strict=True):
            flops = [net.cost(**SHAPE).flops for net in (good, bad)]
            assert flops[0] == pytest.approx(budget, rel=0.11)
            assert flops[1] == pytest.approx(flops[0], rel=0.11)
            assert distance(good, law, table, budget) <= NEAR
            assert distance(bad, law, table, budget) >= FAR
            others = set(good.factors) - set(BEST)
            assert all(good.factors[name] == bad.factors[name] for name in others)
        better = [truth(dict(net.factors), net.cost(**SHAPE).flops) for net in following]
        worse = [truth(dict(net.factors), net.cost(**SHAPE).flops) for net in against]
        assert max(better) < min(worse)


def test_the_same_seed_gives_the_same_networks(table: TrialTable, law: ShapeLaw) -> None:
    one, two = (scaled_architectures(table, [law], 1e8, SPACE, SHAPE, seed=4) for _ in "ab")
    assert [n.hash for n in one.law] == [n.hash for n in two.law]
    assert [n.hash for n in one.against] == [n.hash for n in two.against]


def test_without_a_law_there_is_the_reason(table: TrialTable, law: ShapeLaw) -> None:
    frame = table.frame.assign(macro_f1=np.random.default_rng(1).normal(0.5, 0.01, 240))
    laws = shape_laws(replace(table, frame=frame), bootstraps=20)
    none = refused(scaled_architectures(table, laws, 1e8, SPACE, SHAPE))
    assert "none stands: No scaling law of depth and width" in none
    assert "holds from" in refused(scaled_architectures(table, [law], 1e11, SPACE, SHAPE))
    other = scaled_architectures(table, [law], 1e8, load_space("regnet1d"), SHAPE)
    assert "not the design space" in refused(other)


def test_a_budget_gets_its_network_by_the_law_or_the_reason(
    table: TrialTable, law: ShapeLaw
) -> None:
    space = StudyFacts("s", 240, definition={"space": "ecg-cnn"}, data=dict(SHAPE))
    network = law_network(replace(table, study=space), 1e8, bootstraps=40)
    assert network.cost(**SHAPE).flops == pytest.approx(1e8, rel=0.11)
    assert distance(network, law, table, 1e8) <= NEAR
    assert "design space is not at hand" in refused(law_network(table, 1e8, bootstraps=40))


def test_space_of_a_study_is_the_one_stored_with_it(table: TrialTable) -> None:
    space = load_space("ecg-cnn")
    named = StudyFacts("s", 1, {"space": "ecg-cnn"})
    gone = StudyFacts("s", 1, {"space": "/nowhere/mine.toml"})
    stored = StudyFacts("s", 1, {**gone.definition, "design_space": space.to_dict()})
    columns = tuple(
        FactorInfo(f.name, f.kind, f.log, f.choices, f.low, f.high) for f in space.factors
    )
    of_space = replace(table, factors=(*columns, FactorInfo("learning_rate", "float", log=True)))
    assert study_space(replace(of_space, study=named)) == space
    assert study_space(replace(of_space, study=stored)) == space
    assert study_space(replace(of_space, study=gone)) is None
    assert study_space(replace(of_space, factors=columns[1:], study=stored)) is None
