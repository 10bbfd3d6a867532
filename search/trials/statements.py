"""The SQL of the queue, on Optuna's tables and our leases.

All clocks are the database's. Rows are locked with SKIP LOCKED, so that workers never wait for
each other and never take the same trial.
"""

from __future__ import annotations

# {candidate} locks at most one trial; the rest makes it RUNNING under a new token. A CTE that
# locks rows is evaluated once, so that exactly its one row is updated.
CLAIM = """
WITH candidate AS ({candidate}),
taken AS (
    UPDATE trials t SET state = 'RUNNING', datetime_complete = NULL,
        datetime_start = timezone('utc', clock_timestamp())
    FROM candidate c WHERE t.trial_id = c.trial_id
    RETURNING t.trial_id, t.number
),
lease AS (
    INSERT INTO ecgscale_leases AS l
        (trial_id, token, worker, host, device, claimed_at, heartbeat_at, lease_seconds)
    SELECT trial_id, :token, :worker, :host, :device, clock_timestamp(), clock_timestamp(), :lease
    FROM taken
    ON CONFLICT (trial_id) DO UPDATE SET
        token = excluded.token, worker = excluded.worker, host = excluded.host,
        device = excluded.device, claimed_at = excluded.claimed_at,
        heartbeat_at = excluded.heartbeat_at, lease_seconds = excluded.lease_seconds,
        claims = l.claims + 1, losses = l.losses + {lost}
    RETURNING trial_id, claims, losses
)
SELECT taken.trial_id, taken.number, lease.claims, lease.losses,
    (SELECT value_json FROM trial_user_attributes a
     WHERE a.trial_id = taken.trial_id AND key = 'role') AS role,
    (SELECT value_json FROM trial_user_attributes a
     WHERE a.trial_id = taken.trial_id AND key = 'seed') AS seed,
    (SELECT value_json FROM trial_user_attributes a
     WHERE a.trial_id = taken.trial_id AND key = 'architecture') AS architecture,
    (SELECT value_json FROM trial_user_attributes a
     WHERE a.trial_id = taken.trial_id AND key = 'recipe') AS recipe,
    (SELECT value_json::int FROM trial_user_attributes a
     WHERE a.trial_id = taken.trial_id AND key = 'halving') AS halving
FROM taken JOIN lease USING (trial_id)
"""

# Confirmations come first: who plans one before all is sampled is waiting for it.
CLAIM_FRESH = CLAIM.format(
    lost=0,
    candidate="""
    SELECT t.trial_id FROM trials t
    WHERE t.study_id = :study AND t.state = 'WAITING' AND NOT EXISTS (
        SELECT 1 FROM ecgscale_leases e WHERE e.trial_id = t.trial_id AND e.errors + e.faults > 0)
    ORDER BY NOT EXISTS (
        SELECT 1 FROM trial_user_attributes a
        WHERE a.trial_id = t.trial_id AND a.key = 'role' AND a.value_json = '"confirm"'), t.number
    LIMIT 1 FOR UPDATE OF t SKIP LOCKED""",
)

# Trials that ended in an error or a fault come last: one bad trial does not stop the others.
CLAIM_ERRED = CLAIM.format(
    lost=0,
    candidate="""
    SELECT t.trial_id FROM trials t JOIN ecgscale_leases e USING (trial_id)
    WHERE t.study_id = :study AND t.state = 'WAITING' AND e.errors + e.faults > 0
    ORDER BY e.errors + e.faults, t.number LIMIT 1 FOR UPDATE OF t SKIP LOCKED""",
)

# A lease is stale when its worker was silent for its length. After a restart of the database
# everybody gets half of it to be heard again, no more: one that restarts often would keep the
# trials of dead workers for ever. Both rows are locked, so that both are looked at again if they
# changed in the meantime.
CLAIM_STALE = CLAIM.format(
    lost=1,
    candidate="""
    SELECT t.trial_id FROM trials t JOIN ecgscale_leases e USING (trial_id)
    WHERE t.study_id = :study AND t.state = 'RUNNING'
        AND e.heartbeat_at < clock_timestamp() - make_interval(secs => e.lease_seconds)
        AND pg_postmaster_start_time()
            < clock_timestamp() - make_interval(secs => e.lease_seconds / 2)
    ORDER BY e.heartbeat_at LIMIT 1 FOR UPDATE OF t, e SKIP LOCKED""",
)

# Another program's copy of a study has trials that run under no lease. The time of the start is
# looked at again when the row was taken in the meantime; that of the lease would not be.
CLAIM_UNLEASED = CLAIM.format(
    lost=0,
    candidate="""
    SELECT t.trial_id FROM trials t
    WHERE t.study_id = :study AND t.state = 'RUNNING'
        AND NOT EXISTS (SELECT 1 FROM ecgscale_leases e WHERE e.trial_id = t.trial_id)
        AND coalesce(t.datetime_start, '-infinity')
            < timezone('utc', clock_timestamp()) - make_interval(secs => :lease)
    ORDER BY t.number LIMIT 1 FOR UPDATE OF t SKIP LOCKED""",
)

# In this order.
CLAIMS = (CLAIM_FRESH, CLAIM_ERRED, CLAIM_STALE, CLAIM_UNLEASED)

HEARTBEAT = """
UPDATE ecgscale_leases SET heartbeat_at = clock_timestamp()
WHERE trial_id = :trial AND token = :token
"""

HOLDS = "SELECT 1 FROM ecgscale_leases WHERE trial_id = :trial AND token = :token"

REPORT = """
WITH ours AS (
    UPDATE ecgscale_leases SET heartbeat_at = clock_timestamp()
    WHERE trial_id = :trial AND token = :token RETURNING trial_id
)
INSERT INTO trial_intermediate_values
    (trial_id, step, intermediate_value, intermediate_value_type)
SELECT trial_id, :step, CAST(:value AS float8), CAST(:type AS trialintermediatevaluetype) FROM ours
ON CONFLICT (trial_id, step) DO UPDATE SET
    intermediate_value = excluded.intermediate_value,
    intermediate_value_type = excluded.intermediate_value_type
"""

HOLD = """
SELECT t.state::text FROM trials t JOIN ecgscale_leases e USING (trial_id)
WHERE trial_id = :trial AND e.token = :token FOR UPDATE OF t, e
"""

ADD_VALUE = """
INSERT INTO trial_values (trial_id, objective, value, value_type)
VALUES (:trial, 0, :value, 'FINITE')
"""

DELETE_CURVE = "DELETE FROM trial_intermediate_values WHERE trial_id = :trial"

ADD_CURVE = """
INSERT INTO trial_intermediate_values
    (trial_id, step, intermediate_value, intermediate_value_type)
SELECT :trial, step, value, type::trialintermediatevaluetype
FROM json_to_recordset(CAST(:rows AS json)) AS c(step int, value float8, type text)
"""

ADD_CLASS_SCORES = """
INSERT INTO ecgscale_class_scores (trial_id, class, positives, f1, auroc, auprc, threshold)
SELECT :trial, class, positives, f1, auroc, auprc, threshold
FROM json_to_recordset(CAST(:rows AS json)) AS c(
    class text, positives int, f1 float8, auroc float8, auprc float8, threshold float8)
"""

# The test records of a study are written with its first confirmation; the store's hash in the
# study says that they are the same for all.
ADD_TEST_RECORDS = """
INSERT INTO ecgscale_test_records (study_id, labels, patients, sources)
VALUES (:study, :labels, :patients, :sources) ON CONFLICT (study_id) DO NOTHING
"""

ADD_TEST_OUTPUTS = "INSERT INTO ecgscale_test_outputs (trial_id, outputs) VALUES (:trial, :outputs)"

SET_ATTRIBUTES = """
INSERT INTO trial_user_attributes (trial_id, key, value_json)
SELECT :trial, key, value::text FROM json_each(CAST(:values AS json))
ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json
"""

END = """
UPDATE trials SET state = CAST(:state AS trialstate),
    datetime_complete = timezone('utc', clock_timestamp())
WHERE trial_id = :trial
"""

RELEASE = "UPDATE trials SET state = 'WAITING', datetime_start = NULL WHERE trial_id = :trial"

COUNT_HAND_BACK = "UPDATE ecgscale_leases SET hand_backs = hand_backs + 1 WHERE trial_id = :trial"

COUNT_ERROR = """
UPDATE ecgscale_leases SET errors = errors + 1, last_error = :reason
WHERE trial_id = :trial RETURNING errors
"""

COUNT_FAULT = """
UPDATE ecgscale_leases SET faults = faults + 1, last_error = :reason
WHERE trial_id = :trial RETURNING faults
"""

REMAINING = """
SELECT count(*) FILTER (WHERE state = 'WAITING') AS waiting,
    count(*) FILTER (WHERE state = 'RUNNING') AS running,
    EXISTS (SELECT 1 FROM studies WHERE study_id = :study) AS there
FROM trials WHERE study_id = :study AND state IN ('WAITING', 'RUNNING')
"""

# What failed before stays on record; counts begin anew.
RETRY = """
WITH again AS (
    SELECT t.trial_id, t.number, t.datetime_complete,
        (SELECT value_json FROM trial_user_attributes a
         WHERE a.trial_id = t.trial_id AND key = 'failure') AS failure,
        (SELECT value_json FROM trial_user_attributes a
         WHERE a.trial_id = t.trial_id AND key = 'earlier_failures') AS earlier
    FROM trials t WHERE t.study_id = :study AND t.state = 'FAIL'
        AND (CAST(:number AS int) IS NULL OR t.number = :number)
    FOR UPDATE
),
recorded AS (
    INSERT INTO trial_user_attributes (trial_id, key, value_json)
    SELECT trial_id, 'earlier_failures', (coalesce(earlier, '[]')::jsonb || jsonb_build_object(
        'failure', coalesce(failure, 'null')::jsonb,
        'finished', datetime_complete, 'retried', timezone('utc', clock_timestamp())))::text
    FROM again
    ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json
),
cleared AS (
    DELETE FROM trial_user_attributes a USING again
    WHERE a.trial_id = again.trial_id AND a.key = 'failure'
),
uncounted AS (
    UPDATE ecgscale_leases l SET errors = 0, faults = 0, losses = 0 FROM again
    WHERE l.trial_id = again.trial_id
),
curves AS (
    DELETE FROM trial_intermediate_values i USING again WHERE i.trial_id = again.trial_id
)
UPDATE trials t SET state = 'WAITING', datetime_start = NULL, datetime_complete = NULL
FROM again WHERE t.trial_id = again.trial_id RETURNING t.number
"""
