CREATE TABLE IF NOT EXISTS ecgscale_schema (version integer NOT NULL);
CREATE TABLE IF NOT EXISTS ecgscale_leases (
    trial_id integer PRIMARY KEY REFERENCES trials ON DELETE CASCADE,
    token text NOT NULL,
    worker text NOT NULL,
    host text NOT NULL,
    device text NOT NULL,
    claimed_at timestamptz NOT NULL,
    heartbeat_at timestamptz NOT NULL,
    claims integer NOT NULL DEFAULT 1,
    hand_backs integer NOT NULL DEFAULT 0,
    losses integer NOT NULL DEFAULT 0,
    errors integer NOT NULL DEFAULT 0,
    last_error text
);
CREATE TABLE IF NOT EXISTS ecgscale_class_scores (
    trial_id integer NOT NULL REFERENCES trials ON DELETE CASCADE,
    class text NOT NULL,
    positives integer,
    f1 double precision,
    auroc double precision,
    auprc double precision,
    threshold double precision,
    PRIMARY KEY (trial_id, class)
);
CREATE INDEX IF NOT EXISTS ecgscale_waiting ON trials (study_id, number) WHERE state = 'WAITING';
CREATE INDEX IF NOT EXISTS ecgscale_running ON trials (study_id, number) WHERE state = 'RUNNING';
CREATE INDEX IF NOT EXISTS ecgscale_erred ON ecgscale_leases (trial_id) WHERE errors > 0;
INSERT INTO ecgscale_schema SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ecgscale_schema);
