-- Every statement of the embedded store. `-- name: word` begins one; the next comment line says what it is for.
-- {session} stands for the columns of a session, in the order `rows.py` reads them. INDEXED BY stands where SQLite, which
-- knows no numbers of ours, would choose an index that leads over every session.

-- name: claim_in_doubt
-- Takes what lately may have rotated without us hearing: it goes before everything else, the freshest doubt first.
UPDATE auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE rowid IN (
         SELECT rowid FROM auth_sessions INDEXED BY auth_sessions_in_doubt
          WHERE owner IS NULL AND status = 'in_doubt' AND COALESCE(doubt_at, due_at) > :fresh AND due_at <= :begun
          ORDER BY COALESCE(doubt_at, due_at) DESC LIMIT :limit)
   AND EXISTS (SELECT 1 FROM owners WHERE id = :owner AND dead_at IS NULL)
   AND EXISTS (SELECT 1 FROM fleet WHERE one = 1 AND copied_at IS NULL AND moved_to IS NULL)
RETURNING {session};

-- name: claim_due
-- Takes what is due, the longest due first: the steady state.
UPDATE auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE rowid IN (
         SELECT rowid FROM auth_sessions
          WHERE owner IS NULL AND due_at <= :now
            AND (due_at <= :begun OR (attempt = 0 AND last_token_update_date < :begun))
          ORDER BY due_at LIMIT :limit)
   AND EXISTS (SELECT 1 FROM owners WHERE id = :owner AND dead_at IS NULL)
   AND EXISTS (SELECT 1 FROM fleet WHERE one = 1 AND copied_at IS NULL AND moved_to IS NULL)
RETURNING {session};

-- name: claim_living
-- In a backlog: the earliest deadline first among those an answer can still reach in time.
UPDATE auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE rowid IN (
         SELECT rowid FROM auth_sessions
          WHERE owner IS NULL AND deadline_at > :eta AND due_at <= :now ORDER BY deadline_at LIMIT :limit)
   AND EXISTS (SELECT 1 FROM owners WHERE id = :owner AND dead_at IS NULL)
   AND EXISTS (SELECT 1 FROM fleet WHERE one = 1 AND copied_at IS NULL AND moved_to IS NULL)
RETURNING {session};

-- name: claim_hopeless
-- In a backlog, when no living one is left: past their deadline, the least late first.
UPDATE auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE rowid IN (
         SELECT rowid FROM auth_sessions
          WHERE owner IS NULL AND deadline_at <= :eta AND due_at <= :now ORDER BY deadline_at DESC LIMIT :limit)
   AND EXISTS (SELECT 1 FROM owners WHERE id = :owner AND dead_at IS NULL)
   AND EXISTS (SELECT 1 FROM fleet WHERE one = 1 AND copied_at IS NULL AND moved_to IS NULL)
RETURNING {session};

-- name: claim_one
-- Takes one session, due or not, for a caller who asks for it.
UPDATE auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE id = :id AND owner IS NULL AND status <> 'ended'
   AND EXISTS (SELECT 1 FROM owners WHERE id = :owner AND dead_at IS NULL)
   AND EXISTS (SELECT 1 FROM fleet WHERE one = 1 AND copied_at IS NULL AND moved_to IS NULL)
RETURNING {session};

-- name: free_claim
-- Gives one unsent claim back.
UPDATE auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL
 WHERE id = :id AND owner = :owner AND claim_id = :claim_id RETURNING id;

-- name: free_lost_claim
-- Gives back what was claimed without our hearing: the answer was lost, or whoever asked has gone.
UPDATE auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL
 WHERE owner = :owner AND claim_id = :claim_id;

-- name: put_off_unreadable
-- A row whose secrets do not open must not hold up the others.
UPDATE auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL, due_at = :due_at,
  attempt = attempt + 1, last_token_update_error = 'unreadable_secrets', revision = revision + 1
 WHERE id = :id AND owner = :owner AND claim_id = :claim_id;

-- name: next_due
-- When something is next to be done.
SELECT min(due_at) FROM auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL;

-- name: commit_rotation
-- A fresh token: asks only that nobody rotated first. The revision tells whether the sealed part is still ours to write.
UPDATE auth_sessions SET {write}, last_rotation_id = :claim_id
 WHERE id = :id AND generation = :held_generation AND revision = :held_revision RETURNING revision, fingerprint, spares, owner;

-- name: commit_routine
-- For a rotation that changes nothing but what every rotation changes, most of them, on a row that is as it was held.
UPDATE auth_sessions SET {routine}
 WHERE id = :id AND generation = :held_generation AND revision = :held_revision AND owner = :claim_owner AND spares = 0;

-- name: commit_attempt
-- Anything less than a rotation speaks only for the holder of the claim.
UPDATE auth_sessions SET {write}
 WHERE id = :id AND generation = :held_generation AND revision = :held_revision
   AND owner = :claim_owner AND claim_id = :claim_id RETURNING revision, fingerprint, spares, owner;

-- name: commit_touch
-- Handouts, cookies: only the sealed part changes, and when whoami last recognised it.
UPDATE auth_sessions SET sealed = :sealed, alive_at = :alive_at, revision = revision + 1, updated_at = :now
 WHERE id = :id AND revision = :held_revision RETURNING revision, fingerprint, spares, owner;

-- name: row_now
-- The row as it is inside this transaction, with what tells whose it is.
SELECT {session}, last_rotation_id, claim_id FROM auth_sessions WHERE id = :id;

-- name: session_by_id
SELECT {session} FROM auth_sessions WHERE id = :id;

-- name: lock_by_id
-- For one who writes what it read here; nobody else writes while this transaction lasts.
SELECT {session} FROM auth_sessions WHERE id = :id;

-- name: lock_by_pair
SELECT {session} FROM auth_sessions WHERE user_email = :email AND fingerprint = :fingerprint;

-- name: session_by_pair
SELECT {session} FROM auth_sessions WHERE user_email = :email AND fingerprint = :fingerprint;

-- name: sessions_by_email
SELECT {session} FROM auth_sessions WHERE user_email = :email ORDER BY fingerprint LIMIT :limit;

-- name: sessions_by_ref
SELECT {session} FROM auth_sessions WHERE ref = :ref LIMIT :limit;

-- name: sessions_by_account
-- For a caller who presents a token: the user id in it and the fingerprint lead to the row.
SELECT {session} FROM auth_sessions WHERE account_key = :account_key AND fingerprint = :fingerprint LIMIT 16;

-- name: sessions_page
-- Keyset page of all sessions, by e-mail and fingerprint.
SELECT {session} FROM auth_sessions
 WHERE (user_email, fingerprint) > (:after_email, :after_fingerprint) ORDER BY user_email, fingerprint LIMIT :limit;

-- name: sessions_page_by_status
SELECT {session} FROM auth_sessions
 WHERE status = :status AND (user_email, fingerprint) > (:after_email, :after_fingerprint)
 ORDER BY user_email, fingerprint LIMIT :limit;

-- name: insert_session
INSERT INTO auth_sessions (
  id, user_email, fingerprint, session_type, ref, created_at, updated_at, last_token_update_date, account_key, sealed,
  status, generation, revision, due_at, deadline_at, setrefresh_due, settled_in, alive_at, ring)
VALUES (
  :id, :email, :fingerprint, :session_type, :ref, :now, :now, :rotated_at, :account_key, :sealed,
  'active', 1, 1, :due_at, :deadline_at, :setrefresh_due, :settled_in, :alive_at, :ring);

-- name: replace_session
-- A login or adoption of a known pair: unconditional, one more generation. The claim of another is not freed.
UPDATE auth_sessions SET
  sealed = :sealed, revision = revision + 1, generation = generation + 1, status = 'active', cause = NULL,
  updated_at = :now, last_token_update_date = :rotated_at, last_token_update_error = NULL, last_refresh_error = NULL,
  account_key = :account_key, due_at = :due_at, deadline_at = :deadline_at, ended_at = NULL, wipe_at = NULL,
  attempt = 0, doubt_at = NULL, suspicion = NULL, alive_at = :alive_at, setrefresh_due = :setrefresh_due,
  settled_in = :settled_in, last_rotation_id = NULL, ring = :ring,
  session_type = COALESCE(:session_type, session_type), ref = COALESCE(:ref, ref)
 WHERE id = :id;

-- name: end_by_owner
-- The owner's end: final, secrets gone at once, so one more generation: no late rotation may undo it.
UPDATE auth_sessions SET
  sealed = :sealed, revision = revision + 1, generation = generation + 1, status = 'ended', cause = :cause,
  updated_at = :now, due_at = NULL, ended_at = :now, wipe_at = :wipe_at, attempt = 0, doubt_at = NULL,
  suspicion = NULL, setrefresh_due = 0, last_rotation_id = NULL
 WHERE id = :id;

-- name: revive
-- Undoes an end.
UPDATE auth_sessions SET
  revision = revision + 1, status = 'in_doubt', cause = NULL, updated_at = :now, due_at = :now, ended_at = NULL,
  wipe_at = NULL, suspicion = NULL
 WHERE id = :id;

-- name: wipe_ready
SELECT id, user_email, generation, {protected} FROM auth_sessions WHERE wipe_at <= :now ORDER BY wipe_at LIMIT :limit;

-- name: wipe_row
-- Keeps the row, without anything that opens a door.
UPDATE auth_sessions SET sealed = x'', account_key = '', wipe_at = NULL, revision = revision + 1 WHERE id = :id;

-- name: delete_row
DELETE FROM auth_sessions WHERE id = :id RETURNING user_email;

-- name: delete_events_of
DELETE FROM events WHERE session_id = :id;

-- name: insert_spare
-- No row back: it is kept already.
INSERT INTO spares (id, session_id, sealed, issued_at, kept_at, generation)
VALUES (:id, :session_id, :sealed, :issued_at, :now, :generation) ON CONFLICT (id) DO NOTHING RETURNING id;

-- name: youngest_spare
SELECT id, sealed FROM spares WHERE session_id = :session_id ORDER BY issued_at DESC, kept_at DESC LIMIT 1;

-- name: count_spares
SELECT spares FROM auth_sessions WHERE id = :id;

-- name: count_all_spares
-- Few, as a newer rotation deletes them; counted no further than anybody would want to know.
SELECT count(*) FROM (SELECT 1 FROM spares WHERE session_id > '' LIMIT 10000);

-- name: delete_spare
DELETE FROM spares WHERE id = :id;

-- name: delete_spares_before
-- A newer rotation proved them useless.
DELETE FROM spares WHERE session_id = :session_id AND kept_at <= :kept_before;

-- name: delete_spares_of
DELETE FROM spares WHERE session_id = :session_id;

-- name: insert_event
INSERT INTO events (at, kind, session_id, email, data) VALUES (:at, :kind, :session_id, :email, :data);

-- name: insert_events
-- The same for many, as one JSON list.
INSERT INTO events (at, kind, session_id, email, data)
SELECT value ->> 'at', value ->> 'kind', value ->> 'session_id', value ->> 'email', value ->> 'data'
  FROM json_each(:many);

-- name: events_of
SELECT id, at, kind, session_id, email, data FROM events
 WHERE session_id = :session_id AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: events_after
SELECT id, at, kind, session_id, email, data FROM events WHERE id > :after ORDER BY id LIMIT :limit;

-- name: ends_since
-- What ended lately, and why.
SELECT id, at, kind, session_id, email, data FROM events
 WHERE kind = 'ended' AND at >= :since ORDER BY at DESC, id DESC LIMIT :limit;

-- name: add_tally
INSERT INTO tallies (minute, what, count) VALUES (:minute, :what, :count)
ON CONFLICT (minute, what) DO UPDATE SET count = count + excluded.count;

-- name: tallies_since
SELECT what, sum(count) FROM tallies WHERE minute >= :minute GROUP BY what;

-- name: status_counts
SELECT status, count FROM status_counts;

-- name: count_failing
SELECT count(*) FROM auth_sessions INDEXED BY auth_sessions_failing WHERE attempt > 0 AND status <> 'ended';

-- name: count_unrotated_since
-- Sessions whose deadline shows that they were not rotated since; the few, not the many.
SELECT count(*) FROM auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL AND deadline_at < :deadline;

-- name: count_rotated_since
-- The living ones less those that were not: the few are counted, not the many.
SELECT (SELECT COALESCE(sum(count), 0) FROM status_counts WHERE status <> 'ended')
     - (SELECT count(*) FROM auth_sessions WHERE last_token_update_date < :since AND status <> 'ended');

-- name: count_overdue
SELECT count(*) FROM auth_sessions WHERE owner IS NULL AND due_at < :now;

-- name: count_left
-- What a pass that began then would still take.
SELECT count(*) FROM auth_sessions
 WHERE owner IS NULL AND due_at <= :now AND (due_at <= :begun OR (attempt = 0 AND last_token_update_date < :begun));

-- name: count_held_by_others
SELECT count(*) FROM auth_sessions WHERE owner IS NOT NULL AND owner <> :owner AND due_at <= :now;

-- name: lowest_deadline
SELECT min(deadline_at) FROM auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL;

-- name: insert_owner
INSERT INTO owners (id, name, role, pid, version, host, keys, started_at)
VALUES (:id, :name, :role, :pid, :version, :host, :keys, :now);

-- name: tick_owner
-- No row back: this owner was declared dead.
UPDATE owners SET tick_at = :now WHERE id = :id AND dead_at IS NULL RETURNING id;

-- name: mark_owner_dead
UPDATE owners SET dead_at = :now WHERE id = :id AND dead_at IS NULL RETURNING id;

-- name: free_ended_claims_of
-- What its owner ended while it was held has no token left to doubt, and must not come due.
UPDATE auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL WHERE owner = :owner AND status = 'ended';

-- name: doubt_claims_of
-- Nobody knows whether the dead holder's tokens left.
UPDATE auth_sessions SET
  status = CASE status WHEN 'active' THEN 'in_doubt' ELSE status END, attempt = attempt + 1, revision = revision + 1,
  last_token_update_error = 'holder_died', doubt_at = COALESCE(doubt_at, :now), due_at = :now,
  owner = NULL, claim_id = NULL, claimed_at = NULL
 WHERE owner = :owner RETURNING id, user_email, generation;

-- name: owner
SELECT id, name, role, pid, version, started_at, tick_at, dead_at FROM owners WHERE id = :id;

-- name: owners
-- With for how many microseconds each was silent; here a lock tells more.
SELECT id, name, role, pid, version, started_at, tick_at, dead_at, NULL, host, keys FROM owners ORDER BY started_at;

-- name: tell_keys
UPDATE owners SET keys = :keys WHERE id = :id;

-- name: stuck_owners
-- Owners who hold a claim too old to be in flight, though their lock is held: stopped, not dead.
SELECT DISTINCT owner FROM auth_sessions WHERE owner IS NOT NULL AND claimed_at < :claimed_before;

-- name: delete_owner
DELETE FROM owners WHERE id = :id;

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: set_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO UPDATE SET value = excluded.value;

-- name: add_meta
-- No row back: it is there already.
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING RETURNING key;

-- name: delete_meta
DELETE FROM meta WHERE key = :key;

-- name: insert_sign_in
INSERT INTO sign_ins (hash, expires_at) VALUES (:hash, :expires_at);

-- name: use_sign_in
DELETE FROM sign_ins WHERE hash = :hash AND expires_at > :now RETURNING hash;

-- name: prune_sign_ins
DELETE FROM sign_ins WHERE expires_at <= :now;

-- name: fleet
SELECT revision, outage_at, recovered_at, probe_at, probe_gap, held_at, throttled_until, paused_at, paused_until,
       copied_at, moved_to
  FROM fleet WHERE one = 1;

-- name: change_fleet
-- No row back: another process changed it first.
UPDATE fleet SET
  revision = revision + 1, outage_at = :outage_at, recovered_at = :recovered_at, probe_at = :probe_at,
  probe_gap = :probe_gap, held_at = :held_at, throttled_until = :throttled_until, paused_at = :paused_at,
  paused_until = :paused_until
 WHERE one = 1 AND revision = :revision RETURNING revision;

-- name: recall_ends
-- Ends declared just before a mass death was recognised: suspected instead. An owner's own end stays.
UPDATE auth_sessions INDEXED BY auth_sessions_ended SET
  status = 'suspected', cause = NULL, ended_at = NULL, wipe_at = NULL, due_at = :now, revision = revision + 1
 WHERE status = 'ended' AND ended_at >= :since AND account_key <> ''
   AND cause IN ('server_ended', 'double_spent', 'idle_timeout', 'token_expired', 'unknown')
RETURNING id, user_email, generation;

-- name: retry_suspected
-- Suspected ones are tried from the start, at once.
UPDATE auth_sessions SET
  status = 'in_doubt', suspicion = NULL, due_at = :now, revision = revision + 1
 WHERE id IN (SELECT id FROM auth_sessions WHERE status = 'suspected' AND owner IS NULL LIMIT :limit)
RETURNING id;

-- name: retry_failing
-- The upstream answers again: nobody waits any longer for what it could not do.
UPDATE auth_sessions SET due_at = :now, revision = revision + 1
 WHERE id IN (
         SELECT id FROM auth_sessions INDEXED BY auth_sessions_failing
          WHERE attempt > 0 AND status <> 'ended' AND owner IS NULL AND due_at > :now LIMIT :limit)
RETURNING id;

-- name: retriage
-- Due later than any rule can have set it: written while the clock stood elsewhere.
UPDATE auth_sessions SET due_at = :now, revision = revision + 1
 WHERE id IN (
         SELECT id FROM auth_sessions INDEXED BY auth_sessions_due
          WHERE owner IS NULL AND due_at > min(:latest, :latest_unfailed)
            AND (due_at > :latest OR (due_at > :latest_unfailed AND attempt = 0)) LIMIT :limit)
RETURNING id;

-- name: login_book
SELECT owner, failed_at, not_before FROM logins WHERE email = :email;

-- name: begin_login
-- No row back: somebody else is logging this account in.
INSERT INTO logins (email, owner, failed_at) VALUES (:email, :owner, :nothing)
ON CONFLICT (email) DO UPDATE SET owner = excluded.owner
 WHERE logins.owner IS NULL OR logins.owner = excluded.owner RETURNING failed_at, not_before;

-- name: finish_login
UPDATE logins SET owner = NULL, failed_at = :failed_at, not_before = :not_before
 WHERE email = :email AND owner = :owner RETURNING email;

-- name: delete_login_of
-- What is remembered of an account's logins goes with its last session.
DELETE FROM logins WHERE email = :email AND NOT EXISTS (SELECT 1 FROM auth_sessions WHERE user_email = :email);

-- name: free_logins_of
-- A dead process logs nobody in.
UPDATE logins SET owner = NULL WHERE owner = :owner;

-- name: fleet_events
-- Facts about the whole fleet, the latest last.
SELECT id, at, kind, session_id, email, data FROM events
 WHERE session_id IS NULL AND id > :after ORDER BY id LIMIT :limit;

-- name: each_session
-- For many who ask at once.
SELECT {session} FROM auth_sessions WHERE id = :id;
