"""Measured latency of a study's networks: a cost that FLOPs do not tell, kept beside them."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy import Connection, text

from search.errors import StudyError
from search.study import Study
from search.trials.statements import SET_ATTRIBUTES

# The networks of complete trials, each with what it was measured on so far.
NETWORKS = """
SELECT h.value_json AS hash, min(a.value_json) AS architecture, array_agg(t.trial_id) AS trials,
    bool_and(coalesce(d.value_json = :device, false)) AS measured,
    min(d.value_json) FILTER (WHERE d.value_json <> :device) AS elsewhere
FROM trials t
JOIN trial_user_attributes h ON h.trial_id = t.trial_id AND h.key = 'architecture_hash'
JOIN trial_user_attributes a ON a.trial_id = t.trial_id AND a.key = 'architecture'
LEFT JOIN trial_user_attributes d ON d.trial_id = t.trial_id AND d.key = 'latency_device'
WHERE t.study_id = :study AND t.state = 'COMPLETE'
GROUP BY h.value_json ORDER BY min(t.number)
"""


def measure_latencies(
    study: Study,
    *,
    device: str = "cpu",
    threads: int = 1,
    again: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Measure each network of the complete trials as deployed and keep it; return how many.

    The median of 30 passes of one record, batch norms folded, as attributes `latency_ms` and
    `latency_device` of all trials of the network. Networks measured on this device are skipped, so
    it can go on after an interruption. Raises StudyError if some were measured on another device:
    a column of two machines is no cost; `again` measures all of them here.
    """
    from models import Architecture
    from models.build import build
    from models.fold import fold_batch_norms
    from models.latency import device_label, measure_latency

    label = device_label(device, threads)
    values = {"study": study.study_id, "device": json.dumps(label)}
    with study.storage.connect() as connection:
        rows = connection.execute(text(NETWORKS), values).all()
    elsewhere = next((json.loads(row.elsewhere) for row in rows if row.elsewhere), None)
    if elsewhere is not None and not again:
        raise StudyError(
            f"expected latencies of {study.name} measured on {label}, got some of {elsewhere}: go "
            "on there, or measure all of them here with --again"
        )
    todo = [row for row in rows if again or not row.measured]
    shape = study.shape
    for done, row in enumerate(todo):
        if progress is not None:
            progress(done, len(todo))
        network = build(Architecture.from_json(row.architecture), shape.leads, shape.outputs).eval()
        found = measure_latency(
            fold_batch_norms(network),
            samples=shape.samples,
            leads=shape.leads,
            device=device,
            threads=threads,
            repeats=30,
        )
        with study.storage.begin() as connection:
            _keep(connection, row.trials, {"latency_ms": found.median_ms, "latency_device": label})
    if progress is not None:
        progress(len(todo), len(todo))
    return len(todo)


def _keep(connection: Connection, trials: list[int], values: dict[str, object]) -> None:
    for trial in trials:
        rows = {"trial": trial, "values": json.dumps(values)}
        connection.execute(text(SET_ATTRIBUTES), rows)
