-- Certificates that an attack refutes, as scores: the share of their images that are certified and that one attack broke
-- within the certified ball. An ℓ∞ ball holds the ℓ2 ball of its radius. Exported distances are rounded, so a nearest
-- adversarial image counts from a thousandth within the radius.
WITH proof AS (
    SELECT trial_key, threat, split, examples, "values" AS proven,
           regexp_extract(threat, '^certified-(inf|2)-(.+)$', ['norm', 'epsilon']) AS ball
    FROM example WHERE metric = 'certified' AND list_contains($keys, trial_key)
), attacked AS (
    SELECT trial_key, split, "values" AS found, metric = 'distance' AS is_minimal, threat = 'clean' AS is_clean,
           regexp_extract(threat, '^[a-z_]+-(inf|2)(?:-(\d[\d.]*(?:e-?\d+)?))?(?:-|$)', ['norm', 'epsilon']) AS ball
    FROM example SEMI JOIN proof USING (trial_key) WHERE metric IN ('correct', 'distance')
), pair AS (
    SELECT trial_key, threat, proof.split, examples, is_minimal, proof.ball.epsilon::DOUBLE AS epsilon,
           list_zip(proven, found, true) AS images
    FROM proof JOIN attacked USING (trial_key)
    WHERE proof.split = attacked.split
      AND (is_clean OR (
          (attacked.ball.norm = proof.ball.norm OR (proof.ball.norm, attacked.ball.norm) = ('inf', '2'))
          AND (is_minimal OR TRY_CAST(attacked.ball.epsilon AS DOUBLE) <= proof.ball.epsilon::DOUBLE)
      ))
), refuted AS (
    SELECT trial_key, threat, split, examples, len(images) AS n,
           len(list_filter(images, lambda image:
               image[1] > 0 AND (CASE WHEN is_minimal THEN image[2] < 0.999 * epsilon ELSE image[2] = 0 END)
           )) / len(images) AS value
    FROM pair
)
SELECT t.key, t.dataset, t.architecture, t.regularizer, t."lambda", t.seed, t.status, threat, split,
       'certified_and_broken' AS metric, examples, max(value) AS value, max(n)::INTEGER AS n,
       ['certified_and_broken'] AS flags
FROM refuted JOIN trial t ON t.key = trial_key WHERE value > 0 GROUP BY ALL
