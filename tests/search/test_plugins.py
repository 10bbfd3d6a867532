"""Plug-ins in studies: the documented example trained by two workers, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy import text
from torch.utils.flop_counter import FlopCounterMode

import analysis
from data_pipeline import Store
from data_pipeline.batches import batches
from definitions import plugins
from definitions.plugins import UNNAMED, load_plugin
from ecgscale.cli import _plugins_first
from ecgscale.plugins import augmentation, loss
from models import Architecture, ModelError
from models.build import build
from search.database.storage import Storage
from search.definition import StudyDefinition
from search.errors import StudyError
from search.reading.records import StudyReader, read_class_scores
from search.reading.transfer import dump_study, load_study
from search.study import create_study, extend_study, open_study
from search.training.evaluation import EVALUATIONS
from search.training.loss import loss_sum
from search.training.metric_table import METRICS, Fold, Metric, objective_metric
from search.training.recipe import LOSSES, Recipe
from search.trials.plan import Extension
from search.worker import run_worker
from tests.docs.blocks import blocks
from tests.search.conftest import define
from tests.search.rhythms import records

ROOT = Path(__file__).parents[2]
ONE = {"architectures": 1, "flops": [1e5, 2e6], "bins": 1}


@pytest.fixture(autouse=True)
def _nothing_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv(plugins.VARIABLE, "")
    yield
    for plugin in [*plugins.LOADED.values(), UNNAMED]:
        plugins.forget(plugin)
    for registry in plugins.REGISTRIES.values():
        registry._declared.clear()


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The folder with the files of the documentation."""
    for block in blocks("docs/how-to/own-plugin.md"):
        if block.title in ("own.py", "own.toml"):
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    return tmp_path


def work(study: str, storage: Storage, store: Store, plugin: Path) -> subprocess.Popen[str]:
    words = ["--plugin", str(plugin), "worker", study, "--data", str(store.path)]
    return subprocess.Popen(
        [sys.executable, "-m", "ecgscale", *words, "--device", "cpu"],
        env={
            **os.environ,
            "ECGSCALE_STORAGE": storage.label,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_documented_example_is_trained_by_two_workers(
    example: Path, storage: Storage, store: Store, tmp_path: Path
) -> None:
    defined = StudyDefinition.from_toml(example / "own.toml")
    study = create_study(defined, store, storage)
    (plugin,) = plugins.LOADED.values()
    assert study.definition == defined
    assert [(one.name, one.hash) for one in defined.plugins] == [("own", plugin.hash)]
    with storage.connect() as connection:
        direction = text("SELECT direction::text FROM study_directions WHERE study_id = :study")
        assert connection.scalar(direction, {"study": study.study_id}) == "MAXIMIZE"

    plugins.forget(plugin)
    with pytest.raises(StudyError, match=f"the source {plugin.hash}, got none: give it with"):
        run_worker(study.name, storage, store, "cpu", say=str)
    with pytest.raises(StudyError, match="got none"):
        extend_study(study, Extension(architectures=1))
    altered = tmp_path / "altered" / "own.py"
    altered.parent.mkdir()
    altered.write_text((example / "own.py").read_text() + "\n# altered\n")
    other = load_plugin(altered)
    with pytest.raises(StudyError, match=f"got {other.hash} from {altered}: give the file as it"):
        run_worker(study.name, storage, store, "cpu", say=str)
    plugins.forget(other)

    workers = [work(study.name, storage, store, example / "own.py") for _ in range(2)]
    said = [worker.communicate(timeout=240)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert sum(one.count("worst AUROC") for one in said) == 6, said

    reader = StudyReader(study.name, storage)  # without the plug-in
    trials = reader.trials
    assert (trials["state"] == "complete").all()
    assert trials["confidence"].between(0, 0.5).all()
    worst = read_class_scores(study.name, storage).groupby("trial")["auroc"].min()
    np.testing.assert_allclose(trials.set_index("trial")["worst_auroc"], worst)
    curve = reader.curves.groupby("trial")["worst_auroc"].last()
    np.testing.assert_allclose(curve, worst)
    assert reader.traced
    table = analysis.table(study.name, storage)
    assert (table.objective, table.maximize, table.study.traced) == ("worst_auroc", True, True)
    assert "macro_f1" in table.metrics
    with storage.connect() as connection:
        rows = connection.execute(
            text("SELECT objective, value, worst_auroc, confidence, macro_f1 FROM ecgscale_trials "
                 "WHERE study = :study ORDER BY trial"),
            {"study": study.name},
        ).all()  # fmt: skip
    for row, (_, trial) in zip(rows, trials.iterrows(), strict=True):
        assert row.objective == "worst_auroc"
        kept = trial[["worst_auroc", "worst_auroc", "confidence", "macro_f1"]]
        assert list(row[1:]) == kept.to_list()
    dump_study(study.name, storage, tmp_path / "study.gz")
    copy = load_study(tmp_path / "study.gz", storage, name=f"{study.name}-copy")
    assert copy.definition.plugins == defined.plugins

    network = Architecture.from_json(trials["architecture"][0])
    with pytest.raises(ModelError, match="--plugin"):
        build(network)
    load_plugin(example / "own.py")
    built = build(network, leads=12, outputs=len(store.classes))
    with FlopCounterMode(display=False) as counter:
        built(torch.zeros(1, 12, store.samples))
    assert trials["flops"][0] == counter.get_total_flops()
    assert len(extend_study(study, Extension(architectures=1)).definition.plugins) == 1


def test_a_plugin_that_a_definition_uses_is_listed_by_itself(example, storage, store) -> None:
    load_plugin(example / "own.py")
    study = create_study(define(sample=ONE, recipe={"loss": "focal"}), store, storage)
    (used,) = open_study(study.name, storage).definition.plugins
    assert used.name == "own"
    assert used.adds["family"] == {"conv-gru": {"traced": True}}
    assert used.adds["metric"]["worst_auroc"]["label"] == "Worst AUROC"
    assert study.definition.hash != define(sample=ONE, recipe={"loss": "focal"}).hash


def test_what_was_registered_in_a_notebook_is_no_part_of_a_study(storage, store) -> None:
    METRICS.add("tried", replace(METRICS["macro_auroc"], name="tried"))
    with pytest.raises(StudyError, match="registered in this process: put it into a file"):
        create_study(define(objective="tried", sample=ONE), store, storage)


def test_a_name_that_is_known_from_another_study_needs_its_plugin(storage, store) -> None:
    plugins.declare({"loss": {"theirs": {}}})
    with pytest.raises(StudyError, match="the plug-in that adds the loss 'theirs', got none"):
        create_study(define(sample=ONE, recipe={"loss": "theirs"}), store, storage)


def test_a_name_that_a_column_has_is_refused(example: Path, storage, store) -> None:
    for name in ("seconds", "width", "role"):
        source = (
            (example / "own.py").read_text().replace('metric("worst_auroc"', f'metric("{name}"')
        )
        file = example / f"{name}.py"
        file.write_text(source)
        plugin = load_plugin(file)
        with pytest.raises(StudyError, match=f"no column of trials has, got '{name}'"):
            create_study(define(space="conv-gru", objective=name, sample=ONE), store, storage)
        plugins.forget(plugin)


def test_a_definition_says_what_is_wrong_with_its_plugins(example: Path) -> None:
    file = example / "own.toml"
    for wrong, message in (
        ('plugins = ["gone.py"]', r"gone.py, got: No such file"),
        ("plugins = [3]", "a list of files or folders beside this one"),
        ('plugins = "own.py"', "a list of files or folders beside this one"),
        ("plugins = []", "recipe.loss to be one of"),
    ):
        changed = (example / "own.toml").read_text().replace('plugins = ["own.py"]', wrong)
        (example / "wrong.toml").write_text(changed)
        with pytest.raises((StudyError, plugins.PluginError), match=message):
            StudyDefinition.from_toml(example / "wrong.toml")
    assert StudyDefinition.from_toml(file).plugins[0].name == "own"


def test_an_objective_may_be_of_one_class_and_may_be_minimised(storage, store, one_thread) -> None:
    name = store.classes[0]
    for objective, maximize in ((f"auroc:{name}", True), ("ece", False)):
        defined = define(objective=objective, sample=ONE, recipe={"epochs": 1, "batch_size": 16})
        study = create_study(defined, store, storage)
        assert run_worker(study.name, storage, store, "cpu", say=str) == 0
        reader = StudyReader(study.name, storage)
        trial = reader.trials.iloc[0]
        own = read_class_scores(study.name, storage).set_index("class").loc[name, "auroc"]
        expected = own if maximize else trial["ece"]
        opened = study.optuna()
        assert opened.trials[0].value == pytest.approx(expected, nan_ok=True)
        assert opened.direction.name == ("MAXIMIZE" if maximize else "MINIMIZE")
        assert opened.metric_names == [objective]
        assert trial[["macro_f1", "macro_auroc", objective]].notna().all()
        assert list(reader.curves) == ["trial", "epoch", objective]
        table = analysis.table(study.name, storage)
        assert (table.objective, table.maximize) == (objective, maximize)
    dump = Path(os.environ.get("TMPDIR", "/tmp")) / f"{study.name}.gz"
    dump_study(study.name, storage, dump)
    copy = load_study(dump, storage, name=f"{study.name}-copy")
    dump.unlink()
    assert copy.optuna().direction.name == "MINIMIZE"


def test_an_objective_that_is_none_is_told(storage, store) -> None:
    with pytest.raises(StudyError, match="did you mean 'macro_auroc'"):
        define(objective="macro_aroc")
    with pytest.raises(StudyError, match=r"the f1 of a class of the store .* got 'f1:none'"):
        create_study(define(objective="f1:none", sample=ONE), store, storage)
    assert define(objective="macro_auprc").scores.primary == "macro_auprc"
    asked = {"primary": "macro_f1"}
    assert define(objective="macro_auprc", scores=asked).scores.primary == "macro_f1"


def test_a_class_objective_is_the_score_of_that_class() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((90, 3)) < 0.4).astype(float)
    chances = np.clip(labels * 0.3 + rng.random((90, 3)) * 0.7, 0, 1)
    fold = Fold(labels, chances, chances > 0.5, classes=("a", "b", "c"))
    chosen = chances[:, 1] > 0.5
    hits = (labels[:, 1] * chosen).sum()
    f1 = 2 * hits / (labels[:, 1].sum() + chosen.sum())
    assert objective_metric("f1:b").compute(fold) == pytest.approx(f1)


def test_a_loss_and_an_augmentation_are_those_of_the_recipe() -> None:
    @loss("twice")
    def twice(logits, labels, weights, recipe):
        return 2 * LOSSES["bce"](logits, labels, weights, recipe)

    @augmentation("shifted")
    def shifted(signals, generator, sample_rate_hz):
        assert sample_rate_hz == 100
        return signals + torch.rand(1, generator=generator)

    train, chosen = records(40, 1), Recipe(loss="twice", augmentation="shifted", augment_mask=0.0)
    logits = torch.randn(40, 3)
    expected = 2 * loss_sum(logits, train.labels, torch.ones(3), Recipe())
    torch.testing.assert_close(loss_sum(logits, train.labels, torch.ones(3), chosen), expected)
    assert chosen.hash != Recipe(loss="twice", augment_mask=0.0).hash
    options = {"batch_size": 40, "seed": 1, "epoch": 0, "shuffle": False}
    plain = Recipe(augment_mask=0.0)
    (own, _), (again, _), (before, _) = (
        next(batches(train, augment=one.augment_options(), **options))
        for one in (chosen, chosen, plain)
    )
    assert torch.equal(own, again)
    difference = own - before
    assert difference.min() > 0
    torch.testing.assert_close(difference, difference.mean().expand_as(difference))


def test_stand_ins_say_what_they_lack() -> None:
    plugins.declare({
        "metric": {"theirs": {"label": "Theirs", "unit": "ms", "limits": [0, None],
                              "meaning": "a delay", "higher": False}},
        "evaluation": {"own": {"label": "Own", "unit": "", "meaning": "m", "higher": True}},
    })  # fmt: skip
    metric = METRICS["theirs"]
    assert isinstance(metric, Metric)
    assert (metric.label, metric.high, metric.higher) == ("Theirs", np.inf, False)
    assert json.dumps(list(METRICS.of(())))
    with pytest.raises(plugins.PluginError, match="the plug-in that adds the metric 'theirs'"):
        metric.compute(Fold(np.zeros((1, 1)), np.zeros((1, 1)), np.zeros((1, 1), bool)))
    with pytest.raises(plugins.PluginError, match="the evaluation 'own'"):
        EVALUATIONS["own"].compute(torch.nn.Identity(), None)  # type: ignore[arg-type]


def test_plugin_options_stand_where_they_are_typed() -> None:
    words = ["worker", "s", "--plugin", "a.py", "--data", "d", "--plugin=b.py"]
    assert _plugins_first(words) == [
        "--plugin",
        "a.py",
        "--plugin=b.py",
        "worker",
        "s",
        "--data",
        "d",
    ]
    assert _plugins_first(["x", "--", "--plugin", "a"]) == ["x", "--", "--plugin", "a"]
