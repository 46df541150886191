-- What the product asks of its own PostgreSQL server as superuser.

-- name: settings_that_need_a_new_start
-- The settings of the files that a running server cannot take over.
SELECT DISTINCT name FROM pg_file_settings
WHERE NOT applied AND error IS NOT NULL AND name IS NOT NULL
ORDER BY name;

-- name: reload
-- Makes every process of the server read its settings again.
SELECT pg_reload_conf();
