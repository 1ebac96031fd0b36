-- Many sessions stored at once. Written as `postgres.sql` says.

-- name: insert_new_session
-- One of many that arrive together: nothing is stored and no row comes back where the pair or the ref is known. Only for
-- tables made here.
-- many: id uuid, email text, fingerprint text, session_type text, ref text, now timestamptz, rotated_at timestamptz,
-- many: account_key text, sealed bytea, due_at timestamptz, deadline_at timestamptz, setrefresh_due boolean,
-- many: settled_in boolean, alive_at timestamptz, ring bytea
WITH stored AS (
  INSERT INTO public.auth_sessions (
    id, user_email, fingerprint, session_type, ref, created_at, updated_at, last_token_update_date, account_key, sealed,
    status, generation, revision, due_at, deadline_at, setrefresh_due, settled_in, alive_at, ring)
  SELECT :id, :email, :fingerprint, :session_type, :ref, :now, :now, :rotated_at, :account_key, :sealed,
         'active', 1, 1, :due_at, :deadline_at, :setrefresh_due, :settled_in, :alive_at, :ring
    FROM {given} ORDER BY given.n
  ON CONFLICT DO NOTHING RETURNING id)
SELECT given.n, 1 FROM {given} JOIN stored ON stored.id = :id;
