"""What is said of compute holds for as many epochs as there were, if scores still rose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.page.blocks import Paragraph
from analysis.questions.context import Context
from analysis.questions.fronts.section import finding
from analysis.questions.laws.error import ErrorLaw, error_law
from analysis.questions.laws.numbers import law_of_error, laws_of_shape
from analysis.questions.laws.section import epochs_hedge, section
from analysis.stats.refusal import Refusal
from analysis.trials.table import TrialTable
from tests.analysis.simulate import Truth, simulate

EPOCHS = 8


@pytest.fixture(scope="module")
def table() -> TrialTable:
    truth = Truth(floor=0.3, amplitude=0.06, exponent=0.3)
    return simulate(truth, architectures=80, replicates=(0, 1), seed=1)


@pytest.fixture(scope="module")
def law(table: TrialTable) -> ErrorLaw:
    found = error_law(table, bootstraps=40)
    assert isinstance(found, ErrorLaw)
    return found


def curves(table: TrialTable, late: float, more: float) -> pd.DataFrame:
    """Rise by `late` an epoch, and by `more` for the network with the most compute."""
    complete, rng = table.complete(), np.random.default_rng(0)
    rank = complete["flops"].rank(pct=True).to_numpy()
    slopes = late + more * rank + rng.normal(0, 0.002, len(rank))
    scores = complete["macro_f1"].to_numpy()[:, None] + slopes[:, None] * np.arange(1 - EPOCHS, 1)
    return pd.DataFrame(
        {
            "trial": np.repeat(complete["trial"].to_numpy(), EPOCHS),
            "epoch": np.tile(np.arange(1, EPOCHS + 1), len(complete)),
            "value": scores.ravel(),
        }
    )


@pytest.mark.parametrize(
    ("late", "more", "said"),
    [
        (0.002, 0.01, "longer training would favour them"),
        (0.004, 0.0, "though not demonstrably faster with more compute"),
        (-0.001, 0.0, ""),
    ],
)
def test_comparisons_of_compute_look_at_the_learning_curves(
    table: TrialTable, law: ErrorLaw, late: float, more: float, said: str
) -> None:
    known = {law_of_error: law, laws_of_shape: Refusal("laws.no_sizes")}
    context = Context(table, curves=curves(table, late, more), results=known)
    hedge = epochs_hedge(context)
    assert said in hedge
    assert bool(hedge) == bool(said)
    sentences = finding(context).sentences
    assert "Ten times the compute" in sentences[0]
    assert (sentences[-1] == hedge) == bool(said)
    cautions = [b for b in section(context).blocks if isinstance(b, Paragraph) and b.text == hedge]
    assert len(cautions) == bool(said)


def test_without_curves_nothing_is_said_of_epochs(table: TrialTable) -> None:
    assert epochs_hedge(Context(table)) == ""
