"""One precision per study: settled by its first worker, held by all others.

Networks trained in bf16 and in fp32 score a little differently. Were each worker to take what its
own processor does best, the hardware would be a hidden factor of the results.
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, text

from search.errors import StudyError
from search.study import Study, read_attribute

KEY = "precision"
# What trials from before studies settled one call it: torch's dtypes.
OLD_NAMES = {"float32": "fp32", "bfloat16": "bf16"}

# A study of before may have both: most of its trials decide.
MOST_USED = """
SELECT a.value_json::json #>> '{}' FROM trials t JOIN trial_user_attributes a USING (trial_id)
WHERE t.study_id = :study AND t.state = 'COMPLETE' AND a.key = 'precision'
GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
"""
SETTLE = """
INSERT INTO study_user_attributes (study_id, key, value_json) VALUES (:study, :key, :value)
ON CONFLICT (study_id, key) DO NOTHING
"""


def read_precision(connection: Connection, study: Study) -> str | None:
    """Return the precision that a study trains in: "fp32", "bf16", or None if not settled yet."""
    wanted = study.definition.recipe.precision
    if wanted != "auto":
        return wanted
    stored = read_attribute(connection, study.study_id, KEY)
    if stored is not None:
        return str(json.loads(stored))
    used = connection.scalar(text(MOST_USED), {"study": study.study_id})
    return None if used is None else str(OLD_NAMES.get(used, used))


def settle_precision(study: Study, fast: str, device: str, *, emulate: bool = False) -> str:
    """Return the study's precision; where it has none yet, `fast` becomes it, for all workers.

    `fast` is the precision in which this worker's device is fastest; of several first workers one
    decides. Raises StudyError if the device only emulates the study's, unless told to `emulate`.
    """
    with study.storage.begin() as connection:
        settled = read_attribute(connection, study.study_id, KEY) is not None
        if study.definition.recipe.precision == "auto" and not settled:
            proposed = read_precision(connection, study) or fast
            values = {"study": study.study_id, "key": KEY, "value": json.dumps(proposed)}
            connection.execute(text(SETTLE), values)  # waits for whoever settles it just now
        precision = read_precision(connection, study)
    assert precision is not None
    if precision == "bf16" and fast != "bf16" and not emulate:
        raise StudyError(
            f"expected a device with instructions for bf16, in which study {study.name} trains, "
            f"got {device}, which can only emulate it, many times slower: start the worker on "
            "another machine, or give --emulate"
        )
    return precision
