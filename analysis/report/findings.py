"""What was found: the finding of every question, and how far it can be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from analysis.page.blocks import Block, Paragraph, Section
from analysis.page.words import Text
from analysis.questions.confirmation.numbers import confirmation
from analysis.questions.context import Context
from analysis.questions.trust.section import leak_paragraph
from analysis.report.registry import QUESTIONS

text = Text("report")


def findings_section(context: Context) -> Section:
    """Say the main results in plain sentences, each with its number and its hedge."""
    said = [question.finding(context) for question in QUESTIONS if question.finding is not None]
    blocks: list[Block] = [
        Paragraph(" ".join(found.sentences), "lead", found.title)
        for found in said
        if found.sentences
    ]
    if context.table.study.ours:
        blocks.append(leak_paragraph(context))
    blocks.append(Paragraph(caution_sentence(context), "caution"))
    return Section("findings", "What was found", tuple(blocks))


def caution_sentence(context: Context) -> str:
    """Say what the numbers are not."""
    if not context.table.study.ours:
        return text("theirs")
    drawn = any(factor.name == "learning_rate" for factor in context.table.factors)
    recipe = context.table.study.definition.get("recipe")
    rate = None if drawn or not isinstance(recipe, Mapping) else recipe.get("learning_rate")
    return text("ours", confirmed=context.known(confirmation) is not None, rate=rate)
