"""One real PostgreSQL for the whole suite, two small stores, studies of their own per test."""

from __future__ import annotations

import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from data_pipeline import PrepareOptions, Store, prepare_store
from data_pipeline.synthetic import synthesize
from models import Architecture, load_space
from models.layers import Dropout, GlobalPool, Linear, Sequence
from search.database.embedded import EmbeddedServer
from search.database.storage import Storage, open_storage
from search.definition import StudyDefinition
from search.study import Study, create_study
from tests.search.rhythms import FACTORS


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    opened = open_storage(f"embedded:{tmp_path_factory.mktemp('postgresql')}")
    yield opened
    opened.engine.dispose()
    assert opened.server is not None
    opened.server.stop()


@pytest.fixture
def own_storage(tmp_path: Path) -> Iterator[Storage]:
    """A server that a test may kill."""
    opened = open_storage(f"embedded:{tmp_path / 'postgresql'}")
    yield opened
    opened.engine.dispose()
    assert opened.server is not None
    opened.server.stop()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """A PostgreSQL of a test file's own, to stop or to open."""
    opened = open_storage(f"embedded:{tmp_path_factory.mktemp('postgresql')}")
    yield opened
    opened.engine.dispose()
    assert opened.server is not None
    opened.server.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of mode 700 with a path short enough for a socket."""
    import tempfile

    made = Path(tempfile.mkdtemp(prefix="ecg"))
    yield made
    EmbeddedServer(made).stop()
    shutil.rmtree(made)


@pytest.fixture(scope="session")
def raw_ecgs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("raw")
    synthesize(raw, records=60, seed=1)
    return raw


@pytest.fixture(scope="session")
def store(raw_ecgs: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("store")
    options = PrepareOptions(sample_rate_hz=50, seconds=2.0, band_hz=None)
    return prepare_store(raw_ecgs, out / "store", options)


@pytest.fixture(scope="session")
def other_store(raw_ecgs: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    out = tmp_path_factory.mktemp("other")
    options = PrepareOptions(sample_rate_hz=50, seconds=3.0, band_hz=None)
    return prepare_store(raw_ecgs, out / "store", options)


def define(**changes: Any) -> StudyDefinition:
    """A small study under a name that no other test uses."""
    values: dict[str, Any] = {
        "name": f"study-{uuid.uuid4().hex[:12]}",
        "seed": 3,
        "sample": {"architectures": 6, "flops": [1e5, 2e6], "bins": 3},
        "recipe": {"epochs": 2, "batch_size": 16},
    }
    return StudyDefinition.from_dict(values | changes)


@pytest.fixture
def make_study(storage: Storage, store: Store) -> Callable[..., Study]:
    def make(**changes: Any) -> Study:
        return create_study(define(**changes), store, storage)

    return make


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def network() -> Architecture:
    """A network of the default space, with dropout so that it needs random numbers."""
    *body, _ = load_space("ecg-cnn").resolve(FACTORS).layers.layers
    head = Sequence((GlobalPool("avg"), Dropout(0.1), Linear()), name="head")
    return Architecture("with-dropout", Sequence((*body, head)))
