-- What `keys rotate` asks of the embedded store. Written as `sqlite.sql` says.

-- name: sealed_sessions
-- Page by page, what is sealed in the sessions' rows; NULL where it is sealed with that key already, or was wiped.
SELECT id, CASE WHEN sealed = x'' OR substr(sealed, 2, 4) = :key_id THEN NULL ELSE sealed END
  FROM auth_sessions WHERE id > :after ORDER BY id LIMIT :limit;

-- name: reseal_session
-- The same secrets under another key: no one else's write is undone, and nobody need read again because of it.
UPDATE auth_sessions SET sealed = :sealed WHERE id = :id AND sealed = :was RETURNING id;

-- name: sealed_spares
SELECT id, CASE WHEN substr(sealed, 2, 4) = :key_id THEN NULL ELSE sealed END
  FROM spares WHERE id > :after ORDER BY id LIMIT :limit;

-- name: reseal_spare
UPDATE spares SET sealed = :sealed WHERE id = :id AND sealed = :was RETURNING id;
