-- What people ask about rows and findings: texts in SQL, counts kept as rows come, and the indexes that answer.

CREATE TABLE qianzhi.finding_texts (
    regulator text NOT NULL,
    dataset text NOT NULL,
    code text NOT NULL,
    class text NOT NULL,
    field text NOT NULL,
    why text NOT NULL DEFAULT '',
    reason_zh text NOT NULL,
    reason_en text NOT NULL,
    remedy_zh text NOT NULL,
    remedy_en text NOT NULL,
    PRIMARY KEY (regulator, dataset, code, class, field, why)
);
COMMENT ON TABLE qianzhi.finding_texts IS
    'The catalogue''s sentences of every finding that an edition can make, filled by gateway init, so that a view can '
    'say them.';
COMMENT ON COLUMN qianzhi.finding_texts.field IS 'Empty where a finding blames no field.';
COMMENT ON COLUMN qianzhi.finding_texts.why IS
    'Which detail of a finding these sentences have taken in already; empty for all the others, where a detail stands '
    'in brackets behind the reason.';

-- Findings

ALTER TABLE qianzhi.findings ADD COLUMN closed_at timestamptz;
COMMENT ON COLUMN qianzhi.findings.closed_at IS
    'Since when key_states has a later row of the record. Null: open. The only column that changes; triggers of '
    'key_states write it.';
UPDATE qianzhi.findings AS f SET closed_at = now()
FROM qianzhi.key_states AS k
WHERE k.lane_id = f.lane_id AND k.key_hash = f.key_hash AND k.key_check = f.key_check AND k.row_id > f.row_id;

-- Looking each finding's lane up cost more than all that is added here; lanes are never deleted.
ALTER TABLE qianzhi.findings DROP CONSTRAINT findings_lane_id_fkey;
COMMENT ON COLUMN qianzhi.findings.lane_id IS 'Of lanes, like every lane_id; not checked by a foreign key any more.';

-- Newest first is how they are read; two of one instant need an order, or a page could lose one.
CREATE INDEX findings_newest ON qianzhi.findings (found_at, finding_id);
DROP INDEX qianzhi.findings_time;
-- What is chosen is either frequent, then it is met soon when walking back in time; or seldom, then its kinds are few.
CREATE INDEX findings_kind ON qianzhi.findings (lane_id, code, (coalesce(field, '')));
CREATE INDEX findings_key ON qianzhi.findings (key_hash);
CREATE INDEX held_time ON qianzhi.held (held_at);

CREATE TABLE qianzhi.finding_counts (
    lane_id smallint NOT NULL,
    found_on date NOT NULL,
    code text NOT NULL,
    class text NOT NULL,
    field text,
    severity text NOT NULL,
    origin qianzhi.finding_origin NOT NULL,
    total_count bigint NOT NULL,
    open_count bigint NOT NULL
);
COMMENT ON TABLE qianzhi.finding_counts IS
    'How many findings there are of a kind and day. Every writing of findings adds rows, sums are what counts: so two '
    'writers never wait for each other. Folded at night.';
COMMENT ON COLUMN qianzhi.finding_counts.found_on IS 'The day in Asia/Shanghai.';
INSERT INTO qianzhi.finding_counts
SELECT lane_id, (found_at AT TIME ZONE 'Asia/Shanghai')::date, code, class, field, severity, origin, count(*),
    count(*) FILTER (WHERE closed_at IS NULL)
FROM qianzhi.findings
GROUP BY 1, 2, 3, 4, 5, 6, 7;

CREATE FUNCTION qianzhi.count_new_findings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO qianzhi.finding_counts
    SELECT lane_id, (found_at AT TIME ZONE 'Asia/Shanghai')::date, code, class, field, severity, origin, count(*),
        count(*) FILTER (WHERE closed_at IS NULL)
    FROM new_findings
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
    RETURN NULL;
END $body$;

CREATE FUNCTION qianzhi.count_changed_findings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    INSERT INTO qianzhi.finding_counts
    SELECT lane_id, (found_at AT TIME ZONE 'Asia/Shanghai')::date, code, class, field, severity, origin, sum(one),
        coalesce(sum(one) FILTER (WHERE closed_at IS NULL), 0)
    FROM (SELECT *, 1 AS one FROM new_findings UNION ALL SELECT *, -1 FROM old_findings) AS changed
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
    RETURN NULL;
END $body$;

CREATE FUNCTION qianzhi.count_gone_findings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE qianzhi.finding_counts;
        RETURN NULL;
    END IF;
    INSERT INTO qianzhi.finding_counts
    SELECT lane_id, (found_at AT TIME ZONE 'Asia/Shanghai')::date, code, class, field, severity, origin, -count(*),
        -count(*) FILTER (WHERE closed_at IS NULL)
    FROM old_findings
    GROUP BY 1, 2, 3, 4, 5, 6, 7;
    RETURN NULL;
END $body$;

CREATE TRIGGER count_new AFTER INSERT ON qianzhi.findings
REFERENCING NEW TABLE AS new_findings FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.count_new_findings();
CREATE TRIGGER count_changed AFTER UPDATE ON qianzhi.findings
REFERENCING OLD TABLE AS old_findings NEW TABLE AS new_findings
FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.count_changed_findings();
CREATE TRIGGER count_gone AFTER DELETE ON qianzhi.findings
REFERENCING OLD TABLE AS old_findings FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.count_gone_findings();
CREATE TRIGGER count_none AFTER TRUNCATE ON qianzhi.findings
FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.count_gone_findings();

-- Whoever settles, the findings of the record close with it. One way is open to the planner, each key through
-- findings_key: a session plans this once, without statistics of what arrived a minute ago, and every other way would
-- take minutes for a batch.
CREATE FUNCTION qianzhi.close_findings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $body$
BEGIN
    UPDATE qianzhi.findings SET closed_at = now()
    WHERE finding_id = ANY (ARRAY(
        SELECT known.finding_id
        FROM settled
        CROSS JOIN LATERAL (
            SELECT f.finding_id FROM qianzhi.findings AS f
            WHERE f.key_hash = settled.key_hash AND f.lane_id + 0 = settled.lane_id
              AND f.key_check = settled.key_check AND f.row_id + 0 < settled.row_id AND f.closed_at IS NULL
            OFFSET 0
        ) AS known));
    RETURN NULL;
END $body$;

CREATE TRIGGER close_findings AFTER INSERT ON qianzhi.key_states
REFERENCING NEW TABLE AS settled FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.close_findings();
CREATE TRIGGER close_findings_again AFTER UPDATE ON qianzhi.key_states
REFERENCING NEW TABLE AS settled FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.close_findings();

-- A row may go after a later one of its record, for rows of a key go in the order in which things happened. What is
-- found of it then asks for nothing any more.
CREATE FUNCTION qianzhi.close_late_findings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $body$
BEGIN
    UPDATE qianzhi.findings SET closed_at = now()
    WHERE finding_id = ANY (ARRAY(
        SELECT found.finding_id
        FROM new_findings AS found
        CROSS JOIN LATERAL (
            SELECT FROM qianzhi.key_states AS settled
            WHERE settled.lane_id = found.lane_id AND settled.key_hash = found.key_hash
              AND settled.key_check = found.key_check AND settled.row_id > found.row_id
            OFFSET 0
        ) AS later));
    RETURN NULL;
END $body$;

CREATE TRIGGER late_finding AFTER INSERT ON qianzhi.findings
REFERENCING NEW TABLE AS new_findings FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.close_late_findings();

-- An official console may say of a row that was delivered that it failed after all; its key then stands where it stood
-- before, and what was found of the rows in between asks for work again.
CREATE FUNCTION qianzhi.reopen_findings() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $body$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NOT EXISTS (
            SELECT FROM settled JOIN unsettled USING (lane_id, key_hash, key_check)
            WHERE settled.row_id < unsettled.row_id)
        THEN
            RETURN NULL;
        END IF;
    END IF;
    UPDATE qianzhi.findings SET closed_at = NULL
    WHERE finding_id = ANY (ARRAY(
        SELECT known.finding_id
        FROM unsettled
        CROSS JOIN LATERAL (
            SELECT f.finding_id FROM qianzhi.findings AS f
            WHERE f.key_hash = unsettled.key_hash AND f.lane_id + 0 = unsettled.lane_id
              AND f.key_check = unsettled.key_check AND f.closed_at IS NOT NULL
              AND NOT EXISTS (
                  SELECT FROM qianzhi.key_states AS k
                  WHERE k.lane_id = f.lane_id AND k.key_hash = f.key_hash AND k.key_check = f.key_check
                    AND k.row_id > f.row_id)
            OFFSET 0
        ) AS known));
    RETURN NULL;
END $body$;

CREATE TRIGGER reopen_findings AFTER DELETE ON qianzhi.key_states
REFERENCING OLD TABLE AS unsettled FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.reopen_findings();
CREATE TRIGGER reopen_findings_again AFTER UPDATE ON qianzhi.key_states
REFERENCING OLD TABLE AS unsettled NEW TABLE AS settled
FOR EACH STATEMENT EXECUTE FUNCTION qianzhi.reopen_findings();

-- Rows

CREATE TABLE qianzhi.staged_counts (
    regulator text NOT NULL,
    dataset text NOT NULL,
    staged_on date NOT NULL,
    row_count bigint NOT NULL
);
COMMENT ON TABLE qianzhi.staged_counts IS
    'How many rows were staged on a day: the trigger of the staging table adds one row a statement, sums are what '
    'counts. Folded at night.';
COMMENT ON COLUMN qianzhi.staged_counts.staged_on IS 'The day in Asia/Shanghai.';

CREATE INDEX batches_rows ON qianzhi.batches USING gist (row_ids);
CREATE INDEX batches_settled ON qianzhi.batches (settled_at);
CREATE INDEX batches_delivered ON qianzhi.batches (delivered_at) WHERE delivered_at IS NOT NULL;
CREATE INDEX outcomes_here ON qianzhi.outcomes (settled_at) WHERE outcome <> 'rejected';
