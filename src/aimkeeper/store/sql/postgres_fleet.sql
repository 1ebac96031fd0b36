-- The rest of the shared store's statements: owners, the fleet, logins, and what concerns the database itself. Written as
-- `postgres.sql` says.

-- name: insert_owner
INSERT INTO aimkeeper.owners (id, name, role, pid, version, host, keys, started_at)
VALUES (:id, :name, :role, :pid, :version, :host, :keys, :now);

-- name: beat
-- Raises the beats of our own owners, and tells everybody's: a marked one does not come back as raised. Not synced to the
-- disk: a beat that a crash of the server undoes is made again by whoever lives. clock_timestamp is the store's time.
WITH raised AS (
       UPDATE aimkeeper.owners AS owner
          SET beat = owner.beat + 1, beat_at = clock_timestamp(),
              tick_at = COALESCE('epoch'::timestamptz + mine.ticked::bigint * interval '1 microsecond', owner.tick_at)
         FROM unnest(:ids::text[], :ticks::text[]) AS mine (id, ticked)
        WHERE owner.id = mine.id AND owner.dead_at IS NULL
          AND set_config('synchronous_commit', 'off', true) = 'off' AND set_config('lock_timeout', '2s', true) = '2s'
       RETURNING owner.id)
SELECT clock_timestamp(), owner.id, owner.beat, owner.dead_at IS NOT NULL, raised.id IS NOT NULL
  FROM (SELECT 1) AS once LEFT JOIN aimkeeper.owners AS owner ON true LEFT JOIN raised ON raised.id = owner.id;

-- name: mark_owner_dead
-- The lock waits for claims under way: what they take is then seen by whoever takes it from them.
WITH living AS MATERIALIZED (SELECT id FROM aimkeeper.owners WHERE id = :id AND dead_at IS NULL FOR UPDATE)
UPDATE aimkeeper.owners AS owner SET dead_at = :now FROM living WHERE owner.id = living.id RETURNING owner.id;

-- name: mark_silent_owner
-- No row back: it was marked already, or it has beaten after all.
WITH silent AS MATERIALIZED (
       SELECT id FROM aimkeeper.owners WHERE id = :id AND beat = :beat AND dead_at IS NULL FOR UPDATE)
UPDATE aimkeeper.owners AS owner SET dead_at = :now FROM silent WHERE owner.id = silent.id RETURNING owner.id;

-- name: free_ended_claims_of
-- What its owner ended while it was held has no token left to doubt, and must not come due.
UPDATE public.auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL
 WHERE id = ANY (ARRAY(SELECT unnest(sessions) FROM aimkeeper.claims WHERE owner = :owner))
   AND owner = :owner AND status = 'ended';

-- name: doubt_claims_of
-- Nobody knows whether the dead holder's tokens left.
WITH claim AS (DELETE FROM aimkeeper.claims WHERE owner = :owner RETURNING sessions)
UPDATE public.auth_sessions SET
  status = CASE status WHEN 'active' THEN 'in_doubt' ELSE status END, attempt = attempt + 1, revision = revision + 1,
  last_token_update_error = 'holder_died', doubt_at = COALESCE(doubt_at, :now), due_at = :now,
  owner = NULL, claim_id = NULL, claimed_at = NULL
 WHERE id = ANY (ARRAY(SELECT unnest(sessions) FROM claim)) AND owner = :owner RETURNING id, user_email, generation;

-- name: owner
SELECT id, name, role, pid, version, started_at, tick_at, dead_at FROM aimkeeper.owners WHERE id = :id;

-- name: owners
-- With for how many microseconds each was silent, by the database's own clock.
SELECT id, name, role, pid, version, started_at, tick_at, dead_at,
       (EXTRACT(EPOCH FROM clock_timestamp() - beat_at) * 1000000)::bigint, host, keys
  FROM aimkeeper.owners ORDER BY started_at, id;

-- name: tell_keys
UPDATE aimkeeper.owners SET keys = :keys WHERE id = :id;

-- name: delete_owner
DELETE FROM aimkeeper.owners WHERE id = :id;

-- name: prune_owners
-- The dead stay on the register a while, for people to see. Nothing is left that they could hold.
DELETE FROM aimkeeper.owners WHERE dead_at < :an_hour_ago;

-- name: get_meta
SELECT value FROM aimkeeper.meta WHERE key = :key;

-- name: set_meta
INSERT INTO aimkeeper.meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: add_meta
-- No row back: it is there already.
INSERT INTO aimkeeper.meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING RETURNING key;

-- name: delete_meta
DELETE FROM aimkeeper.meta WHERE key = :key;

-- name: insert_sign_in
INSERT INTO aimkeeper.sign_ins (hash, expires_at) VALUES (:hash, :expires_at);

-- name: use_sign_in
DELETE FROM aimkeeper.sign_ins WHERE hash = :hash AND expires_at > :now RETURNING hash;

-- name: prune_sign_ins
DELETE FROM aimkeeper.sign_ins WHERE expires_at <= :now;

-- name: fleet
SELECT revision, outage_at, recovered_at, probe_at, probe_gap, held_at, throttled_until, paused_at, paused_until,
       copied_at, moved_to
  FROM aimkeeper.fleet WHERE one = 1;

-- name: change_fleet
-- No row back: another process changed it first.
UPDATE aimkeeper.fleet SET
  revision = revision + 1, outage_at = :outage_at, recovered_at = :recovered_at, probe_at = :probe_at,
  probe_gap = :probe_gap, held_at = :held_at, throttled_until = :throttled_until, paused_at = :paused_at,
  paused_until = :paused_until
 WHERE one = 1 AND revision = :revision RETURNING revision;

-- name: recall_ends
-- Ends declared just before a mass death was recognised: suspected instead. An owner's own end stays.
UPDATE public.auth_sessions SET
  status = 'suspected', cause = NULL, ended_at = NULL, wipe_at = NULL, due_at = :now, revision = revision + 1
 WHERE status = 'ended' AND ended_at >= :since AND account_key <> ''
   AND cause IN ('server_ended', 'double_spent', 'idle_timeout', 'token_expired', 'unknown')
RETURNING id, user_email, generation;

-- name: retry_suspected
-- Suspected ones are tried from the start, at once.
UPDATE public.auth_sessions SET
  status = 'in_doubt', suspicion = NULL, due_at = :now, revision = revision + 1
 WHERE id = ANY (ARRAY(
         SELECT id FROM public.auth_sessions WHERE status = 'suspected' AND owner IS NULL
          LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id;

-- name: retry_failing
-- The upstream answers again: nobody waits any longer for what it could not do.
UPDATE public.auth_sessions SET due_at = :now, revision = revision + 1
 WHERE id = ANY (ARRAY(
         SELECT id FROM public.auth_sessions
          WHERE attempt > 0 AND status <> 'ended' AND owner IS NULL AND due_at > :now
          LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id;

-- name: retriage
-- Due later than any rule can have set it: written while the clock stood elsewhere. Not those that came to us stale, in
-- an app's table: they are tried slowly.
UPDATE public.auth_sessions SET due_at = :now, revision = revision + 1
 WHERE id = ANY (ARRAY(
         SELECT id FROM public.auth_sessions
          WHERE owner IS NULL AND due_at > LEAST(:latest::timestamptz, :latest_unfailed::timestamptz)
            AND (settled_in OR deadline_at > :now)
            AND (due_at > :latest OR (due_at > :latest_unfailed AND attempt = 0))
          LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED))
RETURNING id;

-- name: login_book
SELECT owner, failed_at, not_before FROM aimkeeper.logins WHERE email = :email;

-- name: begin_login
-- No row back: somebody else is logging this account in, or we were marked dead.
WITH alive AS MATERIALIZED (
       SELECT id FROM aimkeeper.owners WHERE id = :owner AND dead_at IS NULL FOR KEY SHARE)
INSERT INTO aimkeeper.logins AS login (email, owner, failed_at) SELECT :email, alive.id, :nothing FROM alive
ON CONFLICT (email) DO UPDATE SET owner = excluded.owner
 WHERE login.owner IS NULL OR login.owner = excluded.owner RETURNING failed_at, not_before;

-- name: finish_login
UPDATE aimkeeper.logins SET owner = NULL, failed_at = :failed_at, not_before = :not_before
 WHERE email = :email AND owner = :owner RETURNING email;

-- name: delete_login_of
-- What is remembered of an account's logins goes with its last session.
DELETE FROM aimkeeper.logins
 WHERE email = :email AND NOT EXISTS (SELECT 1 FROM public.auth_sessions WHERE user_email = :email);

-- name: free_logins_of
-- A dead process logs nobody in.
UPDATE aimkeeper.logins SET owner = NULL WHERE owner = :owner;

-- name: fleet_events
-- Facts about the whole fleet, the latest last.
SELECT id, at, kind, session_id, email, data FROM aimkeeper.events
 WHERE session_id IS NULL AND id > :after ORDER BY id LIMIT :limit;

-- name: probe
-- What is on the other end: its process tells whether a pooler stands between us.
SELECT pg_backend_pid(), current_setting('server_version_num')::integer, current_setting('server_encoding'),
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', current_setting('transaction_isolation'),
       clock_timestamp();

-- name: whose
-- Whether our tables are there, a table of sessions, and anything else in the schema that bears our name.
SELECT to_regclass('aimkeeper.meta') IS NOT NULL, to_regclass('public.auth_sessions') IS NOT NULL,
       EXISTS (SELECT 1 FROM pg_catalog.pg_class AS thing JOIN pg_catalog.pg_namespace AS place
                  ON place.oid = thing.relnamespace WHERE place.nspname = 'aimkeeper');

-- name: hides_rows
-- Row level security hides every row from a role that neither owns the table nor stands above it.
SELECT row_security_active('public.auth_sessions');

-- name: one_at_a_time
-- For those who change the schema: until the transaction ends.
SELECT pg_advisory_xact_lock(4707184670);
