-- Advisory locks.

-- name: hold
-- Waits for the lock and holds it until the transaction ends.
SELECT pg_advisory_xact_lock(%(key)s);

-- name: try_hold
-- Takes the lock until the transaction ends, unless another session holds it.
SELECT pg_try_advisory_xact_lock(%(key)s);
