-- The embedded store's statements about itself: whether it may spend what it holds, and where that went.

-- name: bars
-- Whether anything keeps this database from spending its tokens: it is a copy, or they have moved.
SELECT copied_at, moved_to FROM fleet WHERE one = 1;

-- name: mark_copied
-- No row back: it is known already.
UPDATE fleet SET copied_at = :now, revision = revision + 1
 WHERE one = 1 AND copied_at IS NULL AND moved_to IS NULL RETURNING revision;

-- name: mark_moved
UPDATE fleet SET moved_to = :moved_to, revision = revision + 1 WHERE one = 1 RETURNING revision;

-- name: unbar
-- From now on it is the one.
UPDATE fleet SET copied_at = NULL, moved_to = NULL, revision = revision + 1 WHERE one = 1 RETURNING revision;
