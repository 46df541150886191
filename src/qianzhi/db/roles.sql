-- Roles, their passwords, limits and rights. Words in braces are names, put in quoted.

-- name: role_exists
-- One row when the role exists.
SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %(role)s;

-- name: create_role
-- A role that may sign in and nothing more.
CREATE ROLE {role} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;

-- name: powers
-- The powers of a role beyond signing in, memberships included; null when there are none.
SELECT concat_ws(
    ', ',
    CASE WHEN r.rolsuper THEN 'SUPERUSER' END,
    CASE WHEN r.rolcreatedb THEN 'CREATEDB' END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' END,
    CASE WHEN r.rolreplication THEN 'REPLICATION' END,
    CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' END,
    (SELECT 'member of ' || string_agg(m.roleid::regrole::text, ', ') FROM pg_catalog.pg_auth_members AS m
     WHERE m.member = r.oid)
)
FROM pg_catalog.pg_roles AS r
WHERE r.rolname = %(role)s;

-- name: limit_connections
-- Lets the role sign in, so many times at once (-1: any number).
ALTER ROLE {role} LOGIN CONNECTION LIMIT {limit};

-- name: set_password
-- Sets the SCRAM verifier; the password itself is unknown to the server.
ALTER ROLE {role} PASSWORD {verifier};

-- name: set_for_role
-- A setting with which the role's sessions begin.
ALTER ROLE {role} SET {name} = {value};

-- name: set_for_role_here
-- A setting with which the role's sessions in this database begin.
ALTER ROLE {role} IN DATABASE {database} SET {name} = {value};

-- name: database_exists
-- One row when the database exists.
SELECT 1 FROM pg_catalog.pg_database WHERE datname = %(database)s;

-- name: create_database
-- A database of one owner.
CREATE DATABASE {database} OWNER {owner} ENCODING 'UTF8' TEMPLATE template0;

-- name: close_database
-- Takes away what everybody may do in a new database: connect, and make temporary tables.
REVOKE ALL ON DATABASE {database} FROM PUBLIC;

-- name: open_database
-- Lets a role connect; no TEMP, no CREATE.
GRANT CONNECT ON DATABASE {database} TO {role};

-- name: close_public_schema
-- Nobody but its owner creates in the schema "public" (before PostgreSQL 15 everybody may).
REVOKE ALL ON SCHEMA public FROM PUBLIC;

-- name: close_large_objects
-- Nobody but a superuser makes large objects: they belong to no table, and no limit of a role bounds them. Whoever does
-- not own the functions gets a warning of the server's, and no error.
DO $$
DECLARE
    open_one regprocedure;
BEGIN
    FOR open_one IN
        SELECT p.oid FROM pg_catalog.pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ '^(lo_.*|loread|lowrite)$'
            AND has_function_privilege('public', p.oid, 'EXECUTE')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', open_one);
    END LOOP;
END
$$;

-- name: large_objects
-- The functions of large objects that a role may call, as a REVOKE lists them; null: none.
SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY p.oid::regprocedure::text)
FROM pg_catalog.pg_roles AS r
JOIN pg_catalog.pg_proc AS p ON has_function_privilege(r.oid, p.oid, 'EXECUTE')
WHERE r.rolname = %(role)s AND p.pronamespace = 'pg_catalog'::regnamespace
    AND p.proname ~ '^(lo_.*|loread|lowrite)$';

-- name: close_schema
-- Takes away every right on the tables of a schema, its columns included, before what is due is given anew.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}, PUBLIC;

-- name: open_schema
-- Lets a role find the tables of a schema.
GRANT USAGE ON SCHEMA {schema} TO {role};

-- name: columns
-- The columns of a table in their order.
SELECT a.attname
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p')
    AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: grant_table
-- Reading a table, and inserting by the columns that are the sender's to fill.
GRANT SELECT, INSERT ({columns}) ON TABLE {table} TO {role};

-- name: grant_view
-- Reading a view: its owner's rights reach what is behind it, the reader's do not.
GRANT SELECT ON TABLE {view} TO {role};

-- name: deviations
-- What a sender may do to the tables of a schema beyond reading and inserting, and what of that it may not; null: none.
SELECT string_agg(found.said, ', ' ORDER BY found.said) FROM (
    SELECT '+' || asked.name || ' ' || c.relname AS said
    FROM pg_catalog.pg_class AS c, (VALUES ('UPDATE'), ('DELETE'), ('TRUNCATE'), ('TRIGGER')) AS asked (name)
    WHERE c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind IN ('r', 'p')
        AND has_table_privilege(%(role)s, c.oid, asked.name)
    UNION ALL
    SELECT '-' || asked.name || ' ' || c.relname
    FROM pg_catalog.pg_class AS c, (VALUES ('SELECT'), ('INSERT')) AS asked (name)
    WHERE c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind IN ('r', 'p')
        AND NOT has_any_column_privilege(%(role)s, c.oid, asked.name)
) AS found;
