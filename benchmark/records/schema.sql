-- Insert-only. No foreign keys: a row never waits for another. Everything here can be rebuilt from the outcome files.
-- The rows have been read strictly before; the checks keep out what a hand might write, and a file without them is another's.
CREATE TABLE IF NOT EXISTS trial (
    key VARCHAR PRIMARY KEY,
    dataset VARCHAR NOT NULL,
    architecture VARCHAR NOT NULL,
    regularizer VARCHAR NOT NULL,
    "lambda" DOUBLE NOT NULL CHECK ("lambda" >= 0 AND isfinite("lambda")),
    seed INTEGER NOT NULL CHECK (seed >= 0),
    status VARCHAR NOT NULL CHECK (status IN ('finished', 'diverged')),
    iterations BIGINT NOT NULL,
    train_seconds DOUBLE NOT NULL,
    evaluate_seconds DOUBLE NOT NULL,
    spec JSON NOT NULL,
    provenance JSON NOT NULL
);
CREATE TABLE IF NOT EXISTS attempt (  -- every run of a trial, also those that failed
    trial_key VARCHAR NOT NULL,
    started VARCHAR NOT NULL,
    status VARCHAR NOT NULL,
    error VARCHAR,
    provenance JSON NOT NULL,
    PRIMARY KEY (trial_key, started, status)
);
CREATE TABLE IF NOT EXISTS score (
    trial_key VARCHAR NOT NULL,
    threat VARCHAR NOT NULL,
    split VARCHAR NOT NULL CHECK (split IN ('train', 'validation', 'test')),
    metric VARCHAR NOT NULL,
    examples INTEGER NOT NULL,  -- as many as the track asked for
    value DOUBLE NOT NULL,
    n INTEGER NOT NULL,         -- as many as there were
    flags VARCHAR[] NOT NULL,
    CHECK (n BETWEEN 1 AND examples),
    CHECK (value BETWEEN 0 AND 1 OR NOT regexp_matches(metric, '^((robust_)?accuracy|success)(:|$)|:finite$')),
    PRIMARY KEY (trial_key, threat, split, metric, examples)
);
CREATE TABLE IF NOT EXISTS example (  -- one value for each of the first images of the split's fixed order
    trial_key VARCHAR NOT NULL,
    threat VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    examples INTEGER NOT NULL,
    "values" FLOAT[] NOT NULL,
    PRIMARY KEY (trial_key, threat, split, metric, examples)
);
CREATE TABLE IF NOT EXISTS layer (
    trial_key VARCHAR NOT NULL,
    layer VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    metric VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    PRIMARY KEY (trial_key, layer, kind, metric)
);
CREATE TABLE IF NOT EXISTS epoch (
    trial_key VARCHAR NOT NULL,
    phase VARCHAR NOT NULL,
    epoch INTEGER NOT NULL,
    loss DOUBLE NOT NULL,
    penalty DOUBLE NOT NULL,
    accuracy DOUBLE NOT NULL,
    learning_rate DOUBLE NOT NULL,
    PRIMARY KEY (trial_key, phase, epoch)
);
