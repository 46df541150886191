-- name: key_states
-- The states of the keys that a batch names, by first hash: one row of columns, each the bytes of its numbers.
SELECT
    string_agg(int8send(key_hash), ''), string_agg(int8send(key_check), ''), string_agg(int8send(row_id), ''),
    string_agg(int8send(live::integer), ''),
    string_agg(int8send(coalesce(occurred_us, {absent})), ''), string_agg(int8send(content), '') {shared}
FROM qianzhi.key_states
WHERE institution_id = %(institution_id)s
    AND dataset_number = %(dataset_number)s
    AND key_hash = ANY (%(hashes)s::bigint[]);

-- name: part_of_states
-- The number of the partition that an institution's key states lie in.
SELECT part FROM generate_series(0, %(modulus)s::integer - 1) AS part
WHERE satisfies_hash_partition('qianzhi.key_states'::regclass, %(modulus)s::integer, part, %(institution_id)s::integer);

-- name: parents
-- What a reference needs of the keys that it points to, in the same form.
SELECT
    string_agg(int8send(key_hash), ''), string_agg(int8send(key_check), ''), string_agg(int8send(live::integer), '')
    {shared}
FROM qianzhi.key_states
WHERE institution_id = %(institution_id)s
    AND dataset_number = %(dataset_number)s
    AND key_hash = ANY (%(hashes)s::bigint[]);

-- name: facts
-- What accepted rows said of the keys that must stay consistent, in the same form.
SELECT
    string_agg(int8send(key_hash), ''), string_agg(int8send(key_check), ''), string_agg(int8send(says), ''),
    string_agg(int8send(said_by), '')
FROM qianzhi.facts
WHERE institution_id = %(institution_id)s
    AND dataset_number = %(dataset_number)s
    AND code = %(code)s
    AND key_hash = ANY (%(hashes)s::bigint[]);

-- name: shared
-- One more column: the hash of a group of fields that children repeat.
, string_agg(int8send(coalesce(shared[{position}], {absent})), '');

-- name: forget_states
-- Make room for the new states of keys that had one.
DELETE FROM qianzhi.key_states AS k
USING unnest(%(hashes)s::bigint[], %(checks)s::bigint[]) AS changed (key_hash, key_check)
WHERE k.institution_id = %(institution_id)s
    AND k.dataset_number = %(dataset_number)s
    AND k.key_hash = changed.key_hash
    AND k.key_check = changed.key_check;

-- name: forget_facts
-- Make room for what is said now.
DELETE FROM qianzhi.facts AS f
USING unnest(%(hashes)s::bigint[], %(checks)s::bigint[]) AS changed (key_hash, key_check)
WHERE f.institution_id = %(institution_id)s
    AND f.dataset_number = %(dataset_number)s
    AND f.code = %(code)s
    AND f.key_hash = changed.key_hash
    AND f.key_check = changed.key_check;
