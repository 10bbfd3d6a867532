"""A chapter is a folder and a line of the registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import analysis.questions
from analysis.page.blocks import Paragraph, Section
from analysis.questions.context import Context, Finding, Question
from analysis.report.chapters import chapters
from analysis.report.registry import CHAPTERS, QUESTIONS
from analysis.trials.table import TrialTable


def test_every_question_has_its_chapter() -> None:
    folders = {path.parent.name for path in Path(analysis.questions.__path__[0]).glob("*/*.toml")}
    assert {chapter.partition(".")[0] for chapter in CHAPTERS} == folders
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)


def test_a_new_question_gets_its_chapter_and_its_finding(
    small: TrialTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def section(context: Context) -> Section:
        return Section("mine", "Mine", (Paragraph(f"{len(context.designs)} networks"),))

    mine = Question("mine", section, lambda _: Finding("Mine", ("It is so.",)))
    for module in ("chapters", "findings", "methods"):
        monkeypatch.setattr(f"analysis.report.{module}.QUESTIONS", (mine,))
    few = replace(small, frame=small.frame.head(20))
    findings, chapter, methods = chapters(Context(few))
    assert findings.anchor == "findings"
    assert findings.blocks[0] == Paragraph("It is so.", "lead", "Mine")
    assert chapter.anchor == "mine"
    assert methods.anchor == "methods"
