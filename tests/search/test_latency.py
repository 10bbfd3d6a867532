from __future__ import annotations

import pytest
from processes import slow_trainer
from sqlalchemy import text

from search.errors import StudyError
from search.latency import measure_latencies
from search.reading.records import read_trials
from search.worker import run_worker


def test_latency_is_kept_with_every_trial_of_a_network(make_study, storage, store):
    study = make_study(
        sample={"architectures": 3, "flops": [1e6, 4e7], "bins": 1},
        replicates={"architectures": 1, "seeds": 1},
    )
    assert measure_latencies(study) == 0  # nothing is trained yet
    run_worker(study.name, storage, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    seen = []
    assert measure_latencies(study, progress=lambda done, all_: seen.append((done, all_))) == 3
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    frame = read_trials(study.name, storage)
    assert (frame["latency_ms"] > 0).all()
    assert frame["latency_device"].nunique() == 1
    assert frame["latency_device"].iloc[0].startswith("cpu ")
    assert frame["latency_device"].iloc[0].endswith("1 thread")
    per_network = frame.groupby("architecture_hash")["latency_ms"].nunique()
    assert (per_network == 1).all()
    assert measure_latencies(study) == 0
    assert measure_latencies(study, again=True) == 3


def test_latencies_of_two_machines_are_not_mixed(make_study, storage, store):
    study = make_study(sample={"architectures": 2, "flops": [1e6, 4e7], "bins": 1})
    run_worker(study.name, storage, store, "cpu", train=slow_trainer(0.01), say=lambda _: None)
    measure_latencies(study)
    with storage.begin() as connection:
        connection.execute(
            text(
                "UPDATE trial_user_attributes SET value_json = '\"a pocket device\"' "
                "WHERE key = 'latency_device' AND trial_id IN (SELECT min(trial_id) FROM trials "
                "WHERE study_id = :study)"
            ),
            {"study": study.study_id},
        )
    with pytest.raises(StudyError, match="a pocket device"):
        measure_latencies(study)
    assert measure_latencies(study, again=True) == 2
    assert read_trials(study.name, storage)["latency_device"].nunique() == 1
