"""PostgreSQL: embedded or by DSN, roles, columns in and out, named queries, migrations, dataset tables."""
