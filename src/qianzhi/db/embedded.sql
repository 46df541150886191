-- What the product asks of its own PostgreSQL server as superuser.

-- name: settings_that_need_a_new_start
-- The settings of the files that a running server cannot take over.
SELECT DISTINCT name FROM pg_file_settings
WHERE NOT applied AND error IS NOT NULL AND name IS NOT NULL
ORDER BY name;

-- name: reload
-- Makes every process of the server read its settings again.
SELECT pg_reload_conf();

-- name: access_errors
-- The lines of pg_hba.conf that the server cannot read; it then goes on by the file it read before.
SELECT line_number, error FROM pg_hba_file_rules WHERE error IS NOT NULL
ORDER BY line_number;

-- name: end_strangers
-- Ends the sessions of roles that came over the network from outside of all networks given; loopback is never outside.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND usename = ANY(%(roles)s::name[]) AND client_addr IS NOT NULL
    AND NOT client_addr <<= ANY(%(networks)s::inet[] || '{127.0.0.0/8, ::1}'::inet[]);
