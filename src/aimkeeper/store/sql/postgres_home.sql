-- The shared store's statements about itself: where it is, and whether it may spend what it holds.

-- name: here
-- What a restored or copied database does not have in common with the one it comes from: the cluster, the database in it,
-- and the tables as they were made there.
SELECT concat_ws('/', (SELECT system_identifier FROM pg_catalog.pg_control_system()),
                 (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()),
                 to_regclass('public.auth_sessions')::oid, to_regclass('aimkeeper.meta')::oid,
                 to_regclass('aimkeeper.events')::oid, to_regclass('aimkeeper.spares')::oid);

-- name: bars
-- Whether anything keeps this database from spending its tokens: it is a copy, or they have moved.
SELECT copied_at, moved_to FROM aimkeeper.fleet WHERE one = 1;

-- name: mark_copied
-- No row back: it is known already.
UPDATE aimkeeper.fleet SET copied_at = :now, revision = revision + 1
 WHERE one = 1 AND copied_at IS NULL AND moved_to IS NULL RETURNING revision;

-- name: mark_moved
UPDATE aimkeeper.fleet SET moved_to = :moved_to, revision = revision + 1 WHERE one = 1 RETURNING revision;

-- name: unbar
-- From now on it is the one.
UPDATE aimkeeper.fleet SET copied_at = NULL, moved_to = NULL, revision = revision + 1 WHERE one = 1 RETURNING revision;
