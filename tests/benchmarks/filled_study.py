"""Studies of many finished trials on a real PostgreSQL, for the benchmarks of the queue."""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from data_pipeline import PrepareOptions, Store, prepare_store
from data_pipeline.synthetic import synthesize
from search.database.storage import Storage, open_storage
from search.definition import StudyDefinition
from search.study import Study, create_study
from search.training.metric_table import ATTRIBUTES
from search.trials.queue import Queue, WorkerName

EPOCHS = 20
CLASSES = 26
ATTRIBUTES = {
    **dict.fromkeys(ATTRIBUTES, 0.123456),
    "seconds": 61.5,
    "validation_seconds": 1.5,
    "records_per_second": 812.5,
    "peak_memory_bytes": 123456789,
    "micro_batch": 64,
    "precision": "bf16",
    "device": "cpu",
    "host": "node1",
    "git_commit": "0" * 40,
    "recipe_hash": "1" * 16,
    "data_hash": "2" * 64,
}
CURVE = [0.02 * epoch for epoch in range(EPOCHS)]
CLASS_SCORES = [
    {"class": f"C{i}", "positives": 9, "f1": 0.5, "auroc": 0.8, "auprc": 0.4, "threshold": 0.3}
    for i in range(CLASSES)
]
# Further trials like trial 0, with everything that hangs on it: {state} from :first to :last.
MORE = (
    """
    INSERT INTO trials (number, study_id, state, datetime_start, datetime_complete)
    SELECT n, :study, CAST(:state AS trialstate), now(),
        CASE WHEN :state = 'COMPLETE' THEN now() - interval '1 day' + n * interval '1 second' END
    FROM generate_series(CAST(:first AS int), :last) AS n
    """,
    """
    INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)
    SELECT t.trial_id, x.param_name, x.param_value, x.distribution_json {like}
    """,
    """
    INSERT INTO trial_user_attributes (trial_id, key, value_json)
    SELECT t.trial_id, x.key, x.value_json {like}
        AND (:state = 'COMPLETE' OR x.key IN ('role', 'index', 'seed', 'architecture_hash',
             'flops', 'params', 'activations', 'architecture'))
    """,
    """
    INSERT INTO trial_values (trial_id, objective, value, value_type)
    SELECT t.trial_id, 0, x.value, x.value_type {like} AND :state = 'COMPLETE'
    """,
    """
    INSERT INTO trial_intermediate_values
        (trial_id, step, intermediate_value, intermediate_value_type)
    SELECT t.trial_id, x.step, x.intermediate_value, x.intermediate_value_type {like}
        AND :state = 'COMPLETE'
    """,
    """
    INSERT INTO ecgscale_class_scores (trial_id, class, positives, f1, auroc, auprc, threshold)
    SELECT t.trial_id, x.class, x.positives, x.f1, x.auroc, x.auprc, x.threshold {like}
        AND :state = 'COMPLETE'
    """,
)
LIKE = """
FROM {table} x, trials t
WHERE x.trial_id = (SELECT trial_id FROM trials WHERE study_id = :study AND number = 0)
    AND t.study_id = :study AND t.number BETWEEN :first AND :last
"""


@contextmanager
def scratch_database() -> Iterator[tuple[Storage, Store]]:
    """Start a PostgreSQL in a folder of its own, with a tiny store to make studies on."""
    folder = Path(tempfile.mkdtemp(prefix="bench"))
    storage = open_storage(f"embedded:{folder / 'database'}")
    try:
        synthesize(folder / "raw", records=60, seed=1)
        options = PrepareOptions(sample_rate_hz=50, seconds=2.0, band_hz=None)
        yield storage, prepare_store(folder / "raw", folder / "store", options)
    finally:
        storage.engine.dispose()
        assert storage.server is not None
        storage.server.stop()
        shutil.rmtree(folder)


def filled_study(
    name: str, storage: Storage, store: Store, *, complete: int, waiting: int
) -> Study:
    """Make a study with so many complete and waiting trials, all like its first one."""
    values = {"name": name, "sample": {"architectures": 1, "flops": [1e6, 1e7], "bins": 1}}
    study = create_study(StudyDefinition.from_dict(values), store, storage)
    queue = Queue(storage, study.study_id)
    claim = queue.claim(WorkerName("filler", "here", "cpu"))
    assert claim is not None
    assert queue.finish(claim, 0.5, ATTRIBUTES, CURVE, CLASS_SCORES)
    spans = [("COMPLETE", 1, complete - 1), ("WAITING", complete, complete + waiting - 1)]
    with storage.begin() as connection:
        for state, first, last in spans:
            values = {"study": study.study_id, "state": state, "first": first, "last": last}
            for statement in MORE:
                table = statement.split("INTO ")[1].split()[0]
                connection.execute(text(statement.format(like=LIKE.format(table=table))), values)
    with storage.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))
    return study


def write_result(path: Path, result: dict[str, object]) -> None:
    """Keep a result with the machine it was measured on."""
    about = {"machine": "two cores, shared with other work", "python": platform.python_version()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, **result}, indent=2) + "\n", encoding="utf-8")
