-- What the shared store drops when it is too old. Written as `postgres.sql` says.

-- name: prune_events
DELETE FROM aimkeeper.events WHERE at < :before;

-- name: prune_tallies
DELETE FROM aimkeeper.tallies WHERE minute < :minute;

-- name: prune_ended
-- Of those whose rows stay, what is too old to be asked for.
DELETE FROM public.auth_sessions
 WHERE id = ANY (ARRAY(
         SELECT id FROM public.auth_sessions
          WHERE status = 'ended' AND ended_at < :before AND wipe_at IS NULL {unprotected}
          LIMIT :limit FOR UPDATE SKIP LOCKED))
RETURNING user_email;
