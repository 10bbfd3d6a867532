CREATE TABLE IF NOT EXISTS ecgscale_test_records (
    study_id integer PRIMARY KEY REFERENCES studies ON DELETE CASCADE,
    labels text NOT NULL,
    patients text NOT NULL,
    sources text NOT NULL
);
CREATE TABLE IF NOT EXISTS ecgscale_test_outputs (
    trial_id integer PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
    outputs text NOT NULL
);
UPDATE ecgscale_schema SET version = 2 WHERE version < 2;
