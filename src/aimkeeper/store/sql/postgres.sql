-- Every statement of the shared store. `-- name: word` begins one; the next comment line says what it is for. `-- many:`
-- names and types the parameters of one that takes many sets at once: {given} is the table of them, {id[]} the list of one
-- parameter's values; `-- once:` names those that come once beside them (`queries.py`).
-- {session} stands for the columns of a session, in the order `rows.py` reads them. Every table is named with its schema.
-- A claim, a beat and a question are each a transaction of their own; set_config(…, true) ends with it.

-- name: claim_steady
-- `num_nulls`: until it has counted, the planner takes IS NULL for rare. What was taken is noted in the list of claims.
-- Takes what lately may have rotated without us hearing, the freshest doubt first; then what is due, the longest due
-- first. The lock on the owner's row holds off whoever wants to mark it dead, and no beat.
WITH alive AS MATERIALIZED (
       SELECT id FROM aimkeeper.owners
        WHERE id = :owner AND dead_at IS NULL AND set_config('synchronous_commit', 'on', true) = 'on'
          AND EXISTS (SELECT 1 FROM aimkeeper.fleet WHERE copied_at IS NULL AND moved_to IS NULL) FOR KEY SHARE),
     doubted AS MATERIALIZED (
       SELECT id FROM public.auth_sessions
        WHERE num_nulls(owner) > 0 AND status = 'in_doubt' AND COALESCE(doubt_at, due_at) > :fresh AND due_at <= :begun
          AND EXISTS (SELECT 1 FROM alive)
        ORDER BY COALESCE(doubt_at, due_at) DESC LIMIT :limit FOR UPDATE SKIP LOCKED),
     due AS MATERIALIZED (
       SELECT id FROM public.auth_sessions
        WHERE num_nulls(owner) > 0 AND due_at <= :now
          AND (due_at <= :begun OR (attempt = 0 AND last_token_update_date < :begun))
          AND id <> ALL (ARRAY(SELECT id FROM doubted)) AND EXISTS (SELECT 1 FROM alive)
        ORDER BY due_at LIMIT :limit - (SELECT count(*) FROM doubted) FOR UPDATE SKIP LOCKED),
     taken AS MATERIALIZED (SELECT ARRAY(SELECT id FROM doubted UNION ALL SELECT id FROM due) AS ids),
     noted AS (
       INSERT INTO aimkeeper.claims (id, owner, sessions) SELECT :claim_id, :owner, ids FROM taken WHERE ids <> '{}')
UPDATE public.auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE id = ANY ((SELECT ids FROM taken)::uuid[])
RETURNING {session};

-- name: claim_backlog
-- In a backlog: the doubted as above; then the earliest deadline first among those an answer can still reach in time; and
-- only when none of these is left, those past their deadline, the least late first.
WITH alive AS MATERIALIZED (
       SELECT id FROM aimkeeper.owners
        WHERE id = :owner AND dead_at IS NULL AND set_config('synchronous_commit', 'on', true) = 'on'
          AND EXISTS (SELECT 1 FROM aimkeeper.fleet WHERE copied_at IS NULL AND moved_to IS NULL) FOR KEY SHARE),
     doubted AS MATERIALIZED (
       SELECT id FROM public.auth_sessions
        WHERE num_nulls(owner) > 0 AND status = 'in_doubt' AND COALESCE(doubt_at, due_at) > :fresh AND due_at <= :begun
          AND EXISTS (SELECT 1 FROM alive)
        ORDER BY COALESCE(doubt_at, due_at) DESC LIMIT :limit FOR UPDATE SKIP LOCKED),
     living AS MATERIALIZED (
       SELECT id FROM public.auth_sessions
        WHERE num_nulls(owner) > 0 AND deadline_at > :eta AND due_at <= :now
          AND id <> ALL (ARRAY(SELECT id FROM doubted)) AND EXISTS (SELECT 1 FROM alive)
        ORDER BY deadline_at LIMIT :limit - (SELECT count(*) FROM doubted) FOR UPDATE SKIP LOCKED),
     hopeless AS MATERIALIZED (
       SELECT id FROM public.auth_sessions
        WHERE num_nulls(owner) > 0 AND deadline_at <= :eta AND due_at <= :now AND EXISTS (SELECT 1 FROM alive)
          AND NOT EXISTS (SELECT 1 FROM doubted) AND NOT EXISTS (SELECT 1 FROM living)
        ORDER BY deadline_at DESC LIMIT :limit FOR UPDATE SKIP LOCKED),
     taken AS MATERIALIZED (
       SELECT ARRAY(SELECT id FROM doubted UNION ALL SELECT id FROM living UNION ALL SELECT id FROM hopeless) AS ids),
     noted AS (
       INSERT INTO aimkeeper.claims (id, owner, sessions) SELECT :claim_id, :owner, ids FROM taken WHERE ids <> '{}')
UPDATE public.auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE id = ANY ((SELECT ids FROM taken)::uuid[])
RETURNING {session};

-- name: claim_one
-- Takes one session, due or not, for a caller who asks for it.
WITH alive AS MATERIALIZED (
       SELECT id FROM aimkeeper.owners
        WHERE id = :owner AND dead_at IS NULL AND set_config('synchronous_commit', 'on', true) = 'on'
          AND EXISTS (SELECT 1 FROM aimkeeper.fleet WHERE copied_at IS NULL AND moved_to IS NULL) FOR KEY SHARE),
     taken AS MATERIALIZED (
       SELECT id FROM public.auth_sessions
        WHERE id = :id AND owner IS NULL AND status <> 'ended' AND EXISTS (SELECT 1 FROM alive) FOR NO KEY UPDATE),
     noted AS (
       INSERT INTO aimkeeper.claims (id, owner, sessions) SELECT :claim_id, :owner, ARRAY[id] FROM taken)
UPDATE public.auth_sessions SET owner = :owner, claim_id = :claim_id, claimed_at = :claimed_at
 WHERE id = ANY (ARRAY(SELECT id FROM taken))
RETURNING {session};

-- name: free_claim
-- Gives one unsent claim back.
UPDATE public.auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL
 WHERE id = :id AND owner = :owner AND claim_id = :claim_id RETURNING id;

-- name: free_lost_claim
-- Gives back what was claimed without our hearing: the answer was lost, or whoever asked has gone.
UPDATE public.auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL
 WHERE id = ANY (ARRAY(SELECT unnest(sessions) FROM aimkeeper.claims WHERE id = :claim_id))
   AND owner = :owner AND claim_id = :claim_id;

-- name: prune_claims
-- Of ours, those of which nothing is held any more.
DELETE FROM aimkeeper.claims
 WHERE id = ANY (ARRAY(
         SELECT id FROM aimkeeper.claims AS claim
          WHERE claim.owner = :owner AND NOT EXISTS (
                SELECT 1 FROM public.auth_sessions AS held
                 WHERE held.id = ANY (claim.sessions) AND held.owner = claim.owner AND held.claim_id = claim.id)
            FOR UPDATE SKIP LOCKED));

-- name: put_off_unreadable
-- A row whose secrets do not open must not hold up the others.
UPDATE public.auth_sessions SET owner = NULL, claim_id = NULL, claimed_at = NULL, due_at = :due_at,
  attempt = attempt + 1, last_token_update_error = 'unreadable_secrets', revision = revision + 1
 WHERE id = :id AND owner = :owner AND claim_id = :claim_id;

-- name: next_due
-- When something is next to be done.
SELECT min(due_at) FROM public.auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL;

-- name: commit_rotation
-- A fresh token: asks only that nobody rotated first. The revision tells whether the sealed part is still ours to write.
-- Rows are locked in the order of their ids first, the losers' too: two groups can't wait for one another in a circle.
-- many: id uuid, held_generation bigint, held_revision bigint, claim_owner text, claim_id text, release boolean,
-- many: sealed bytea, generation bigint, status text, cause text, fingerprint text, now timestamptz,
-- many: rotated_at timestamptz, rotations integer, last_error text, setrefresh_at timestamptz,
-- many: setrefresh_count integer, setrefresh_error text, account_key text, due_at timestamptz,
-- many: deadline_at timestamptz, ended_at timestamptz, wipe_at timestamptz, attempt integer, doubt_at timestamptz,
-- many: suspicion bytea, alive_at timestamptz, setrefresh_due boolean, settled_in boolean, ring bytea{plain_type}
WITH held AS MATERIALIZED (SELECT id FROM public.auth_sessions WHERE id = ANY ({id[]}) ORDER BY id FOR NO KEY UPDATE)
UPDATE public.auth_sessions SET {write}, last_rotation_id = :claim_id FROM {given}
 WHERE id = :id AND generation = :held_generation AND revision = :held_revision
   AND (SELECT count(*) FROM held) IS NOT NULL
RETURNING given.n, revision, fingerprint, spares, owner;

-- name: commit_routine
-- For rotations that change nothing but what every rotation changes, most of them, on rows that are as they were held.
-- The rows are found one after another in the order given, so they are locked in the order of their ids. Where one is not
-- as it was held, 1 / 0 takes all of it back.
-- many: id uuid, held_generation bigint, held_revision bigint, claim_owner text, claim_id text, sealed bytea,
-- many: generation bigint, now timestamptz, rotated_at timestamptz, rotations integer, due_at timestamptz,
-- many: deadline_at timestamptz, ring bytea{plain_type}
-- once: minute bigint, what text, count bigint
WITH done AS (
       UPDATE public.auth_sessions SET {routine} FROM {given}
        WHERE id = :id AND generation = :held_generation AND revision = :held_revision AND owner = :claim_owner
          AND spares = 0
       RETURNING 1),
     counted AS (INSERT INTO aimkeeper.tallies (minute, what, count) SELECT :minute, :what, count(*) FROM done)
SELECT 1 / (count(*) = :count AND set_config('synchronous_commit', 'on', true) = 'on')::integer FROM done;

-- name: commit_attempt
-- Anything less than a rotation speaks only for the holder of the claim.
-- many: id uuid, held_generation bigint, held_revision bigint, claim_owner text, claim_id text, release boolean,
-- many: sealed bytea, generation bigint, status text, cause text, fingerprint text, now timestamptz,
-- many: rotated_at timestamptz, rotations integer, last_error text, setrefresh_at timestamptz,
-- many: setrefresh_count integer, setrefresh_error text, account_key text, due_at timestamptz,
-- many: deadline_at timestamptz, ended_at timestamptz, wipe_at timestamptz, attempt integer, doubt_at timestamptz,
-- many: suspicion bytea, alive_at timestamptz, setrefresh_due boolean, settled_in boolean, ring bytea{plain_type}
WITH held AS MATERIALIZED (SELECT id FROM public.auth_sessions WHERE id = ANY ({id[]}) ORDER BY id FOR NO KEY UPDATE)
UPDATE public.auth_sessions SET {write} FROM {given}
 WHERE id = :id AND generation = :held_generation AND revision = :held_revision
   AND owner = :claim_owner AND claim_id = :claim_id AND (SELECT count(*) FROM held) IS NOT NULL
RETURNING given.n, revision, fingerprint, spares, owner;

-- name: commit_touch
-- Handouts, cookies: only the sealed part changes, and when whoami last recognised it.
-- many: id uuid, held_revision bigint, sealed bytea, alive_at timestamptz, now timestamptz{plain_type}
WITH held AS MATERIALIZED (SELECT id FROM public.auth_sessions WHERE id = ANY ({id[]}) ORDER BY id FOR NO KEY UPDATE)
UPDATE public.auth_sessions SET {write_plain}
  sealed = :sealed, alive_at = :alive_at, revision = revision + 1, updated_at = :now
  FROM {given}
 WHERE id = :id AND revision = :held_revision AND (SELECT count(*) FROM held) IS NOT NULL
RETURNING given.n, revision, fingerprint, spares, owner;

-- name: row_now
-- The row as it now is, with what tells whose it is; nobody changes it while this transaction lasts.
SELECT {session}, last_rotation_id, claim_id FROM public.auth_sessions WHERE id = :id FOR NO KEY UPDATE;

-- name: session_by_id
SELECT {session} FROM public.auth_sessions WHERE id = :id;

-- name: lock_by_id
-- For one who writes what it read here; nobody else writes while this transaction lasts.
SELECT {session} FROM public.auth_sessions WHERE id = :id FOR NO KEY UPDATE;

-- name: lock_by_pair
SELECT {session} FROM public.auth_sessions
 WHERE {same_email} AND fingerprint = :fingerprint FOR NO KEY UPDATE;

-- name: session_by_pair
SELECT {session} FROM public.auth_sessions WHERE {same_email} AND fingerprint = :fingerprint;

-- name: sessions_by_email
SELECT {session} FROM public.auth_sessions WHERE {same_email} ORDER BY fingerprint LIMIT :limit;

-- name: sessions_by_ref
SELECT {session} FROM public.auth_sessions WHERE ref = :ref LIMIT :limit;

-- name: sessions_by_account
-- For a caller who presents a token: the user id in it and the fingerprint lead to the row.
SELECT {session} FROM public.auth_sessions WHERE account_key = :account_key AND fingerprint = :fingerprint LIMIT 16;

-- name: sessions_page
-- Keyset page of all sessions, by e-mail and fingerprint.
SELECT {session} FROM public.auth_sessions
 WHERE (user_email, fingerprint) > (:after_email, :after_fingerprint) ORDER BY user_email, fingerprint LIMIT :limit;

-- name: sessions_page_by_status
-- Nearly all are active: the way through all of them is short.
(SELECT {session} FROM public.auth_sessions
  WHERE :status = 'active' AND status = 'active' AND (user_email, fingerprint) > (:after_email, :after_fingerprint)
  ORDER BY user_email, fingerprint LIMIT :limit)
UNION ALL
(SELECT {session} FROM public.auth_sessions
  WHERE status = :status AND status <> 'active' AND (user_email, fingerprint) > (:after_email, :after_fingerprint)
  ORDER BY user_email, fingerprint LIMIT :limit);

-- name: insert_session
INSERT INTO public.auth_sessions (
  id, user_email, fingerprint, session_type, ref, created_at, updated_at, last_token_update_date, account_key, sealed,
  status, generation, revision, due_at, deadline_at, setrefresh_due, settled_in, alive_at, ring{plain_columns})
VALUES (
  :id, :email, :fingerprint, {session_type}, :ref, :now, :now, :rotated_at, :account_key, :sealed,
  'active', 1, 1, :due_at, :deadline_at, :setrefresh_due, :settled_in, :alive_at, :ring{plain_values});

-- name: replace_session
-- A login or adoption of a known pair: unconditional, one more generation. The claim of another is not freed. Where an
-- app's table has room for one session of an account only, it may have come with another fingerprint.
UPDATE public.auth_sessions SET {write_plain}
  fingerprint = :fingerprint,
  sealed = :sealed, revision = revision + 1, generation = generation + 1, status = 'active', cause = NULL,
  updated_at = :now, last_token_update_date = :rotated_at, last_token_update_error = NULL, last_refresh_error = NULL,
  account_key = :account_key, due_at = :due_at, deadline_at = :deadline_at, ended_at = NULL, wipe_at = NULL,
  attempt = 0, doubt_at = NULL, suspicion = NULL, alive_at = :alive_at, setrefresh_due = :setrefresh_due,
  settled_in = :settled_in, last_rotation_id = NULL, ring = :ring,
  session_type = COALESCE(:session_type, session_type), ref = COALESCE(:ref, ref)
 WHERE id = :id;

-- name: end_by_owner
-- The owner's end: final, secrets gone at once, so one more generation: no late rotation may undo it.
UPDATE public.auth_sessions SET {no_plain}
  sealed = :sealed, revision = revision + 1, generation = generation + 1, status = 'ended', cause = :cause,
  updated_at = :now, due_at = NULL, ended_at = :now, wipe_at = :wipe_at, attempt = 0, doubt_at = NULL,
  suspicion = NULL, setrefresh_due = false, last_rotation_id = NULL
 WHERE id = :id;

-- name: revive
-- Undoes an end.
UPDATE public.auth_sessions SET
  revision = revision + 1, status = 'in_doubt', cause = NULL, updated_at = :now, due_at = :now, ended_at = NULL,
  wipe_at = NULL, suspicion = NULL
 WHERE id = :id;

-- name: wipe_ready
-- Locked, so that none of them is revived while it is being wiped.
SELECT id, user_email, generation, {protected} FROM public.auth_sessions WHERE wipe_at <= :now ORDER BY wipe_at LIMIT :limit
   FOR UPDATE SKIP LOCKED;

-- name: wipe_row
-- Keeps the row, without anything that opens a door.
-- many: id uuid
UPDATE public.auth_sessions SET {no_plain} sealed = '', account_key = '', wipe_at = NULL, revision = revision + 1
  FROM {given} WHERE id = :id RETURNING given.n;

-- name: delete_row
-- No row back: it is gone already, or protected by the app that made it.
-- many: id uuid
DELETE FROM public.auth_sessions USING {given} WHERE id = :id {unprotected} RETURNING given.n, user_email;

-- name: delete_events_of
DELETE FROM aimkeeper.events WHERE session_id = :id;

-- name: insert_spare
-- No row back: it is kept already.
INSERT INTO aimkeeper.spares (id, session_id, sealed, issued_at, kept_at, generation)
VALUES (:id, :session_id, :sealed, :issued_at, :now, :generation) ON CONFLICT (id) DO NOTHING RETURNING id;

-- name: youngest_spare
SELECT id, sealed FROM aimkeeper.spares
 WHERE session_id = :session_id ORDER BY issued_at DESC, kept_at DESC LIMIT 1;

-- name: count_spares
SELECT spares FROM public.auth_sessions WHERE id = :id;

-- name: count_all_spares
-- Few, as a newer rotation deletes them; counted no further than anybody would want to know.
SELECT count(*) FROM (SELECT FROM aimkeeper.spares LIMIT 10000) AS kept;

-- name: delete_spare
DELETE FROM aimkeeper.spares WHERE id = :id;

-- name: delete_spares_before
-- A newer rotation proved them useless.
DELETE FROM aimkeeper.spares WHERE session_id = :session_id AND kept_at <= :kept_before;

-- name: delete_spares_of
-- many: session_id uuid
DELETE FROM aimkeeper.spares USING {given} WHERE session_id = :session_id RETURNING given.n;

-- name: insert_event
-- many: at timestamptz, kind text, session_id uuid, email text, data text
INSERT INTO aimkeeper.events (at, kind, session_id, email, data)
SELECT :at, :kind, :session_id, :email, :data FROM {given} ORDER BY given.n;

-- name: events_of
SELECT id, at, kind, session_id, email, data FROM aimkeeper.events
 WHERE session_id = :session_id AND id < :before ORDER BY id DESC LIMIT :limit;

-- name: events_after
-- A smaller id may come to light later: whoever must miss none reads the feed.
SELECT id, at, kind, session_id, email, data FROM aimkeeper.events WHERE id > :after ORDER BY id LIMIT :limit;

-- name: ends_since
-- What ended lately, and why.
SELECT id, at, kind, session_id, email, data FROM aimkeeper.events
 WHERE kind = 'ended' AND at >= :since ORDER BY at DESC, id DESC LIMIT :limit;

-- name: count_ends_since
SELECT count(*) FROM aimkeeper.events WHERE kind = 'ended' AND at >= :since;

-- name: add_tally
-- many: minute bigint, what text, count bigint
INSERT INTO aimkeeper.tallies (minute, what, count) SELECT :minute, :what, :count FROM {given};

-- name: tallies_since
SELECT what, sum(count)::bigint FROM aimkeeper.tallies WHERE minute >= :minute GROUP BY what;

-- name: fold_tallies
-- One line for each word of a minute that is over. One process at a time is enough.
WITH gone AS (
       DELETE FROM aimkeeper.tallies
        WHERE NOT folded AND minute < :this_minute AND (SELECT pg_try_advisory_xact_lock(4707184671))
       RETURNING minute, what, count)
INSERT INTO aimkeeper.tallies (minute, what, count, folded)
SELECT minute, what, sum(count), true FROM gone GROUP BY minute, what;

-- name: status_counts
SELECT status, sum(count)::bigint FROM aimkeeper.status_counts GROUP BY status HAVING sum(count) <> 0;

-- name: fold_counts
-- One line for each status. Whoever reads meanwhile sees the old lines or the new, never both.
WITH gone AS (
       DELETE FROM aimkeeper.status_counts WHERE (SELECT pg_try_advisory_xact_lock(4707184672)) RETURNING status, count)
INSERT INTO aimkeeper.status_counts (status, count)
SELECT status, sum(count) FROM gone GROUP BY status HAVING sum(count) <> 0;

-- name: count_failing
SELECT count(*) FROM public.auth_sessions WHERE attempt > 0 AND status <> 'ended';

-- name: count_unrotated_since
-- Sessions whose deadline shows that they were not rotated since; the few, not the many.
SELECT count(*) FROM public.auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL AND deadline_at < :deadline;

-- name: count_rotated_since
-- The living ones less those that were not: the few are counted, not the many.
SELECT (SELECT COALESCE(sum(count), 0) FROM aimkeeper.status_counts WHERE status <> 'ended')::bigint
     - (SELECT count(*) FROM public.auth_sessions WHERE last_token_update_date < :since AND status <> 'ended');

-- name: count_overdue
SELECT count(*) FROM public.auth_sessions WHERE owner IS NULL AND due_at < :now;

-- name: count_left
-- What a pass that began then would still take.
SELECT count(*) FROM public.auth_sessions
 WHERE owner IS NULL AND due_at <= :now AND (due_at <= :begun OR (attempt = 0 AND last_token_update_date < :begun));

-- name: count_held_by_others
SELECT count(*) FROM public.auth_sessions
 WHERE id = ANY (ARRAY(SELECT unnest(sessions) FROM aimkeeper.claims WHERE owner <> :owner))
   AND owner IS NOT NULL AND owner <> :owner AND due_at <= :now;

-- name: lowest_deadline
SELECT min(deadline_at) FROM public.auth_sessions WHERE owner IS NULL AND due_at IS NOT NULL;
