-- name: number_dataset
-- Give a dataset its short number, once.
INSERT INTO qianzhi.dataset_numbers (regulator, dataset)
VALUES (%(regulator)s, %(dataset)s)
ON CONFLICT (regulator, dataset) DO NOTHING;

-- name: dataset_numbers
-- The short number of every dataset.
SELECT regulator, dataset, dataset_number FROM qianzhi.dataset_numbers;

-- name: create_index
-- Finds the rows of a batch, and a submitted row within some milliseconds. The rows of a batch lie next to each other
-- in the order of their ids, so that ranges of blocks tell as much as an entry a row would, at no cost a row.
CREATE INDEX IF NOT EXISTS {index} ON {table} USING brin (batch_seq, row_id) WITH (pages_per_range = 16);

-- name: create_partition
-- The rows received within one month.
CREATE TABLE IF NOT EXISTS {partition} PARTITION OF {table} FOR VALUES FROM ({first}) TO ({after});

-- name: drop_view
-- The current view names its columns once; it is made anew where an edition added some.
DROP VIEW IF EXISTS {view};

-- name: create_view
-- The current view: of every live key the row that was accepted last.
CREATE VIEW {view} AS
SELECT i.code AS institution, s.batch_seq, s.row_id, s.received_on, {columns}
FROM qianzhi.key_states AS k
JOIN {table} AS s ON s.batch_seq = k.batch_seq AND s.row_id = k.row_id
JOIN qianzhi.institutions AS i ON i.institution_id = k.institution_id
WHERE k.dataset_number = {number} AND k.live;
