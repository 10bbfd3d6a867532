from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from data_pipeline import PrepareOptions, prepare_store
from data_pipeline.synthetic import synthesize
from search.database.embedded import EmbeddedServer

DEFINITION = """
name = "tiny"
[sample]
architectures = 8
flops = ["1.6M", "6M"]
bins = 2
[replicates]
architectures = 1
[controls]
shuffled_labels = 1
[recipe]
epochs = 2
"""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Run the command as a user does, in a process of its own; never on the user's database."""
    home = tmp_path_factory.mktemp("home")

    def ecgscale(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("ECGSCALE_")}
        return subprocess.run(
            [sys.executable, "-m", "ecgscale", *map(str, arguments)],
            env=clean | {"OMP_NUM_THREADS": "1", "XDG_DATA_HOME": str(home), **environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    yield ecgscale
    assert not any(home.iterdir()), "a test started the database that a user has by default"


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of synthetic ECGs in the Challenge's layout."""
    folder = tmp_path_factory.mktemp("raw")
    synthesize(folder, records=160, seed=3)
    return folder


@pytest.fixture(scope="session")
def store(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stores") / "store"
    prepare_store(raw, folder, PrepareOptions())
    return folder


@pytest.fixture(scope="session")
def other_store(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same ECGs prepared in another way, so with another hash."""
    folder = tmp_path_factory.mktemp("stores") / "other"
    prepare_store(raw, folder, PrepareOptions(standardise="record"))
    return folder


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL, as the option --storage names it."""
    folder = tmp_path_factory.mktemp("database")
    yield f"embedded:{folder}"
    EmbeddedServer(folder).stop()


@pytest.fixture(scope="session")
def definition(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("definition") / "tiny.toml"
    path.write_text(DEFINITION, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the workers of `finished` keep their networks."""
    return tmp_path_factory.mktemp("weights")


@pytest.fixture(scope="session")
def finished(run: Run, definition: Path, store: Path, database: str, weights: Path) -> str:
    """The name of a study whose trials a worker has trained."""
    created = run("create", definition, "--data", store, "--storage", database)
    assert created.returncode == 0, created.stderr
    worked = run("worker", "tiny", "--data", store, "--storage", database, "--weights", weights)
    assert worked.returncode == 0, worked.stderr
    return "tiny"
