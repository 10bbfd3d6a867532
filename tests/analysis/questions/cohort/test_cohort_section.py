"""The chapter on the ECGs: flow, characteristics, and what is said where they are not known."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from analysis.page.blocks import Details, Drawing, Paragraph, TableBlock
from analysis.questions.cohort.figures import flow_svg
from analysis.questions.cohort.section import section
from analysis.questions.context import Context
from analysis.trials.table import TrialTable
from data_pipeline.cohort import Flow
from tests.analysis.questions.diagnoses.test_diagnoses import cohort_of_records
from tests.analysis.simulate import PLANTED, simulate


def _table() -> TrialTable:
    return simulate(PLANTED, architectures=20, seed=1)


def test_the_flow_says_every_number_and_escapes_reasons() -> None:
    splits = {"train": 700, "validation": 150, "test": 140}
    flow = Flow(1200, {"no <label>": 120, "duplicate": 30}, 1050, 1300, splits, unused=60)
    tree = ElementTree.fromstring(flow_svg(flow))
    words = [text.text for text in tree.iter("{http://www.w3.org/2000/svg}text")]
    for part in ("1,200", "Excluded: 150", "no <label>: 120", "in 1,300 windows", "140"):
        assert part in words
    assert "of them not used: 60" in words
    plain = flow_svg(Flow(5, {}, 5, 5, {"train": 3, "validation": 1, "test": 1}))
    assert "Excluded" not in plain
    assert "not used" not in plain


def test_people_come_first_and_diagnoses_are_folded_away() -> None:
    blocks = section(Context(_table(), cohort=cohort_of_records(4))).blocks
    drawing, people, folded = blocks
    assert isinstance(drawing, Drawing)
    assert isinstance(people, TableBlock)
    assert isinstance(folded, Details)
    assert people.shown[""].tolist() == ["Records"]
    assert people.data is not None
    assert len(people.data) == 6
    (diagnoses,) = folded.blocks
    assert isinstance(diagnoses, TableBlock)
    assert diagnoses.shown[""].iloc[0] == "atrial fibrillation (AF)"
    assert len(diagnoses.shown) == 5


def test_a_study_from_before_says_where_its_cohort_is() -> None:
    table = _table()
    ours = replace(table.study, definition={"space": "x"}, data={"labels": {"AF": 3, "NSR": 9}})
    told, folded = section(Context(replace(table, study=ours))).blocks
    assert isinstance(told, Paragraph)
    assert "--data STORE" in told.text
    assert isinstance(folded, Details)
    (counts,) = folded.blocks
    assert isinstance(counts, TableBlock)
    assert counts.shown["class"].tolist() == ["sinus rhythm (NSR)", "atrial fibrillation (AF)"]
