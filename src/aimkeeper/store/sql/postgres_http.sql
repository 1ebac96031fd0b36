-- The shared store's statements that serve the HTTP API alone: members, limits, the feed, lists to search in.

-- name: insert_ticket
INSERT INTO aimkeeper.tickets (hash, kind, session_id, created_at, expires_at)
VALUES (:hash, :kind, :session_id, :now, :expires_at);

-- name: ticket
-- many: hash text, kind text, now timestamptz
SELECT given.n, session_id FROM {given} JOIN aimkeeper.tickets ON hash = :hash AND kind = :kind AND expires_at > :now;

-- name: delete_ticket
DELETE FROM aimkeeper.tickets WHERE hash = :hash AND kind = :kind;

-- name: delete_tickets_of
DELETE FROM aimkeeper.tickets WHERE session_id = :session_id AND kind = :kind RETURNING hash;

-- name: delete_every_ticket_of
-- Its owner ended the session: nobody acts for it any more.
DELETE FROM aimkeeper.tickets WHERE session_id = :session_id;

-- name: keep_young_tickets
-- Whoever signs in again and again leaves no heap behind.
DELETE FROM aimkeeper.tickets WHERE hash = ANY (ARRAY(
  SELECT hash FROM aimkeeper.tickets WHERE session_id = :session_id AND kind = :kind
   ORDER BY created_at DESC LIMIT 1000 OFFSET :keep));

-- name: prune_tickets
-- What another process prunes at this moment is left to it.
DELETE FROM aimkeeper.tickets WHERE hash = ANY (ARRAY(
  SELECT hash FROM aimkeeper.tickets WHERE expires_at <= :now FOR UPDATE SKIP LOCKED));

-- name: take_limit
-- Takes the bucket's row for this transaction, so that two processes can't both count the last try.
INSERT INTO aimkeeper.limits (bucket, hits, expires_at) VALUES (:bucket, :nothing, :expires_at)
ON CONFLICT (bucket) DO UPDATE SET expires_at = excluded.expires_at RETURNING hits;

-- name: write_limit
UPDATE aimkeeper.limits SET hits = :hits WHERE bucket = :bucket;

-- name: delete_limit
DELETE FROM aimkeeper.limits WHERE bucket = :bucket;

-- name: prune_limits
-- What another process counts at this moment is left to it: to wait for it here would be to wait in a circle.
DELETE FROM aimkeeper.limits WHERE bucket = ANY (ARRAY(
  SELECT bucket FROM aimkeeper.limits WHERE expires_at <= :now FOR UPDATE SKIP LOCKED));

-- name: feed_after
-- What was committed after a place, in the order of the feed: by transaction, as far as all of them are over.
SELECT epoch, id, at, kind, session_id, email, data FROM aimkeeper.events
 WHERE (epoch, id) > (:epoch, :id) AND epoch < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
 ORDER BY epoch, id LIMIT :limit;

-- name: feed_end
-- The place before everything that is committed from now on.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, 0;

-- name: sessions_of_account
-- For a browser that comes with the site's own cookie, which names the account as tokens do.
SELECT {session} FROM public.auth_sessions WHERE account_key = :account_key ORDER BY fingerprint LIMIT :limit;

-- name: sessions_page_starting
-- Keyset page of the sessions whose e-mail begins so: from the beginning on, or from where the page before ended. One
-- lower bound, for of two the database may take the wrong one, and read all that stands before.
SELECT {session} FROM public.auth_sessions
 WHERE (user_email, fingerprint) > (:after_email, :after_fingerprint) AND user_email < :beyond
 ORDER BY user_email, fingerprint LIMIT :limit;

-- name: sessions_page_starting_by_status
SELECT {session} FROM public.auth_sessions
 WHERE status = :status AND (user_email, fingerprint) > (:after_email, :after_fingerprint)
   AND user_email < :beyond
 ORDER BY user_email, fingerprint LIMIT :limit;

-- name: count_ends_since
SELECT count(*) FROM aimkeeper.events WHERE kind = 'ended' AND at >= :since;

-- name: each_session
-- For many who ask at once.
-- many: id uuid
SELECT given.n, {session} FROM {given} JOIN public.auth_sessions ON id = :id;
