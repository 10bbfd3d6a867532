"""The chapters of the page, in order."""

from __future__ import annotations

from analysis.questions.confirmation.section import rivals_section
from analysis.report.agree import agreement_section
from analysis.report.blocks import Paragraph, Section
from analysis.report.budgets import budgets_section
from analysis.report.effects import effects_section
from analysis.report.findings import findings_section
from analysis.report.fronts import fronts_section
from analysis.report.laws import laws_section
from analysis.report.matters import matters_section
from analysis.report.methods import methods_section
from analysis.report.more import more_section
from analysis.report.results import Results
from analysis.report.spread import spread_section
from analysis.report.training import checks_section, training_section


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
