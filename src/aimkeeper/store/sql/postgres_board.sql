-- The shared store's statements for the page of all sessions. Written as `postgres.sql` says. What each of them reads grows
-- with what is shown, not with what is kept.

-- name: tallies_by_slot
-- What the exchanges of each slot of so many minutes brought, by word; a slot is counted from 1970.
SELECT minute / :step, what, sum(count)::bigint FROM aimkeeper.tallies WHERE minute >= :minute GROUP BY 1, 2;

-- name: nearest_deadline
-- Those that would die first. Who is being rotated at this moment is not in danger.
SELECT {session} FROM public.auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL
 ORDER BY deadline_at, due_at LIMIT :limit;

-- name: deadlines_from
-- A run of so many sessions, ended ones counted but not told: ids are random, so a run of them is a fair sample.
SELECT deadline_at FROM (
  SELECT deadline_at, status FROM public.auth_sessions WHERE id >= :start AND id < :stop ORDER BY id LIMIT :limit) AS run
 WHERE status <> 'ended';

-- name: feed_last
-- The latest so many that are sure to have no older one behind them, the latest first.
SELECT epoch, id, at, kind, session_id, email, data FROM aimkeeper.events
 WHERE epoch < pg_snapshot_xmin(pg_current_snapshot())::text::bigint ORDER BY epoch DESC, id DESC LIMIT :limit;
