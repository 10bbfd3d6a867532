"""The order in which trials are taken, and a study that goes where its files do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import define

from models import Architecture
from search.definition import StudyDefinition
from search.reading.records import read_trials
from search.reading.transfer import dump_study, load_study
from search.study import create_study, extend_study
from search.trials.plan import Extension
from search.trials.queue import Queue, WorkerName

SPACE = """
family = "ecg-cnn"
constraints = ["depth >= 2 * stages"]
[factors]
residual = true
stages = 3
kernel_size = { choices = [5, 9] }
"""


def test_long_trials_first_are_the_same_trials(storage, store):
    definition = define(
        sample={"architectures": 12, "flops": [1e5, 1e7], "bins": 3},
        replicates={"architectures": 2, "seeds": 1},
        controls={"shuffled_labels": 1},
    )
    values = definition.to_dict()
    planned = create_study(definition, store, storage)
    other = StudyDefinition.from_dict({**values, "name": f"{definition.name}-long"})
    sorted_ = create_study(other, store, storage, long_first=True)
    plain, long = (read_trials(study.name, storage) for study in (planned, sorted_))
    assert list(long["trial"]) == list(range(15))
    assert long["activations"].is_monotonic_decreasing
    assert not plain["activations"].is_monotonic_decreasing
    columns = ["architecture_hash", "seed", "role"]
    assert sorted(map(tuple, plain[columns].values)) == sorted(map(tuple, long[columns].values))
    queue = Queue(storage, sorted_.study_id)
    who = WorkerName("here:1", "here", "cpu")
    taken = [queue.claim(who).architecture for _ in range(3)]
    assert taken == list(long["architecture"][:3])
    third = StudyDefinition.from_dict({**values, "name": f"{definition.name}-again"})
    again = create_study(third, store, storage, long_first=True)
    assert read_trials(again.name, storage)[columns].equals(long[columns])


@pytest.mark.parametrize("travels", [False, True])
def test_study_of_a_space_file_is_extended_where_the_file_is_not(
    storage, store, tmp_path: Path, travels: bool
):
    (tmp_path / "mine.toml").write_text(SPACE)
    values = define().to_dict()
    lines = [f'name = "{values["name"]}"', 'space = "mine.toml"']
    lines += ["[sample]", "architectures = 6", 'flops = ["1M", "20M"]', "bins = 2"]
    (tmp_path / "study.toml").write_text("\n".join(lines))
    study = create_study(StudyDefinition.from_toml(tmp_path / "study.toml"), store, storage)
    (tmp_path / "mine.toml").unlink()
    if travels:
        dump_study(study.name, storage, tmp_path / "study.gz")
        study = load_study(tmp_path / "study.gz", storage, name=f"{study.name}-copy")
    longer = extend_study(study, Extension(architectures=8))
    assert longer.planned == 14
    networks = [
        Architecture.from_json(text) for text in read_trials(study.name, storage)["architecture"]
    ]
    assert {network.name for network in networks} == {"mine"}
    assert {network.factors["kernel_size"] for network in networks[6:]} == {5, 9}
    assert all("residual" not in network.factors for network in networks)
    assert len({network.hash for network in networks}) == 14
