"""Fine-tuning: a training starts from a kept trunk, checked by the content of its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from data_pipeline import PrepareOptions, Store, prepare_store
from data_pipeline.batches import ResidentRecords
from models import Architecture, load_space, reference
from models.build import build
from models.export import load_network, save_network
from search.definition import StudyDefinition
from search.errors import StudyError
from search.reading.records import read_trials
from search.replay import replay
from search.study import create_study, extend_study
from search.training.keep import card_of_store
from search.training.recipe import Recipe
from search.training.run import Run, Trial
from search.training.start import content_hash, head_of, read_start
from search.training.train import train_one
from search.trials.plan import Extension
from search.worker import WorkerOptions, run_worker
from tests.search.rhythms import FACTORS

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def small() -> Architecture:
    return load_space("ecg-cnn").resolve(FACTORS)


@pytest.fixture(scope="module")
def kept(small: Architecture, store: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network as a worker keeps it, of random weights and statistics."""
    torch.manual_seed(4)
    network = build(small, leads=12, outputs=len(store.classes))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    path = tmp_path_factory.mktemp("kept") / "first.safetensors"
    save_network(path, small, network, card_of_store(store, "first"))
    return path


def few(store: Store, count: int = 24) -> ResidentRecords:
    """Records of a user's own two classes."""
    records = ResidentRecords.from_store(store, np.arange(count), "cpu")
    return replace(records, labels=records.labels[:, :2].contiguous())


def defined(kept: Path, name: str = "fine", **changes: object) -> StudyDefinition:
    recipe = Recipe(epochs=1, batch_size=16, learning_rate=1e-3).starting_from(kept)
    values = {"name": name, "recipe": recipe, "replicates": {"seeds": 2}}
    return StudyDefinition.from_dict({**values, **changes})


def test_at_step_0_the_trunk_is_the_kept_one_and_the_head_is_new(small, store, kept) -> None:
    recipe = Recipe(epochs=1, average_epochs=1.0).starting_from(kept)
    records = few(store)
    run = Run(Trial(small, records, records, recipe, 0, "fp32"), 16, None)
    plain = Run(
        Trial(small, records, records, replace(recipe, init="", init_hash=""), 0, "fp32"), 16, None
    )
    stored, head = load_network(kept).state_dict(), head_of(run.network)
    now, scored = run.network.state_dict(), run.scored_network().state_dict()
    trunk = [name for name in now if not name.startswith(f"{head}.")]
    assert len(trunk) == len(now) - 2
    assert all(torch.equal(now[name], stored[name]) for name in trunk)
    assert all(
        torch.equal(scored[name], stored[name]) for name in trunk if "num_batches" not in name
    )
    assert now[f"{head}.weight"].shape[0] == 2
    start = build(small, leads=12, outputs=2)
    assert now[f"{head}.bias"].tolist() == plain.network.state_dict()[f"{head}.bias"].tolist()
    assert not any(
        torch.equal(start.state_dict()[name], stored[name]) for name in trunk if "conv" in name
    )


def other_weights(network: Path) -> bytes:
    """The file of the same network with one weight that differs."""
    content = bytearray(network.read_bytes())
    content[-4] ^= 1
    return bytes(content)


def test_the_hash_is_of_the_content_not_of_the_place(kept: Path, tmp_path: Path) -> None:
    plain, recipe = Recipe(), Recipe().starting_from(kept)
    moved = tmp_path / "moved.safetensors"
    moved.write_bytes(kept.read_bytes())
    assert recipe.init_hash == content_hash(kept)
    assert Recipe().starting_from(moved).hash == recipe.hash != plain.hash
    assert "init" not in plain.hashed(), "recipes of before keep their hash"
    moved.write_bytes(other_weights(kept))
    assert Recipe().starting_from(moved).hash != recipe.hash
    with pytest.raises(StudyError, match=r"with the hash .* got .*moved"):
        read_start(replace(recipe, init=str(moved)))
    with pytest.raises(StudyError, match="leave the hash out"):
        recipe.starting_from(moved)
    assert str(kept.parent) not in str(recipe.described())


def test_a_definition_names_the_file_beside_it(kept: Path, tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(kept.read_bytes())
    file = tmp_path / "mine.toml"
    file.write_text('[replicates]\nseeds = 3\n[recipe]\ninit = "net.safetensors"\n')
    definition = StudyDefinition.from_toml(file)
    assert definition.recipe.init_hash == content_hash(kept)
    assert definition.planned == 3
    file.write_text('[sample]\narchitectures = 20\n[recipe]\ninit = "net.safetensors"\n')
    with pytest.raises(StudyError, match=r"expected no \[sample\]"):
        StudyDefinition.from_toml(file)
    file.write_text('[recipe]\ninit = "nothing.safetensors"\n')
    with pytest.raises(StudyError, match=r"nothing\.safetensors, got: No such file"):
        StudyDefinition.from_toml(file)
    with pytest.raises(StudyError, match=r"Recipe\.starting_from"):
        StudyDefinition.from_dict({"name": "x", "recipe": {"init": "net.safetensors"}})


def test_a_study_trains_its_one_network_and_replays_it(
    storage, store, other_store, kept: Path, small, tmp_path: Path
) -> None:
    own = tmp_path / "first.safetensors"
    own.write_bytes(kept.read_bytes())
    study = create_study(defined(own, "fine-tuned"), store, storage)
    own.unlink()
    options = WorkerOptions(weights=tmp_path / "kept")
    with pytest.raises(StudyError, match="workers by --init"):
        run_worker(study.name, storage, store, "cpu", options=options, say=str)
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(other_weights(kept))
    with pytest.raises(StudyError, match="that the study was created with, by --init"):
        run_worker(study.name, storage, store, "cpu", options=replace(options, init=wrong), say=str)
    there = replace(options, init=kept)
    assert run_worker(study.name, storage, store, "cpu", options=there, say=str) == 0
    trials = read_trials(study.name, storage)
    assert list(trials["state"]) == ["complete"] * 2
    assert set(trials["architecture_hash"]) == {small.hash}
    assert trials["seed"].nunique() == 2
    again = replay(study, store, 1, tmp_path / "again.safetensors", init=kept)
    (first,) = (tmp_path / "kept").rglob("1.safetensors")
    assert load_network(again).card == load_network(first).card
    assert load_network(first).card.recipe["init"] == "first.safetensors"
    with pytest.raises(StudyError, match=r"weights of recipe\.init do not fit it"):
        extend_study(study, Extension(references=(reference("fcn-wang"),)))


def test_other_records_and_other_networks_are_refused(
    storage, store, raw_ecgs: Path, kept: Path, tmp_path: Path
) -> None:
    options = PrepareOptions(sample_rate_hz=100, seconds=2.0, band_hz=None)
    faster = prepare_store(raw_ecgs, tmp_path / "faster", options)
    with pytest.raises(StudyError, match="sample_rate_hz 50, got sample_rate_hz 100"):
        create_study(defined(kept, "faster"), faster, storage)
    other = reference("fcn-wang")
    with pytest.raises(StudyError, match=r"fit no other; leave recipe\.init out"):
        train_one(other, few(store), few(store), Recipe(epochs=1).starting_from(kept), 0)
    study = create_study(StudyDefinition.from_dict({"name": "scratch"}), store, storage)
    with pytest.raises(StudyError, match="starts from random weights"):
        run_worker(study.name, storage, store, "cpu", options=WorkerOptions(init=kept), say=str)


@pytest.mark.slow
@pytest.mark.real_ecgs
def test_on_few_real_ecgs_it_begins_above_a_start_from_nothing(real: Path, small, tmp_path) -> None:
    """A trunk of PTB-XL's recordings, then two classes on 40 records of other hospitals."""
    options = PrepareOptions(labels="challenge", sample_rate_hz=100, seconds=10.0)
    first = prepare_store(real / "challenge-2021-z100", tmp_path / "first", options)
    own = prepare_store(
        real / "challenge-2021" / "training" / "cpsc_2018", tmp_path / "own", options
    )
    place = [first.classes.index(name) for name in ("AF", "NSR")]

    def records(store: Store, rows: np.ndarray, classes: list[int] | None = None):
        held = ResidentRecords.from_store(store, rows, "cpu")
        return (
            held
            if classes is None
            else replace(
                held,
                labels=held.labels[:, classes].contiguous(),
                classes=tuple(held.classes[k] for k in classes),
            )
        )

    recipe = Recipe(epochs=8, batch_size=64, precision="fp32")
    finished: list = []
    train_one(
        small,
        records(first, first.rows("train")),
        records(first, first.rows("validation")),
        recipe,
        0,
        on_finish=finished.append,
    )
    path = tmp_path / "first.safetensors"
    save_network(path, small, finished[0].network, card_of_store(first, "first"))
    rows = np.random.default_rng(0).permutation(len(own))
    train, validation = records(own, rows[:40], place), records(own, rows[40:], place)
    short = Recipe(epochs=3, batch_size=16, learning_rate=1e-3, precision="fp32")
    curves = {"scratch": [], "kept": []}
    for seed in range(3):
        for name, one in (("scratch", short), ("kept", short.starting_from(path))):
            curves[name].append(train_one(small, train, validation, one, seed).curve)
    begun = {name: np.mean([curve[0] for curve in many]) for name, many in curves.items()}
    assert begun["kept"] > begun["scratch"], curves
