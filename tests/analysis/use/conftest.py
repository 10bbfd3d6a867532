from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data_pipeline import PrepareOptions, Store, prepare_store
from data_pipeline.synthetic import synthesize
from models import family
from models.build import build
from models.export import save_network
from search.training.keep import card_of_store


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("use") / "raw"
    synthesize(folder, records=60, seed=5)
    return folder


@pytest.fixture(scope="session")
def store(raw: Path) -> Store:
    return prepare_store(raw, raw.parent / "store", PrepareOptions(keep_unlabelled=True))


@pytest.fixture(scope="session")
def network(store: Store, raw: Path) -> Path:
    """A kept network whose outputs differ from record to record."""
    torch.manual_seed(2)
    architecture = family("ecgscale-xs")
    built = build(architecture, outputs=len(store.classes)).train()
    torch.nn.init.normal_(built.body[-1][-1].weight, std=0.5)  # type: ignore[index, union-attr]
    with torch.no_grad():
        built(torch.from_numpy(store.signals[:] * store.step).float())
    path = raw.parent / "network.safetensors"
    save_network(path, architecture, built.eval(), card_of_store(store, "random"))
    return path
