-- The shared store's statements about itself: where it is, and whether it may spend what it holds.

-- name: here
-- What a restored or copied database does not have in common with the one it comes from: the cluster, the database in it,
-- and the tables as they were made there.
SELECT concat_ws('/', aimkeeper.cluster(),
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

-- name: holds_sessions
SELECT EXISTS (SELECT FROM public.auth_sessions);

-- name: carry_sessions
-- As they were in the database they come from. Their spares are counted when these arrive.
-- many: id uuid, user_email text, fingerprint text, aimharder_token text, aimharder_cookies jsonb,
-- many: session_type text, created_at timestamptz, updated_at timestamptz, last_refresh_date timestamptz,
-- many: refresh_count integer, last_refresh_error text, auto_refresh_enabled boolean,
-- many: last_token_update_date timestamptz, token_update_count integer, last_token_update_error text, ref text,
-- many: account_key text, sealed bytea, status text, cause text, generation bigint, revision bigint,
-- many: due_at timestamptz, deadline_at timestamptz, ended_at timestamptz, wipe_at timestamptz, attempt integer,
-- many: doubt_at timestamptz, suspicion bytea, alive_at timestamptz, setrefresh_due boolean, settled_in boolean,
-- many: ring bytea, last_rotation_id text
INSERT INTO public.auth_sessions (
  id, user_email, fingerprint, aimharder_token, aimharder_cookies, session_type, created_at, updated_at,
  last_refresh_date, refresh_count, last_refresh_error, auto_refresh_enabled, last_token_update_date,
  token_update_count, last_token_update_error, ref, account_key, sealed, status, cause, generation, revision,
  due_at, deadline_at, ended_at, wipe_at, attempt, doubt_at, suspicion, alive_at, setrefresh_due, settled_in, ring,
  last_rotation_id)
SELECT
  :id, :user_email, :fingerprint, :aimharder_token, :aimharder_cookies, :session_type, :created_at, :updated_at,
  :last_refresh_date, :refresh_count, :last_refresh_error, :auto_refresh_enabled, :last_token_update_date,
  :token_update_count, :last_token_update_error, :ref, :account_key, :sealed, :status, :cause, :generation,
  :revision, :due_at, :deadline_at, :ended_at, :wipe_at, :attempt, :doubt_at, :suspicion, :alive_at,
  :setrefresh_due, :settled_in, :ring, :last_rotation_id
  FROM {given} ORDER BY given.n;

-- name: carry_spares
-- many: id text, session_id uuid, sealed bytea, issued_at timestamptz, kept_at timestamptz, generation bigint
INSERT INTO aimkeeper.spares (id, session_id, sealed, issued_at, kept_at, generation)
SELECT :id, :session_id, :sealed, :issued_at, :kept_at, :generation FROM {given} ORDER BY given.n;

-- name: carry_events
-- many: at timestamptz, kind text, session_id uuid, email text, data text
INSERT INTO aimkeeper.events (at, kind, session_id, email, data)
SELECT :at, :kind, :session_id, :email, :data FROM {given} ORDER BY given.n;

-- name: carry_logins
-- many: email text, failed_at bytea, not_before timestamptz
INSERT INTO aimkeeper.logins (email, failed_at, not_before) SELECT :email, :failed_at, :not_before FROM {given};

-- name: carry_tickets
-- many: hash text, kind text, session_id uuid, created_at timestamptz, expires_at timestamptz
INSERT INTO aimkeeper.tickets (hash, kind, session_id, created_at, expires_at)
SELECT :hash, :kind, :session_id, :created_at, :expires_at FROM {given};

-- name: carry_tallies
-- many: minute bigint, what text, count bigint
INSERT INTO aimkeeper.tallies (minute, what, count) SELECT :minute, :what, :count FROM {given};
