-- name: fill
-- Findings as nights leave them: a tenth of the kinds that the edition can make, few of them often and many seldom;
-- most of the records are visits and what belongs to them; of the older ones more are closed.
INSERT INTO qianzhi.findings
    (lane_id, row_id, key_hash, key_check, origin, code, class, field, value, detail, severity, found_at, closed_at)
WITH kinds AS MATERIALIZED (
    SELECT lane_id, code, class, nullif(field, '') AS field, row_number() OVER (PARTITION BY lane_id ORDER BY
        hashtext(code || field)) - 1 AS place, count(*) OVER (PARTITION BY lane_id) AS many
    FROM qianzhi.lanes JOIN qianzhi.finding_texts USING (regulator, dataset)
    WHERE why = '' AND hashtext(code || class || field) %% 10 = 0
),
shares AS (
    SELECT lane_id, dataset, CASE dataset WHEN 'treatment_record' THEN 40 WHEN 'treatment_order' THEN 25
        WHEN 'treatment_diagnose' THEN 20 WHEN 'person' THEN 8 ELSE 1 END AS share
    FROM qianzhi.lanes
),
drawn AS MATERIALIZED (
    SELECT n, random() AS of_lane, random() AS of_kind, random() AS is_late, random() AS of_value,
        %(until)s::timestamptz - (%(days)s - 1 - (n * %(days)s::bigint / %(rows)s)) * interval '1 day' AS night
    FROM generate_series(0, %(rows)s - 1) AS n
),
placed AS MATERIALIZED (
    SELECT lane_id, (SELECT many FROM kinds WHERE kinds.lane_id = shares.lane_id LIMIT 1) AS many,
        sum(share) OVER (ORDER BY lane_id) - share AS first, sum(share) OVER (ORDER BY lane_id) AS behind,
        sum(share) OVER () AS whole
    FROM shares
)
SELECT placed.lane_id, 1 + n, hashint8extended(n, 1), hashint8extended(n, 2),
    CASE WHEN of_value < 0.1 THEN 'hub' ELSE 'gateway' END::qianzhi.finding_origin, code, class, field,
    'value ' || (of_value * 100000)::integer, NULL, CASE WHEN class < 'E06' THEN 'error' ELSE 'warning' END,
    night + n %% 3600 * interval '1 second',
    CASE WHEN is_late < 0.6 * (1 - n / %(rows)s::double precision) THEN night + interval '2 days' END
FROM drawn
JOIN placed ON of_lane * whole >= first AND of_lane * whole < behind
JOIN kinds ON kinds.lane_id = placed.lane_id AND kinds.place = floor(power(of_kind, 3) * placed.many)::bigint
ORDER BY n

-- name: settle_down
-- What autovacuum does within minutes of a night.
VACUUM ANALYZE qianzhi.findings, qianzhi.finding_counts

-- name: seldom
-- A code that few findings have, and one that many have, with their numbers.
SELECT code, sum(total_count)::bigint FROM qianzhi.finding_counts GROUP BY code ORDER BY 2, 1

-- name: middle
-- A row in the middle of all.
SELECT row_id FROM qianzhi.findings ORDER BY finding_id OFFSET %(rows)s / 2 LIMIT 1
