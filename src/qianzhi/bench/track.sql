-- name: clear_gateway
-- Forget the visits at the gateway, and keep what its parents' lanes know.
CREATE TEMP TABLE kept AS
    SELECT key_states.* FROM qianzhi.key_states JOIN qianzhi.lanes USING (lane_id) WHERE dataset <> 'treatment_record';
TRUNCATE qianzhi.key_states, qianzhi.arrived, qianzhi.held, qianzhi.findings, qianzhi.outcomes, qianzhi.attempts,
    qianzhi.handovers, qianzhi.deliveries,
    qianzhi.receipts, qianzhi.batches, guangdong.treatment_record;
INSERT INTO qianzhi.key_states SELECT * FROM kept;
DROP TABLE kept;
ANALYZE qianzhi.key_states

-- name: clear_hub
-- Forget the visits at the hub, and keep what it knows of their parents.
CREATE TEMP TABLE kept AS
    SELECT key_states.* FROM qianzhi.key_states JOIN qianzhi.dataset_numbers USING (dataset_number)
    WHERE dataset <> 'treatment_record';
TRUNCATE qianzhi.key_states, qianzhi.findings, guangdong.treatment_record;
DELETE FROM qianzhi.batches WHERE dataset = 'treatment_record';
INSERT INTO qianzhi.key_states SELECT * FROM kept;
DROP TABLE kept;
ANALYZE qianzhi.key_states

-- name: open_lane
-- Let new visits wait for one destination only, as at a hospital that has one.
UPDATE qianzhi.lanes
SET mode = CASE WHEN name = %(destination)s THEN 'nightly' ELSE 'off' END::qianzhi.lane_mode
FROM qianzhi.destinations
WHERE lanes.destination_id = destinations.destination_id AND dataset = 'treatment_record'

-- name: age_staging
-- Mark the staged rows as committed for good, as autovacuum does within a minute: else whoever reads them first, the
-- floor, would do it on behalf of whoever reads them next.
VACUUM guangdong.treatment_record

-- name: prepare_floor
-- The table that the floor copies into: the columns of the staging table, and nothing that costs time.
DROP TABLE IF EXISTS floor;
CREATE TABLE floor (LIKE guangdong.treatment_record)

-- name: count_floor
-- How many rows the floor copied.
SELECT count(*) FROM floor

-- name: drop_floor
-- Give the room back before the pipeline runs.
DROP TABLE floor

-- name: count_stored
-- How many visits the hub has stored.
SELECT count(*) FROM guangdong.treatment_record

-- name: checkpoint
-- Let the server write what it owes, so that one measurement does not pay for another.
CHECKPOINT
