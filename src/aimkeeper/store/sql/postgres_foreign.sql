-- What is asked of a table of sessions that another program made. Written as `postgres.sql` says.

-- name: foreign_columns
-- What there is, with its type, and whether it may be NULL.
SELECT attname::text, format_type(atttypid, NULL), NOT attnotnull FROM pg_catalog.pg_attribute
 WHERE attrelid = 'public.auth_sessions'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- name: foreign_table
-- Whether it is a plain table; whether we may change it; whether its rows are hidden from others; whether an id, an
-- e-mail, an e-mail with its fingerprint is there only once.
SELECT kind.relkind = 'r', pg_has_role(kind.relowner, 'USAGE'), kind.relrowsecurity,
       COALESCE(bool_or(way.keys = '{id}'), false), COALESCE(bool_or(way.keys = '{user_email}'), false),
       COALESCE(bool_or(way.keys <@ '{user_email,fingerprint}'), false)
  FROM pg_catalog.pg_class AS kind
  LEFT JOIN LATERAL (
       SELECT ARRAY(SELECT pg_get_indexdef(indexrelid, part, true) FROM generate_series(1, indnkeyatts) AS part) AS keys
         FROM pg_catalog.pg_index
        WHERE indrelid = kind.oid AND indisunique AND indisvalid AND indpred IS NULL) AS way ON true
 WHERE kind.oid = 'public.auth_sessions'::regclass GROUP BY 1, 2, 3;

-- name: foreign_rows
-- How many there are; how many have no fingerprint, gave no sign of life for as long as the upstream keeps a session, or
-- are protected; and how many pairs of e-mail and fingerprint are there more than once.
SELECT count(*), count(*) FILTER (WHERE fingerprint = ''), count(*) FILTER (WHERE seen <= :alive_since),
       count(*) FILTER (WHERE is_protected), count(*) - count(DISTINCT (user_email, fingerprint))
  FROM (SELECT shown ->> 'user_email' AS user_email, COALESCE(shown ->> 'fingerprint', '') AS fingerprint,
               COALESCE((shown ->> 'protected')::boolean, false) AS is_protected, {seen} AS seen
          FROM public.auth_sessions AS session, to_jsonb(session) AS shown) AS rows;

-- name: take_in
-- Rows that aimkeeper has not seen yet. The living are spread over the next minutes, but within half of what is left to
-- them; those that gave no sign of life for long come after them, slowly. NULLs of the app's become what they mean.
WITH chosen AS MATERIALIZED (
       SELECT id FROM public.auth_sessions WHERE revision = 0 ORDER BY id LIMIT :limit FOR NO KEY UPDATE),
     found AS MATERIALIZED (
       SELECT session.id, {seen} AS seen
         FROM chosen JOIN public.auth_sessions AS session ON session.id = chosen.id, to_jsonb(session) AS shown)
UPDATE public.auth_sessions AS session SET
  revision = 1, account_key = split_part(aimharder_token, '|', 1),
  fingerprint = COALESCE(NULLIF(fingerprint, ''), :fingerprint),
  created_at = COALESCE(created_at, seen), updated_at = COALESCE(updated_at, seen),
  refresh_count = COALESCE(refresh_count, 0), token_update_count = COALESCE(token_update_count, 0),
  last_token_update_date = COALESCE(last_token_update_date, seen),
  deadline_at = seen + :idle_seconds::float8 * interval '1 second',
  due_at = CASE
    WHEN aimharder_token = '' THEN NULL
    WHEN seen + :idle_seconds::float8 * interval '1 second' > :now
    THEN :now + random() * LEAST(:spread_seconds::float8 * interval '1 second',
                                 (seen + :idle_seconds::float8 * interval '1 second' - :now) / 2)
    ELSE :now::timestamptz + (:spread_seconds::float8 + random() * :stale_seconds::float8) * interval '1 second' END
  FROM found WHERE session.id = found.id
RETURNING session.id;

-- name: readable
-- Page by page, what stands readable in a table that was taken over.
SELECT {session} FROM public.auth_sessions
 WHERE id > :after AND (aimharder_token <> '' OR aimharder_cookies <> '[]') ORDER BY id LIMIT :limit FOR NO KEY UPDATE;

-- name: sealed_only
-- Page by page, what an app that gets its table back could not read.
SELECT {session} FROM public.auth_sessions
 WHERE id > :after AND aimharder_token = '' AND sealed <> '' ORDER BY id LIMIT :limit FOR NO KEY UPDATE;

-- name: move_secrets
-- From the app's columns into the sealed one, or back; the session stays what it is.
-- many: id uuid, sealed bytea, plain text
UPDATE public.auth_sessions SET sealed = :sealed, aimharder_token = :plain::jsonb ->> 'token',
  aimharder_cookies = :plain::jsonb -> 'cookies', revision = revision + 1
  FROM {given} WHERE id = :id RETURNING given.n;

-- name: emails_with_several
-- Accounts with more sessions than the app's own rule allows.
SELECT count(*) FROM (SELECT FROM public.auth_sessions GROUP BY user_email HAVING count(*) > 1) AS several;

-- name: set_rules
-- No row back: they are so already.
UPDATE aimkeeper.meta SET value = (value::jsonb || :rules::jsonb)::text
 WHERE key = 'adopted' AND NOT value::jsonb @> :rules::jsonb RETURNING key;

-- name: owners_alive
-- Who beat within so many seconds, by the database's own clock.
SELECT name, pid FROM aimkeeper.owners
 WHERE dead_at IS NULL AND beat_at > clock_timestamp() - :seconds::float8 * interval '1 second' ORDER BY started_at;
