-- What `keys rotate` asks of the shared store. Written as `postgres.sql` says.

-- name: sealed_sessions
-- Page by page, what is sealed in the sessions' rows; NULL where it is sealed with that key already, or was wiped.
SELECT id, CASE WHEN sealed = '' OR substr(sealed, 2, 4) = :key_id THEN NULL ELSE sealed END
  FROM public.auth_sessions WHERE id > :after ORDER BY id LIMIT :limit;

-- name: reseal_session
-- The same secrets under another key: no one else's write is undone, and nobody need read again because of it.
-- many: id uuid, was bytea, sealed bytea
WITH held AS MATERIALIZED (SELECT id FROM public.auth_sessions WHERE id = ANY ({id[]}) ORDER BY id FOR NO KEY UPDATE)
UPDATE public.auth_sessions SET sealed = :sealed FROM {given}
 WHERE id = :id AND sealed = :was AND (SELECT count(*) FROM held) IS NOT NULL
RETURNING given.n;

-- name: sealed_spares
SELECT id, CASE WHEN substr(sealed, 2, 4) = :key_id THEN NULL ELSE sealed END
  FROM aimkeeper.spares WHERE id > :after ORDER BY id LIMIT :limit;

-- name: reseal_spare
-- many: id text, was bytea, sealed bytea
UPDATE aimkeeper.spares SET sealed = :sealed FROM {given} WHERE id = :id AND sealed = :was RETURNING given.n;
