-- name: settings
-- What the server was told, of settings that hold no secret and no name.
SELECT name, setting, source FROM pg_settings
WHERE name = ANY (%(names)s::text[]) OR (source = 'configuration file' AND vartype IN ('bool', 'integer', 'real', 'enum'))
ORDER BY name

-- name: tables
-- How large the tables of some schemas are.
SELECT n.nspname, c.relname, pg_total_relation_size(c.oid), pg_stat_get_live_tuples(c.oid),
    pg_stat_get_dead_tuples(c.oid)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p')
ORDER BY 3 DESC, 1, 2

-- name: migrations
-- Which upgrade scripts ran, and when.
SELECT end_name, number, name, applied_at FROM qianzhi.migrations ORDER BY end_name, number

-- name: events
-- How often what was written into the audit.
SELECT event, count(*), max(happened_at) FROM qianzhi.audit GROUP BY event ORDER BY event
