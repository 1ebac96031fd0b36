-- What the embedded store drops when it is too old. Written as `sqlite.sql` says.

-- name: prune_events
DELETE FROM events WHERE at < :before;

-- name: prune_tallies
DELETE FROM tallies WHERE minute < :minute;

-- name: prune_ended
-- Of those whose rows stay, what is too old to be asked for.
DELETE FROM auth_sessions
 WHERE rowid IN (
         SELECT rowid FROM auth_sessions INDEXED BY auth_sessions_ended
          WHERE status = 'ended' AND ended_at < :before AND wipe_at IS NULL LIMIT :limit)
RETURNING user_email;
