-- What a regulator's sender may read of the ledger. Words in braces are put in quoted.

-- name: lock_texts
-- Let two installations at once fill the sentences one after the other.
LOCK TABLE qianzhi.finding_texts IN SHARE ROW EXCLUSIVE MODE

-- name: forget_texts
-- Forget the sentences of an edition before those of the present one are filled in.
DELETE FROM qianzhi.finding_texts WHERE regulator = %(regulator)s

-- name: drop_view
-- A view is made anew: REPLACE would refuse another column.
DROP VIEW IF EXISTS {view}

-- name: create_row_states
-- One branch a dataset, so that `dataset = …` leaves one of them, and `id …` is looked up in its primary key. The
-- union stands in a query of its own: PostgreSQL flattens one at the top of a view, and with it falls the barrier.
CREATE VIEW {view} WITH (security_barrier) AS
SELECT * FROM (
{branches}
) AS staged_rows

-- name: row_states_branch
-- Where each staged row of a dataset is, for each destination of the regulator. The ledger's own order decides where
-- two of its tables name a row: what waits was let go, and what was rejected is a member of a settled batch.
SELECT {dataset}::text AS dataset, staged.id, {key} AS key, destinations.name AS destination, place.state,
    CASE place.state {words} ELSE place.state
    END AS state_zh,
    place.state_at, place.wants, place.batch_id
FROM {table} AS staged
CROSS JOIN (qianzhi.lanes JOIN qianzhi.destinations USING (destination_id))
CROSS JOIN LATERAL (
    SELECT 1 AS turn, 'waiting' AS state, arrived_at AS state_at, NULL::text AS wants, NULL::uuid AS batch_id
    FROM qianzhi.arrived WHERE arrived.lane_id = lanes.lane_id AND arrived.row_id = staged.id
    UNION ALL
    SELECT 2, 'held', held_at, held.wants, NULL
    FROM qianzhi.held WHERE held.lane_id = lanes.lane_id AND held.row_id = staged.id
    UNION ALL
    SELECT 3, outcome::text, outcomes.settled_at, NULL, outcomes.batch_id
    FROM qianzhi.outcomes WHERE outcomes.lane_id = lanes.lane_id AND outcomes.row_id = staged.id
    UNION ALL
    SELECT 4,
        CASE WHEN batches.state = 'sealed' THEN 'under_way' WHEN batches.state = 'settled' OR deliveries.accepted
            THEN 'accepted' ELSE batches.state::text END,
        coalesce(deliveries.answered_at, batches.settled_at, batches.delivered_at, sealed_at), NULL, batches.batch_id
    FROM qianzhi.batches
    LEFT JOIN qianzhi.deliveries ON deliveries.lane_id = batches.lane_id AND deliveries.row_id = staged.id
    WHERE batches.row_ids @> staged.id AND batches.lane_id = lanes.lane_id
      AND batches.state NOT IN ('split', 'refused')
    UNION ALL
    SELECT 5, 'not_taken', NULL, NULL, NULL
    ORDER BY turn
    LIMIT 1
) AS place
WHERE lanes.regulator = {regulator} AND lanes.dataset = {dataset}

-- name: create_findings
-- The findings of a regulator's rows, and what its held rows wait for, in the catalogue's words. A finding that no
-- edition foresees is explained by itself, as the catalogue does it. As to the outer query, see above.
CREATE VIEW {view} WITH (security_barrier) AS
SELECT * FROM (
SELECT found.finding_id, destinations.name AS destination, lanes.dataset, found.row_id AS id, found.code, found.class,
    found.field, found.value,
    coalesce(texts.reason_zh, concat_ws(' ', found.field, '不符合规则', found.code))
        || CASE WHEN coalesce(texts.why, '') = '' AND found.detail <> '' THEN '（' || found.detail || '）' ELSE '' END
        AS reason,
    coalesce(texts.remedy_zh, '查阅监管平台关于 ' || found.code || ' 的说明。') AS remedy,
    found.severity, found.origin::text AS origin, found.found_at, found.closed_at, found.batch_id
FROM qianzhi.findings AS found
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
LEFT JOIN LATERAL (
    SELECT reason_zh, remedy_zh, why
    FROM qianzhi.finding_texts AS said
    WHERE said.regulator = lanes.regulator AND said.dataset = lanes.dataset AND said.code = found.code
      AND said.class = found.class AND said.field = coalesce(found.field, '') AND said.why IN ('', found.detail)
    ORDER BY said.why DESC
    LIMIT 1
) AS texts ON true
WHERE lanes.regulator = {regulator}
UNION ALL
SELECT NULL, destinations.name, lanes.dataset, held.row_id, held.code, 'E06', held.field, held.value,
    coalesce(texts.reason_zh, concat_ws(' ', held.field, '不符合规则', held.code)) || '（' || held.wants || '）',
    {held_remedy},
    'error', 'gateway', held.held_at, NULL, NULL
FROM qianzhi.held
JOIN qianzhi.lanes USING (lane_id)
JOIN qianzhi.destinations USING (destination_id)
LEFT JOIN qianzhi.finding_texts AS texts
    ON texts.regulator = lanes.regulator AND texts.dataset = lanes.dataset AND texts.code = held.code
    AND texts.class = 'E06' AND texts.field = held.field AND texts.why = ''
WHERE lanes.regulator = {regulator}
) AS every_finding

-- name: comment_on_view
-- What a view holds.
COMMENT ON VIEW {subject} IS {remark}

-- name: comment_on_column
-- What a column of a view means.
COMMENT ON COLUMN {subject} IS {remark}

-- name: index_key
-- The field of a key that tells most has an index, so that the versions of a record are found among all rows.
CREATE INDEX IF NOT EXISTS {index} ON {table} (btrim({column}))
