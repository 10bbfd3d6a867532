"""The chapter by diagnosis: curves, examples and words, against other ways to find the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, precision_score, roc_auc_score

from analysis.page.blocks import Details, Drawing, FigureBlock, GridBlock, Paragraph, TableBlock
from analysis.questions.confirmation.resampling import Predictions
from analysis.questions.context import Context
from analysis.questions.diagnoses.examples import choose_examples
from analysis.questions.diagnoses.numbers import diagnoses
from analysis.questions.diagnoses.section import finding, section
from analysis.trials.table import TrialTable
from analysis.use.curves import POINTS, PRECISION, ROC, ranking_curves
from analysis.use.scores import Evaluated
from data_pipeline import PrepareOptions, prepare_store
from data_pipeline.cohort import NO_LABEL, Flow, full_name
from data_pipeline.synthetic import synthesize
from search.cohort import Cohort, HeldOutEcgs
from tests.analysis.questions.confirmation.confirmations import (
    CLASSES,
    confirmed_of,
    with_a_tiny_class,
)
from tests.analysis.simulate import PLANTED, simulate

STRENGTHS = {"chosen": (2.0, "searched"), "known": (1.0, "reference")}


@pytest.fixture(scope="module")
def table() -> TrialTable:
    return simulate(PLANTED, architectures=40, replicates=(4, 2), seed=1)


def cohort_of_records(count: int) -> Cohort:
    sex = pd.Categorical(["female", "male"] * (count // 2), ["female", "male"], ordered=True)
    age = pd.Categorical(["under 40"] * count, ["under 40", "unknown"], ordered=True)
    names = {"AF": "atrial fibrillation", "NSR": "sinus rhythm", "PVC": "PVC", "LBBB": "<LBBB>"}
    lines = ("Records", *(full_name(name, names) for name in names), NO_LABEL)
    rows = [(line, "9", "3", "3", "3") for line in lines]
    columns = ["characteristic", "all", "train", "validation", "test"]
    splits = {"train": 1, "validation": 1, "test": count}
    flow = Flow(count + 3, {"no <label>": 1}, count + 2, count + 2, splits)
    tested = pd.DataFrame({"sex": sex, "age": age})
    return Cohort(flow, pd.DataFrame(rows, columns=columns), names, tested)


@pytest.fixture(scope="module")
def context(table: TrialTable) -> Context:
    confirmed, labels = with_a_tiny_class(STRENGTHS)
    return Context(table, confirmed=confirmed, cohort=cohort_of_records(len(labels)))


def one_run(rng: np.random.Generator, records: int = 300) -> Evaluated:
    labels = (rng.random((records, 2)) < [0.4, 0.1]).astype(np.uint8)
    runs = [
        Predictions(np.round(1 / (1 + np.exp(rng.normal(0, 1, labels.shape) - labels)), 2), cuts)
        for cuts in (np.full(2, 0.5), np.full(2, 0.6))
    ]
    groups = pd.DataFrame({"source": pd.Categorical(["x"] * records)})
    return Evaluated(labels, np.arange(records), groups, ("A", "B"), ("A", "B"), {"n": runs})


def test_the_areas_under_the_mean_curves_are_the_mean_scores() -> None:
    evaluated = one_run(np.random.default_rng(3))
    curves = ranking_curves(evaluated)
    for k, name in enumerate("AB"):
        truth = evaluated.labels[:, k]
        values = [run.probabilities[:, k] for run in evaluated.networks["n"]]
        for curve, score in ((ROC, roc_auc_score), (PRECISION, average_precision_score)):
            own = curves[(curves["class"] == name) & (curves["curve"] == curve)]
            assert len(own) == POINTS
            expected = np.mean([score(truth, one) for one in values])
            assert np.trapezoid(own["y"], own["x"]) == pytest.approx(expected, abs=0.012)


def test_the_table_has_the_mean_scores_of_the_recommended_networks_trainings(
    context: Context,
) -> None:
    found = context.known(diagnoses)
    assert found is not None
    assert found.contestant.name == "chosen"
    confirmed = context.confirmed
    assert confirmed is not None
    own = confirmed.trials[confirmed.trials["architecture_hash"] == "chosen"]["trial"]
    outputs = [confirmed.outputs[trial] for trial in own]
    scores = found.scored.scores
    rows = scores[(scores["kind"] == "all") & (scores["class"] == "PVC")].set_index("metric")
    for metric, score in (
        ("auroc", lambda y, p: roc_auc_score(y, p)),
        ("ppv", lambda y, p: precision_score(y, p > 0.5)),
    ):
        expected = np.mean([score(o.labels[:, 2], o.probabilities[:, 2]) for o in outputs])
        assert rows.loc[metric, "estimate"] == pytest.approx(expected)
        assert rows.loc[metric, "low"] < expected < rows.loc[metric, "high"]


def test_few_patients_have_no_interval_and_groups_are_told(context: Context) -> None:
    found = context.known(diagnoses)
    assert found is not None
    scores = found.scored.scores
    tiny = scores[scores["class"] == "LBBB"]
    assert tiny[["low", "high"]].isna().all(axis=None)
    assert set(scores["kind"]) == {"all", "sex"}  # one age group and one source compare nothing
    blocks = section(context).blocks
    (told,) = [b for b in blocks if isinstance(b, TableBlock) and b.name == "diagnoses"]
    assert told.shown["diagnosis"].tolist()[:2] == ["mean of 3 diagnoses", "sinus rhythm (NSR)"]
    assert "1 with fewer than 5 patients" in told.caption
    assert "(" not in told.shown["AUROC"].iloc[-1]
    assert {b.name for b in blocks if isinstance(b, FigureBlock | GridBlock)} == {
        "curves",
        "groups",
    }
    (sentence,) = finding(context).sentences
    assert "of the 3 diagnoses that at least 5 patients have" in sentence
    assert "1 more cannot be judged" in sentence
    assert any(isinstance(b, Paragraph) and "--data STORE" in b.text for b in blocks)


def test_without_a_confirmation_it_says_why(table: TrialTable) -> None:
    context = Context(table)
    (told,) = section(context).blocks
    assert isinstance(told, Paragraph)
    assert told.kind == "refusal"
    assert "confirm" in told.text
    assert finding(context).sentences == ()


def test_classes_of_unknown_origin_keep_their_own_names(table: TrialTable) -> None:
    own = replace(table.study, data={"labels": {"AF": 3, "mine": 4}})
    assert Context(replace(table, study=own)).names == {}
    challenge = replace(table.study, data={"labels": {"AF": 3, "NSR": 4}})
    assert Context(replace(table, study=challenge)).names["AF"] == "atrial fibrillation"


def test_examples_are_chosen_by_their_place_alone() -> None:
    labels = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [0, 0], [1, 0]], np.uint8)
    decisions = np.array([[0, 0], [1, 1], [0, 1], [1, 0], [0, 1], [1, 1]], bool)
    chosen = [(e.record, e.diagnosis, e.right) for e in choose_examples(labels, decisions)]
    # Record 1 shows both diagnoses right; 0 misses the first one, 4 names the second one wrongly.
    assert chosen == [(1, 0, True), (0, 0, False), (4, 1, False)]
    assert choose_examples(labels, labels.astype(bool), each=0) == []


def test_test_ecgs_are_drawn_with_what_the_network_said(
    table: TrialTable, tmp_path_factory: pytest.TempPathFactory
) -> None:
    raw = tmp_path_factory.mktemp("ecgs") / "raw"
    synthesize(raw, records=30, seed=1)
    store = prepare_store(raw, raw.parent / "store", PrepareOptions(keep_unlabelled=True))
    confirmed = confirmed_of(STRENGTHS)
    some = next(iter(confirmed.outputs.values()))
    rows = np.arange(len(some.labels)) % len(store)
    context = Context(table, confirmed=confirmed, ecgs=HeldOutEcgs(store, rows))
    found = context.known(diagnoses)
    assert found is not None
    chosen = choose_examples(
        found.evaluated.labels, found.evaluated.networks["chosen"][0].decisions
    )
    blocks = section(context).blocks
    folded = [b for part in blocks if isinstance(part, Details) for b in part.blocks]
    drawn = [b for b in (*blocks, *folded) if isinstance(b, Drawing)]
    assert len(drawn) == len(chosen)
    assert {one.caption.split(" ")[0] for one in drawn} == {"Right", "Wrong:"}
    names = set(store.records["record"].iloc[rows[[one.record for one in chosen]]])
    for one in drawn:
        assert any(f">{name} · " in one.svg for name in names)
        assert "Network: " in one.svg
        assert "threshold 0.50" in one.svg or "nothing" in one.svg
    assert context.confirmed.classes == CLASSES  # type: ignore[union-attr]
