"""What a report says of a confirmation: who won, by how much, and what remains open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.questions.confirmation.compare import compare
from analysis.questions.confirmation.numbers import confirmation
from analysis.questions.confirmation.results import Comparison
from analysis.questions.confirmation.section import finding, section
from analysis.questions.confirmation.sentences import budget_sentences
from analysis.questions.context import Context
from analysis.questions.fronts.numbers import estimated_fronts
from analysis.report.findings import caution_sentence
from analysis.stats.refusal import Refusal
from analysis.trials.table import TrialTable
from tests.analysis.questions.confirmation.confirmations import confirmed_of, with_a_tiny_class


@pytest.fixture(scope="module")
def found(study: TrialTable) -> Comparison:
    strengths = {
        "good": (2.5, "searched"),
        "weak@0.5": (0.5, "reference"),
        "equal@0.5": (2.5, "reference"),
    }
    return compare(study, confirmed_of(strengths, spread=0.02), draws=200)


def told_of(table: TrialTable, found: Comparison | Refusal) -> Context:
    """Anything but the confirmation is left to other tests."""
    results = {confirmation: found, estimated_fronts: Refusal("fronts.few")}
    return Context(table, results=results)


def test_every_budget_says_who_won(found: Comparison) -> None:
    (told,) = budget_sentences(found)
    assert told.startswith("Within 100M FLOPs the searched network good reaches a test Macro-F1 of")
    assert "Of 2 reference architectures it scores significantly higher than 1 (Holm" in told
    assert "; 1 is statistically indistinguishable from it." in told
    assert "Against the strongest, equal@0.5, its Macro-F1 differs by" in told
    assert told.endswith("(unadjusted 95 % CI).")


def test_the_findings_count_the_pairs(small: TrialTable, found: Comparison) -> None:
    context = told_of(small, found)
    told = " ".join(finding(context).sentences)
    assert "in 1 of 2 comparisons (equal and weak) and significantly lower in none" in told
    assert "Never outscored significantly: equal." in told
    assert "which alone read the test records" in caution_sentence(context)
    before = told_of(small, Refusal("confirmation.none"))
    assert finding(before).sentences == ()
    assert "the test records were not read" in caution_sentence(before)


def test_networks_of_another_study_are_told_as_such(small: TrialTable, found: Comparison) -> None:
    assert "its networks are another study's" in str(section(told_of(small, found)))
    hashes = small.designs()["architecture_hash"]
    own = tuple(
        replace(c, architecture_hash=hashes.iloc[0]) if c.group == "searched" else c
        for c in found.contestants
    )
    ours = str(section(told_of(small, replace(found, contestants=own))))
    assert "which the search never read" in ours


def test_it_says_which_metric_decides_and_what_tiny_classes_do(
    small: TrialTable, study: TrialTable
) -> None:
    confirmed, _ = with_a_tiny_class({"a": (1.5, "searched"), "b": (1.0, "reference")})
    words = str(section(told_of(small, compare(study, confirmed, draws=30))))
    assert "The primary metric is the test Macro-F1, fixed with the study's definition" in words
    assert "1 of the 4 diagnoses has fewer than 5 positive test records" in words
    assert "Macro-F1 over the 3 diagnoses with at least 5 positive test records" in words


def test_networks_with_missing_seeds_are_named(small: TrialTable, found: Comparison) -> None:
    words = str(section(told_of(small, found)))
    assert "fewer than the 3 planned seeds" not in words
    fewer = tuple(replace(c, seeds=2) if c.name == "good" else c for c in found.contestants)
    again = told_of(small, replace(found, contestants=fewer))
    assert "Of good fewer than the 3 planned seeds are done" in str(section(again))
