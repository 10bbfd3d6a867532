from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optuna
import pytest
from sqlalchemy import event, text

from search.database.storage import Storage, open_storage
from search.reading.records import read_class_scores, read_curves, read_trials
from search.reading.status import read_status
from search.trials.queue import Limits, Queue, WorkerName

WHO = WorkerName("here:1", "here", "cpu")
ATTRIBUTES = {"macro_auroc": 0.7, "ece": float("nan"), "device": "cpu", "seconds": 1.5}
CLASSES = [
    {"class": "AF", "positives": 3, "f1": 0.5, "auroc": float("nan"), "auprc": 0.1, "threshold": 1}
]


def queue_of(study, **limits) -> Queue:
    return Queue(study.storage, study.study_id, Limits(**limits))


def states(study) -> list[str]:
    return list(read_trials(study.name, study.storage)["state"])


def test_claims_follow_the_plan_and_end(make_study):
    study = make_study()
    queue = queue_of(study)
    claims = [queue.claim(WHO) for _ in range(7)]
    assert [c and c.number for c in claims] == [0, 1, 2, 3, 4, 5, None]
    assert len({c.token for c in claims if c}) == 6
    frame = read_trials(study.name, study.storage)
    assert [c.seed for c in claims if c] == list(frame["seed"])
    assert [c.architecture for c in claims if c] == list(frame["architecture"])
    assert queue.remaining().running == 6
    assert [w.trial for w in read_status(study.name, study.storage).workers] == list(range(6))


def test_racing_workers_never_take_one_trial_twice(make_study, storage: Storage):
    study = make_study(sample={"architectures": 60, "flops": [1e6, 1e7], "bins": 3})

    def drain(_: int) -> list[int]:
        own = open_storage(storage.label)
        queue = Queue(own, study.study_id)
        taken = []
        while (claim := queue.claim(WHO)) is not None:
            taken.append(claim.number)
        own.engine.dispose()
        return taken

    with ThreadPoolExecutor(16) as pool:
        taken = [number for numbers in pool.map(drain, range(16)) for number in numbers]
    assert sorted(taken) == list(range(60))


def test_finish_stores_everything_as_optuna_reads_it(make_study):
    study = make_study()
    queue = queue_of(study)
    claim = queue.claim(WHO)
    assert queue.report(claim, 1, 0.1)
    assert queue.report(claim, 1, 0.2)
    assert queue.finish(claim, 0.5, ATTRIBUTES, [0.2, float("nan"), 0.5], CLASSES)
    trial = study.optuna().trials[0]
    assert trial.state is optuna.trial.TrialState.COMPLETE
    assert trial.value == 0.5
    assert trial.intermediate_values[1] == 0.2
    assert np.isnan(trial.intermediate_values[2])
    assert trial.user_attrs["macro_auroc"] == 0.7
    assert trial.user_attrs["ece"] is None
    assert trial.duration is not None
    assert study.optuna().best_trial.number == 0
    row = read_trials(study.name, study.storage).iloc[0]
    assert row["state"] == "complete"
    assert (row["macro_f1"], row["macro_auroc"], row["seconds"]) == (0.5, 0.7, 1.5)
    assert np.isnan(row["ece"])
    assert row["finished"] >= row["started"]
    curve = read_curves(study.name, study.storage)
    assert list(curve["epoch"]) == [1, 2, 3]
    np.testing.assert_array_equal(curve["macro_f1"], [0.2, np.nan, 0.5])
    classes = read_class_scores(study.name, study.storage)
    assert classes.iloc[0].drop("auroc").to_dict() == {
        "trial": 0,
        "class": "AF",
        "positives": 3,
        "f1": 0.5,
        "auprc": 0.1,
        "threshold": 1.0,
    }
    assert np.isnan(classes["auroc"][0])


def test_finish_is_whole_or_nothing(make_study):
    study = make_study()
    queue = queue_of(study)
    claim = queue.claim(WHO)
    with pytest.raises(Exception, match="null value"):
        queue.finish(claim, 0.5, ATTRIBUTES, [0.5], [*CLASSES, {"class": None}])
    frame = read_trials(study.name, study.storage)
    assert frame["state"][0] == "running"
    assert np.isnan(frame["macro_f1"][0])
    assert read_class_scores(study.name, study.storage).empty
    assert queue.finish(claim, 0.5, ATTRIBUTES, [0.5], CLASSES)


def test_finish_again_after_a_lost_answer_is_fine(make_study):
    study = make_study()
    queue = queue_of(study)
    claim = queue.claim(WHO)
    for _ in range(2):
        assert queue.finish(claim, 0.5, ATTRIBUTES, [0.5], CLASSES)
    assert not queue.hand_back(claim)
    assert states(study)[0] == "complete"


def test_live_lease_is_not_taken_and_stale_one_is(make_study):
    study = make_study(sample={"architectures": 1, "flops": [1e6, 1e7], "bins": 1})
    queue = queue_of(study, grace_seconds=0.5)
    old = queue.claim(WHO)
    assert queue.claim(WHO) is None
    for _ in range(4):
        time.sleep(0.2)
        assert queue.heartbeat(old)
    assert queue.claim(WHO) is None
    time.sleep(0.6)
    new = queue.claim(WHO)
    assert new is not None
    assert (new.trial_id, new.claims) == (old.trial_id, 2)
    # The old worker wakes up: nothing it says counts any more.
    assert not queue.heartbeat(old)
    assert not queue.report(old, 1, 0.9)
    assert not queue.finish(old, 0.9, ATTRIBUTES, [0.9], CLASSES)
    assert not queue.fail(old, "no")
    assert not queue.hand_back(old)
    assert queue.error(old, "no") == "lost"
    assert queue.finish(new, 0.5, ATTRIBUTES, [0.5], CLASSES)
    assert not queue.finish(old, 0.9, ATTRIBUTES, [0.9], CLASSES)
    frame = read_trials(study.name, study.storage)
    assert list(frame["macro_f1"]) == [0.5]


def test_stale_lease_has_one_heir(make_study, storage: Storage):
    study = make_study(sample={"architectures": 3, "flops": [1e6, 1e7], "bins": 1})
    first = queue_of(study, grace_seconds=5)
    for _ in range(3):
        assert first.claim(WHO) is not None
    with storage.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE ecgscale_leases SET heartbeat_at = clock_timestamp() - interval '1 hour' "
                "WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = :study)"
            ),
            {"study": study.study_id},
        )
        # Nothing is stale before the server itself has been up for the grace period.
        connection.execute(
            text("SELECT pg_sleep(5.5 - extract(epoch FROM now() - pg_postmaster_start_time()))")
        )

    def take(_: int) -> int | None:
        own = open_storage(storage.label)
        claim = Queue(own, study.study_id, Limits(grace_seconds=5)).claim(WHO)
        own.engine.dispose()
        return claim.number if claim else None

    with ThreadPoolExecutor(8) as pool:
        taken = [number for number in pool.map(take, range(8)) if number is not None]
    assert sorted(taken) == [0, 1, 2]


def test_restarted_database_gives_everybody_time(own_storage: Storage, store):
    from conftest import define

    from search.study import create_study

    study = create_study(define(), store, own_storage)
    queue = queue_of(study, grace_seconds=2.0)
    for _ in range(6):
        assert queue.claim(WHO)
    own_storage.engine.dispose()
    own_storage.server.stop()
    time.sleep(2.0)
    own_storage.server.start()
    assert queue.claim(WHO) is None  # all are silent for longer, but the database was away
    time.sleep(2.2)
    assert queue.claim(WHO) is not None


def test_handed_back_trial_is_next(make_study):
    study = make_study()
    queue = queue_of(study)
    first = queue.claim(WHO)
    assert queue.claim(WHO).number == 1
    assert queue.hand_back(first)
    assert states(study)[0] == "waiting"
    again = queue.claim(WHO)
    assert (again.number, again.claims) == (0, 2)
    assert not queue.heartbeat(first)


def test_errors_come_last_and_end_at_the_limit(make_study):
    study = make_study(sample={"architectures": 2, "flops": [1e6, 1e7], "bins": 1})
    queue = queue_of(study, errors=2)
    bad = queue.claim(WHO)
    assert queue.error(bad, "ValueError: x") == "again"
    good = queue.claim(WHO)
    assert good.number == 1
    assert queue.finish(good, 0.5, {}, [0.5], [])
    bad = queue.claim(WHO)
    assert bad.number == 0
    assert queue.error(bad, "ValueError: x") == "failed"
    assert queue.claim(WHO) is None
    frame = read_trials(study.name, study.storage)
    assert list(frame["state"]) == ["failed", "complete"]
    assert frame["failure"][0] == "error: ValueError: x"
    assert frame["failure"][1] is None
    status = read_status(study.name, study.storage)
    assert status.failures == {"error": 1}
    assert status.done
    assert status.trials_per_hour > 0


def test_trial_that_kills_its_workers_fails_at_the_limit(make_study):
    study = make_study(sample={"architectures": 1, "flops": [1e6, 1e7], "bins": 1})
    queue = queue_of(study, grace_seconds=0.05, losses=2)
    for attempt in range(1, 4):
        assert queue.claim(WHO).claims == attempt
        time.sleep(0.1)
    assert queue.claim(WHO) is None
    frame = read_trials(study.name, study.storage)
    assert list(frame["state"]) == ["failed"]
    assert frame["failure"][0].startswith("vanished: 3 workers")


def test_diverged_trial_keeps_its_reason_and_curve(make_study):
    study = make_study()
    queue = queue_of(study)
    claim = queue.claim(WHO)
    queue.report(claim, 1, 0.3)
    assert queue.fail(claim, "diverged: loss nan in epoch 2", {"host": "here"})
    assert queue.fail(claim, "diverged: loss nan in epoch 2", {"host": "here"})
    frame = read_trials(study.name, study.storage)
    assert frame["state"][0] == "failed"
    assert frame["host"][0] == "here"
    assert len(read_curves(study.name, study.storage)) == 1


def test_trial_costs_few_statements(make_study):
    study = make_study()
    queue = queue_of(study)
    seen: list[str] = []

    def count(_connection, _cursor, statement, *_rest) -> None:
        seen.append(statement)

    event.listen(study.storage.engine, "before_cursor_execute", count)
    try:
        claim = queue.claim(WHO)
        for epoch in range(1, 21):
            queue.report(claim, epoch, 0.5)
        queue.finish(claim, 0.5, ATTRIBUTES, [0.5] * 20, CLASSES)
    finally:
        event.remove(study.storage.engine, "before_cursor_execute", count)
    assert len(seen) == 1 + 20 + 7  # plain Optuna: 147


def test_deleting_a_study_takes_our_rows_along(make_study):
    study = make_study()
    queue = queue_of(study)
    queue.finish(queue.claim(WHO), 0.5, ATTRIBUTES, [0.5], CLASSES)
    optuna.delete_study(study_name=study.name, storage=study.storage.optuna())
    with study.storage.connect() as connection:
        for table in ("ecgscale_leases", "ecgscale_class_scores"):
            orphans = "LEFT JOIN trials t USING (trial_id) WHERE t.trial_id IS NULL"
            left = connection.scalar(text(f"SELECT count(*) FROM {table} l {orphans}"))
            assert left == 0
