-- The embedded store's statements for the page of all sessions. Written as `sqlite.sql` says. What each of them reads grows
-- with what is shown, not with what is kept.

-- name: tallies_by_slot
-- What the exchanges of each slot of so many minutes brought, by word; a slot is counted from 1970.
SELECT minute / :step, what, sum(count) FROM tallies WHERE minute >= :minute GROUP BY minute / :step, what;

-- name: nearest_deadline
-- Those that would die first. Who is being rotated at this moment is not in danger.
SELECT {session} FROM auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL AND deadline_at > 0
 ORDER BY deadline_at, due_at LIMIT :limit;

-- name: deadlines_from
-- A run of so many sessions, ended ones counted but not told: ids are random, so a run of them is a fair sample.
SELECT deadline_at FROM (
  SELECT deadline_at, status FROM auth_sessions WHERE id >= :start AND id < :stop ORDER BY id LIMIT :limit)
 WHERE status <> 'ended';

-- name: feed_last
-- The latest so many, the latest first.
SELECT 0, id, at, kind, session_id, email, data FROM events WHERE id > 0 ORDER BY id DESC LIMIT :limit;
