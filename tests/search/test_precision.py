"""One study, one precision: the first worker settles it, others hold it or refuse."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from search.errors import StudyError
from search.precision import read_precision, settle_precision
from search.reading.records import read_trials
from search.reading.status import read_status
from search.reading.transfer import dump_study, load_study
from search.training import device
from search.worker import WorkerOptions, run_worker
from tests.search.processes import slow_trainer

SMALL = {"architectures": 2, "flops": [1e5, 2e6], "bins": 1}


def quiet(_: str) -> None:
    pass


def able(monkeypatch, precision: str) -> None:
    """Let this machine be one whose fastest precision is this, whatever it is."""
    monkeypatch.setattr(device, "fast_precision", lambda _: precision)


def spying(recipes: list):
    inner = slow_trainer(0.01)

    def train(architecture, train, validation, recipe, *rest, **more):
        recipes.append(recipe)
        return inner(architecture, train, validation, recipe, *rest, **more)

    return train


def work(study, store, recipes=None, **options) -> int:
    trainer = spying(recipes if recipes is not None else [])
    options = WorkerOptions(wait=False, **options)
    return run_worker(
        study.name, study.storage, store, "cpu", options=options, train=trainer, say=quiet
    )


def precision_of(study) -> str | None:
    with study.storage.connect() as connection:
        return read_precision(connection, study)


@pytest.mark.parametrize("fast", ["fp32", "bf16"])
def test_the_first_worker_settles_the_precision(make_study, store, monkeypatch, fast):
    study = make_study(sample=SMALL)
    assert precision_of(study) is None
    assert read_status(study.name, study.storage).precision is None
    able(monkeypatch, fast)
    recipes: list = []
    assert work(study, store, recipes) == 0
    assert {recipe.precision for recipe in recipes} == {fast}
    assert precision_of(study) == fast == read_status(study.name, study.storage).precision
    hashes = set(read_trials(study.name, study.storage)["recipe_hash"])
    assert hashes == {study.definition.recipe.hash}, "the recipe is the study's, as it was written"


def test_a_worker_that_would_emulate_refuses_unless_told_to(make_study, store, monkeypatch):
    study = make_study(sample=SMALL)
    assert settle_precision(study, "bf16", "a GPU") == "bf16"
    able(monkeypatch, "fp32")
    with pytest.raises(StudyError, match=r"instructions for bf16.*got cpu.*give --emulate"):
        work(study, store)
    assert read_status(study.name, study.storage).waiting == 2, "no trial was touched"
    recipes: list = []
    assert work(study, store, recipes, emulate=True) == 0
    assert {recipe.precision for recipe in recipes} == {"bf16"}


def test_every_device_can_do_fp32(make_study, store, monkeypatch):
    study = make_study(sample=SMALL)
    settle_precision(study, "fp32", "cpu")
    able(monkeypatch, "bf16")
    recipes: list = []
    assert work(study, store, recipes) == 0
    assert {recipe.precision for recipe in recipes} == {"fp32"}


@pytest.mark.parametrize("wanted", ["fp32", "bf16"])
def test_a_definition_that_names_one_is_not_overruled(make_study, wanted):
    study = make_study(sample=SMALL, recipe={"epochs": 2, "precision": wanted})
    assert precision_of(study) == wanted
    assert settle_precision(study, "bf16", "a GPU") == wanted
    if wanted == "bf16":
        with pytest.raises(StudyError, match="instructions for bf16"):
            settle_precision(study, "fp32", "cpu")


def test_of_many_first_workers_one_decides(make_study):
    study = make_study(sample=SMALL)
    found: list[str] = []
    start = threading.Barrier(8)

    def settle(number: int) -> None:
        start.wait()
        found.append(settle_precision(study, ("fp32", "bf16")[number % 2], "cpu", emulate=True))

    threads = [threading.Thread(target=settle, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert set(found) == {precision_of(study)}


def test_a_study_of_before_goes_on_as_most_of_its_trials(make_study, store):
    study = make_study(sample={**SMALL, "architectures": 5})
    work(study, store)
    with study.storage.begin() as connection:
        connection.execute(
            text("DELETE FROM study_user_attributes WHERE study_id = :s AND key = 'precision'"),
            {"s": study.study_id},
        )
        connection.execute(
            text(
                "UPDATE trial_user_attributes a SET value_json = CASE WHEN t.number < 3 "
                "THEN '\"bfloat16\"' ELSE '\"float32\"' END FROM trials t "
                "WHERE t.trial_id = a.trial_id AND t.study_id = :s AND a.key = 'precision'"
            ),
            {"s": study.study_id},
        )
    assert precision_of(study) == "bf16"
    listed = read_trials(study.name, study.storage)["precision"].value_counts()
    assert listed.to_dict() == {"bf16": 3, "fp32": 2}
    assert settle_precision(study, "fp32", "cpu", emulate=True) == "bf16"


def test_the_precision_travels_with_its_study(make_study, tmp_path):
    study = make_study(sample=SMALL)
    settle_precision(study, "bf16", "a GPU")
    dump_study(study.name, study.storage, tmp_path / "study.gz")
    assert (
        precision_of(load_study(tmp_path / "study.gz", study.storage, name=f"{study.name}-copy"))
        == "bf16"
    )
