"""The chapters of the page, in order."""

from __future__ import annotations

from analysis.page.blocks import Paragraph, Section
from analysis.questions.budgets.section import budgets_section
from analysis.questions.confirmation.section import rivals_section
from analysis.questions.distributions.section import spread_section
from analysis.questions.effects.section import effects_section
from analysis.questions.fronts.section import fronts_section
from analysis.questions.importance.agree_section import agreement_section
from analysis.questions.importance.section import matters_section
from analysis.questions.laws.section import laws_section
from analysis.questions.power.section import more_section
from analysis.questions.trust.section import checks_section, training_section
from analysis.report.findings import findings_section
from analysis.report.methods import methods_section
from analysis.report.results import Results


def sections(results: Results) -> tuple[Section, ...]:
    """Build every chapter; without networks, only those that make sense."""
    if results.designs.empty:
        nothing = Paragraph(results.reasons["everything"], "refusal")
        return (
            Section("findings", "What was found", (nothing,)),
            checks_section(results),
            training_section(results),
        )
    return (
        findings_section(results),
        budgets_section(results),
        fronts_section(results),
        rivals_section(results),
        effects_section(results),
        laws_section(results),
        matters_section(results),
        agreement_section(results),
        more_section(results),
        spread_section(results),
        checks_section(results),
        training_section(results),
        methods_section(results),
    )
