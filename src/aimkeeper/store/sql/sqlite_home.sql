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

-- name: is_held
-- Whether anybody holds any session.
SELECT 1 FROM auth_sessions WHERE owner IS NOT NULL LIMIT 1;

-- name: leave_sessions
-- Page by page, for another database; of each row its place first, then what is carried. So with the others below.
SELECT id,
       id, user_email, fingerprint, aimharder_token, aimharder_cookies, session_type, created_at, updated_at,
       last_refresh_date, refresh_count, last_refresh_error, auto_refresh_enabled, last_token_update_date,
       token_update_count, last_token_update_error, ref, account_key, sealed, status, cause, generation,
       revision, due_at, deadline_at, ended_at, wipe_at, attempt, doubt_at, suspicion, alive_at,
       setrefresh_due, settled_in, ring, last_rotation_id
  FROM auth_sessions WHERE id > :after ORDER BY id LIMIT :limit;

-- name: leave_spares
SELECT id, id, session_id, sealed, issued_at, kept_at, generation
  FROM spares WHERE id > :after ORDER BY id LIMIT :limit;

-- name: leave_events
SELECT id, at, kind, session_id, email, data FROM events WHERE id > CAST(:after AS INTEGER) ORDER BY id LIMIT :limit;

-- name: leave_logins
SELECT email, email, failed_at, not_before FROM logins WHERE email > :after ORDER BY email LIMIT :limit;

-- name: leave_tickets
SELECT hash, hash, kind, session_id, created_at, expires_at
  FROM tickets WHERE hash > :after ORDER BY hash LIMIT :limit;

-- name: leave_tallies
SELECT printf('%015d %s', minute, what), minute, what, count
  FROM tallies WHERE (minute, what) > (CAST(substr(:after, 1, 15) AS INTEGER), substr(:after, 17))
 ORDER BY minute, what LIMIT :limit;
