-- Many sessions stored at once. Written as `sqlite.sql` says.

-- name: insert_new_session
-- One of many that arrive together: nothing is stored and no row comes back where the pair or the ref is known.
INSERT INTO auth_sessions (
  id, user_email, fingerprint, session_type, ref, created_at, updated_at, last_token_update_date, account_key, sealed,
  status, generation, revision, due_at, deadline_at, setrefresh_due, settled_in, alive_at, ring)
VALUES (
  :id, :email, :fingerprint, :session_type, :ref, :now, :now, :rotated_at, :account_key, :sealed,
  'active', 1, 1, :due_at, :deadline_at, :setrefresh_due, :settled_in, :alive_at, :ring)
ON CONFLICT DO NOTHING RETURNING 1;
