"""How training went: what learned nothing is named with what it shares; late gains are slopes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.page.blocks import Block, Details, Paragraph, TableBlock
from analysis.questions.context import Context
from analysis.questions.effects.section import section as effects_section
from analysis.questions.training.failures import Failures, collapses
from analysis.questions.training.nothing import learned_nothing
from analysis.questions.training.rising import Rising, rising
from analysis.questions.training.section import finding, section
from analysis.report.header import header
from analysis.trials.table import TrialTable
from tests.analysis.simulate import FLOPS_ONLY, PLANTED, simulate
from tests.analysis.told import refused


@pytest.fixture(scope="module")
def untrainable() -> TrialTable:
    """A study in which a third of the networks without residual connections learn nothing."""
    truth = replace(PLANTED, collapse=0.35, only_where="residual == False")
    return simulate(truth, architectures=150, replicates=(12, 3), seed=6)


def words(blocks: tuple[Block, ...]) -> str:
    return " ".join(block.text for block in blocks if isinstance(block, Paragraph))


def curves_of(table: TrialTable, per_epoch: np.ndarray, epochs: int = 10) -> pd.DataFrame:
    """Make straight curves with these slopes; the last epoch is of other records, and far off."""
    parts = [
        pd.DataFrame({"trial": table.frame["trial"], "epoch": e, "value": 0.2 + per_epoch * e})
        for e in range(1, epochs)
    ]
    parts.append(pd.DataFrame({"trial": table.frame["trial"], "epoch": epochs, "value": 0.9}))
    return pd.concat(parts, ignore_index=True)


def test_runs_that_took_their_batches_in_parts_are_told(small: TrialTable) -> None:
    facts = replace(
        small.study, definition={**small.study.definition, "recipe": {"batch_size": 64}}
    )
    sizes = np.full(len(small.frame), 64)
    for parts in (0, 3):
        sizes[:parts] = 16
        table = replace(small, study=facts, frame=small.frame.assign(micro_batch=sizes))
        told = words(section(Context(table)).blocks)
        assert ("had too little memory for a batch of 64" in told) == bool(parts)
    assert f"3 of {len(small.complete())} runs had" in told


def test_what_learned_nothing_is_counted_named_and_laid_at_its_cause(
    untrainable: TrialTable,
) -> None:
    found = learned_nothing(untrainable)
    off = untrainable.complete(["sample", "replicate"]).query("not residual")
    fell = off[off["macro_f1"] <= 0.1]
    assert set(found.trials["trial"]) == set(fell["trial"])
    assert found.networks == fell["architecture_hash"].nunique()
    (shared,) = found.shared
    assert (shared.factor, shared.level, shared.count) == ("residual", "off", found.networks)
    assert shared.all == off["architecture_hash"].nunique()
    blamed = collapses(untrainable)
    assert isinstance(blamed, Failures)
    assert [factor.factor for factor in blamed.telling] == ["residual"]

    context = Context(untrainable)
    blocks = section(context).blocks
    said = words(blocks)
    assert f"{found.networks} of 150 networks learned nothing" in said
    assert "all of them have residual connections off" in said
    assert "as one on trainability" in said
    assert f"trial {int(found.trials['trial'].iloc[0])}" in said
    (table,) = (b for d in blocks if isinstance(d, Details) for b in d.blocks)
    assert isinstance(table, TableBlock)
    assert table.data is not None
    assert len(table.data) == found.runs
    assert "is associated with residual connections" in " ".join(finding(context).sentences)
    head = header(context)
    assert "learned nothing" in " ".join(banner.title for banner in head.banners)
    assert dict(head.facts)["Networks"].startswith("150 distinct")


def test_effects_are_told_with_and_without_them(untrainable: TrialTable) -> None:
    said = words(effects_section(Context(untrainable)).blocks)
    assert f"of the {len(untrainable.designs())} networks that learned" in said
    assert "residual connections (on against off) +" in said
    healthy = Context(simulate(PLANTED, architectures=60, seed=6))
    assert "that learned" not in words(effects_section(healthy).blocks)


def test_most_networks_collapsing_is_an_alarm(untrainable: TrialTable) -> None:
    table = simulate(replace(FLOPS_ONLY, collapse=0.8), architectures=40, seed=2)
    context = Context(table)
    assert "That is the majority" in words(section(context).blocks)
    kinds = {b.kind for b in header(context).banners if "learned nothing" in b.title}
    assert kinds == {"alarm"}


def test_where_all_learned_it_says_so() -> None:
    table = simulate(PLANTED, architectures=40, seed=2)
    assert "Every network that finished learned something" in words(section(Context(table)).blocks)
    assert finding(Context(table)).sentences == ()
    foreign = replace(table, frame=table.frame.drop(columns="macro_auroc"))
    assert "cannot be told without" in words(section(Context(foreign)).blocks)


def test_the_late_gain_is_the_slope_before_the_last_epoch() -> None:
    table = simulate(FLOPS_ONLY, architectures=40, replicates=(0, 1), seed=1)
    cost = table.log_cost(table.frame)
    slopes = 0.002 + 0.001 * (cost - cost.mean())
    found = rising(table, curves_of(table, slopes))
    assert isinstance(found, Rising)
    assert (found.first, found.last, found.epochs) == (6, 9, 10)
    assert found.gain.estimate == pytest.approx(0.002)
    assert found.with_cost == pytest.approx(1.0)
    assert found.favours_cost
    said = words(section(Context(table, curves=curves_of(table, slopes))).blocks)
    assert "holds for 10 epochs" in said
    flat = rising(table, curves_of(table, np.random.default_rng(0).normal(0, 0.01, 40)))
    assert isinstance(flat, Rising)
    assert not flat.favours_cost


def test_short_curves_are_refused() -> None:
    table = simulate(FLOPS_ONLY, architectures=40, replicates=(0, 1), seed=1)
    assert "3 epochs are needed" in refused(rising(table, curves_of(table, np.zeros(40), 2)))
    assert "No learning curves" in refused(rising(table, None))
