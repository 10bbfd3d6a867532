"""Networks on a store: which classes, which records, and what the page says."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import models
from analysis.errors import AnalysisError
from analysis.use.evaluate import evaluate
from analysis.use.page import write_evaluation
from analysis.use.tables import summary_table
from data_pipeline import PrepareOptions, Store, open_store, prepare_store
from data_pipeline.synthetic import synthesize
from models.export import load_predictor, save_network
from search.training.metrics import auroc_per_class


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Records of another place, in classes of its own names and codes."""
    raw = tmp_path_factory.mktemp("elsewhere") / "raw"
    synthesize(raw, records=80, seed=9)
    labels = raw.parent / "labels.csv"
    labels.write_text(
        "abbreviation,name,codes\nFib,Vorhofflimmern,164889003\nSinus,Sinusrhythmus,426783006\n"
        "Own,eigene Diagnose,999\n"
    )
    options = PrepareOptions(labels=labels, windows=0, keep_unlabelled=True)
    return prepare_store(raw, raw.parent / "store", options)


def test_classes_are_matched_by_code_and_the_rest_is_told(network, elsewhere, tmp_path: Path):
    evaluation = evaluate([network], elsewhere)
    evaluated = evaluation.evaluated
    assert evaluation.split == "all"
    assert evaluated.classes == ("Fib", "Sinus")
    assert evaluation.only_store == ("Own",)
    assert len(evaluation.only_networks) == 24
    assert "AF" not in evaluation.only_networks
    predictor = load_predictor(network)
    said = predictor.of_prepared(np.asarray(elsewhere.signals), elsewhere.step)
    (run,) = evaluated.networks["ecgscale-xs"]
    columns = [predictor.classes.index(name) for name in ("AF", "NSR")]
    assert run.probabilities.tolist() == said[:, columns].tolist()
    path, scored = write_evaluation(evaluation, tmp_path, draws=20)
    rows = scored.scores.query("kind == 'all' and metric == 'auroc'").set_index("class")
    expected = auroc_per_class(elsewhere.labels[:, :2], said[:, columns])
    np.testing.assert_allclose(rows.loc[["Fib", "Sinus"], "estimate"], expected)
    text = path.read_text()
    assert "Known to the records alone, and excluded: Own." in text


def test_the_page_stands_by_itself_with_tables_for_every_figure(network, elsewhere, tmp_path: Path):
    path, scored = write_evaluation(evaluate([network], elsewhere), tmp_path, draws=20)
    text = path.read_text()
    without_code = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', without_code)
    assert "Synthetic ECGs" in text
    linked = set(re.findall(r'href="tables/([^"]+)"', text))
    assert linked == {file.name for file in (tmp_path / "tables").iterdir()}
    assert {"scores.csv", "reliability.csv", "groups_sex.csv", "expected.csv"} <= linked
    written = pd.read_csv(tmp_path / "tables" / "scores.csv")
    assert len(written) == len(scored.scores)
    assert list(summary_table(scored)["network"]) == ["ecgscale-xs"]


def test_a_network_on_its_own_store_is_judged_by_the_test_split(network, store, tmp_path: Path):
    evaluation = evaluate([network], store)
    assert evaluation.split == "test"
    assert len(evaluation.evaluated.labels) == len(store.rows("test"))
    everything = evaluate([network], store, "all")
    path, _ = write_evaluation(everything, tmp_path, draws=5)
    assert "Not new to the networks." in path.read_text()
    with pytest.raises(AnalysisError, match="split out of"):
        evaluate([network], store, "other")


def test_trainings_of_one_architecture_are_one_network(network, elsewhere, tmp_path: Path):
    loaded = models.load(network)
    again = tmp_path / "again.safetensors"
    save_network(again, loaded.architecture, loaded, replace(loaded.card, seed=5))
    evaluation = evaluate([network, again], elsewhere)
    assert [len(runs) for runs in evaluation.evaluated.networks.values()] == [2]


def test_another_preparation_or_no_class_in_common_is_refused(network, elsewhere, tmp_path: Path):
    loaded = models.load(network)
    how = loaded.card.preprocessing
    for name, change in (
        ("rate", {"preprocessing": replace(how, sample_rate_hz=250)}),
        ("codes", {"codes": tuple((f"{k}",) for k in range(26))}),
    ):
        path = tmp_path / f"{name}.safetensors"
        save_network(path, loaded.architecture, loaded, replace(loaded.card, **change))
    with pytest.raises(AnalysisError, match="differ in sample_rate_hz"):
        evaluate([tmp_path / "rate.safetensors"], elsewhere)
    with pytest.raises(AnalysisError, match="none in common"):
        evaluate([tmp_path / "codes.safetensors"], elsewhere)


def test_an_old_file_is_matched_by_names(network, store, tmp_path: Path):
    loaded = models.load(network)
    old = replace(loaded.card, preprocessing=None, codes=(), diagnoses=())
    save_network(tmp_path / "old.safetensors", loaded.architecture, loaded, old)
    found = evaluate([tmp_path / "old.safetensors"], open_store(store.path))
    assert found.evaluated.classes == store.classes
