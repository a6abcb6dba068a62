-- Outcomes into the tables: `told` and `scores` a line each, `lists` a line a trial (lists.SCHEMA).
INSERT INTO attempt BY NAME SELECT key AS trial_key, started, status, error, provenance FROM told ON CONFLICT DO NOTHING;
INSERT INTO trial BY NAME
SELECT key, dataset, architecture, regularizer, "lambda", seed, status, iterations, train_seconds, evaluate_seconds,
       spec, provenance
FROM told WHERE status != 'failed' ON CONFLICT DO NOTHING;
INSERT INTO score BY NAME SELECT * FROM scores ON CONFLICT DO NOTHING;
INSERT INTO example BY NAME
SELECT key AS trial_key, row.* EXCLUDE (whole, "real"), coalesce(row."real", row.whole::FLOAT[]) AS "values"
FROM (SELECT key, unnest(examples) AS row FROM lists) ON CONFLICT DO NOTHING;
INSERT INTO layer BY NAME SELECT key AS trial_key, row.* FROM (SELECT key, unnest(layers) AS row FROM lists)
ON CONFLICT DO NOTHING;
INSERT INTO epoch BY NAME SELECT key AS trial_key, row.* FROM (SELECT key, unnest(epochs) AS row FROM lists)
ON CONFLICT DO NOTHING;
