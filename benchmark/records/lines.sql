-- Files of outcomes, one a line as JSON, into the tables. Fields that an outcome may leave out have their customary values.
CREATE OR REPLACE TEMP TABLE line AS
SELECT * REPLACE (
    json_merge_patch('{"standing": "registered"}'::JSON, coalesce(provenance, '{}'::JSON)) AS provenance,
    coalesce(started, '') AS started
)
FROM read_ndjson($paths, maximum_object_size = 1000000000, columns = {
    key: 'VARCHAR', dataset: 'VARCHAR', architecture: 'VARCHAR', regularizer: 'VARCHAR', 'lambda': 'DOUBLE', seed: 'INTEGER',
    spec: 'JSON', status: 'VARCHAR', error: 'VARCHAR', iterations: 'BIGINT', train_seconds: 'DOUBLE',
    evaluate_seconds: 'DOUBLE', started: 'VARCHAR', provenance: 'JSON',
    epochs: 'STRUCT(phase VARCHAR, epoch INTEGER, loss DOUBLE, penalty DOUBLE, accuracy DOUBLE, learning_rate DOUBLE)[]',
    scores: 'STRUCT(threat VARCHAR, split VARCHAR, metric VARCHAR, value DOUBLE, n INTEGER, examples INTEGER, flags VARCHAR[])[]',
    examples: 'STRUCT(threat VARCHAR, split VARCHAR, metric VARCHAR, examples INTEGER, "values" FLOAT[])[]',
    layers: 'STRUCT(layer VARCHAR, kind VARCHAR, metric VARCHAR, value DOUBLE)[]'
});
INSERT INTO attempt BY NAME SELECT key AS trial_key, started, status, error, provenance FROM line ON CONFLICT DO NOTHING;
DELETE FROM line WHERE status = 'failed';
INSERT INTO trial BY NAME
SELECT key, dataset, architecture, regularizer, "lambda", seed, status, coalesce(iterations, 0) AS iterations,
       coalesce(train_seconds, 0) AS train_seconds, coalesce(evaluate_seconds, 0) AS evaluate_seconds, spec, provenance
FROM line ON CONFLICT DO NOTHING;
INSERT INTO score BY NAME SELECT key AS trial_key, row.* REPLACE (coalesce(row.flags, []) AS flags)
FROM (SELECT key, unnest(scores) AS row FROM line) ON CONFLICT DO NOTHING;
INSERT INTO example BY NAME SELECT key AS trial_key, row.* FROM (SELECT key, unnest(examples) AS row FROM line)
ON CONFLICT DO NOTHING;
INSERT INTO layer BY NAME SELECT key AS trial_key, row.* FROM (SELECT key, unnest(layers) AS row FROM line)
ON CONFLICT DO NOTHING;
INSERT INTO epoch BY NAME SELECT key AS trial_key, row.* FROM (SELECT key, unnest(epochs) AS row FROM line)
ON CONFLICT DO NOTHING;
