-- name: fold_findings
-- Add up what was counted of findings. What others count meanwhile is not seen, and stays as it is.
WITH gone AS (
    DELETE FROM qianzhi.finding_counts
    RETURNING lane_id, found_on, code, class, field, severity, origin, total_count, open_count
)
INSERT INTO qianzhi.finding_counts
SELECT lane_id, found_on, code, class, field, severity, origin, sum(total_count), sum(open_count)
FROM gone
GROUP BY 1, 2, 3, 4, 5, 6, 7
HAVING sum(total_count) <> 0 OR sum(open_count) <> 0

-- name: fold_staged
-- Add up what was counted of staged rows.
WITH gone AS (DELETE FROM qianzhi.staged_counts RETURNING regulator, dataset, staged_on, row_count)
INSERT INTO qianzhi.staged_counts
SELECT regulator, dataset, staged_on, sum(row_count) FROM gone GROUP BY 1, 2, 3
