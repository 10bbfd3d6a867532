"""All chapters of a page: a loop over the questions, between findings and methods."""

from __future__ import annotations

from analysis.page.blocks import Paragraph, Section
from analysis.page.words import say
from analysis.questions.context import Context
from analysis.report.findings import findings_section
from analysis.report.methods import methods_section
from analysis.report.registry import QUESTIONS
from analysis.stats.refusal import Refusal


def chapters(context: Context) -> tuple[Section, ...]:
    """Build every chapter; without networks, only those that make sense."""
    if context.designs.empty:
        nothing = Paragraph(say(Refusal("report.nothing")), "refusal")
        return (
            Section("findings", "What was found", (nothing,)),
            *(question.section(context) for question in QUESTIONS if question.without_networks),
        )
    found = findings_section(context)
    answered = [question.section(context) for question in QUESTIONS]
    return (found, *answered, methods_section(context))
