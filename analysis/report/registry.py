"""The questions of the report, in the order of its chapters: a new one is one line here."""

from __future__ import annotations

from importlib import import_module

from analysis.questions.context import Question

CHAPTERS = (
    "cohort.section",
    "budgets.section",
    "fronts.section",
    "confirmation.section",
    "diagnoses.section",
    "effects.section",
    "edges.section",
    "laws.section",
    "importance.section",
    "power.section",
    "distributions.section",
    "training.section",
    "trust.section",
)


def _load(chapter: str) -> Question:
    """Return the QUESTION of a module of `analysis.questions`."""
    question: Question = import_module(f"analysis.questions.{chapter}").QUESTION
    return question


QUESTIONS = tuple(_load(chapter) for chapter in CHAPTERS)
