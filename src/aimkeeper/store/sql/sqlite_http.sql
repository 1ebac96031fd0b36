-- The embedded store's statements that serve the HTTP API alone: members, limits, the feed, lists to search in. Written as
-- `sqlite.sql` says.

-- name: insert_ticket
INSERT INTO tickets (hash, kind, session_id, created_at, expires_at)
VALUES (:hash, :kind, :session_id, :now, :expires_at);

-- name: ticket
SELECT session_id FROM tickets WHERE hash = :hash AND kind = :kind AND expires_at > :now;

-- name: delete_ticket
DELETE FROM tickets WHERE hash = :hash AND kind = :kind;

-- name: delete_tickets_of
DELETE FROM tickets WHERE session_id = :session_id AND kind = :kind RETURNING hash;

-- name: delete_every_ticket_of
-- Its owner ended the session: nobody acts for it any more.
DELETE FROM tickets WHERE session_id = :session_id;

-- name: keep_young_tickets
-- Whoever signs in again and again leaves no heap behind.
DELETE FROM tickets WHERE hash IN (
  SELECT hash FROM tickets WHERE session_id = :session_id AND kind = :kind
   ORDER BY created_at DESC LIMIT 1000 OFFSET :keep);

-- name: prune_tickets
DELETE FROM tickets WHERE expires_at <= :now;

-- name: take_limit
-- Takes the bucket's row for this transaction, so that two processes can't both count the last try.
INSERT INTO limits (bucket, hits, expires_at) VALUES (:bucket, :nothing, :expires_at)
ON CONFLICT (bucket) DO UPDATE SET expires_at = excluded.expires_at RETURNING hits;

-- name: write_limit
UPDATE limits SET hits = :hits WHERE bucket = :bucket;

-- name: delete_limit
DELETE FROM limits WHERE bucket = :bucket;

-- name: prune_limits
DELETE FROM limits WHERE expires_at <= :now;

-- name: feed_after
-- What was committed after a place, in the order of the feed. Here ids are given in the order of commits: one epoch.
SELECT 0, id, at, kind, session_id, email, data FROM events WHERE id > :id ORDER BY id LIMIT :limit;

-- name: feed_end
-- The place of the latest.
SELECT 0, COALESCE(max(id), 0) FROM events;

-- name: sessions_of_account
-- For a browser that comes with the site's own cookie, which names the account as tokens do.
SELECT {session} FROM auth_sessions WHERE account_key = :account_key ORDER BY fingerprint LIMIT :limit;

-- name: sessions_page_starting
-- Keyset page of the sessions whose e-mail begins so: from the beginning on, or from where the page before ended. One
-- lower bound, for of two the database may take the wrong one, and read all that stands before.
SELECT {session} FROM auth_sessions
 WHERE (user_email, fingerprint) > (:after_email, :after_fingerprint) AND user_email < :beyond
 ORDER BY user_email, fingerprint LIMIT :limit;

-- name: sessions_page_starting_by_status
SELECT {session} FROM auth_sessions
 WHERE status = :status AND (user_email, fingerprint) > (:after_email, :after_fingerprint)
   AND user_email < :beyond
 ORDER BY user_email, fingerprint LIMIT :limit;

-- name: count_ends_since
SELECT count(*) FROM events WHERE kind = 'ended' AND at >= :since;
