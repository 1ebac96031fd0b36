-- What holds for all sessions at once, and the accounts' automatic logins. Instants as in 0001; durations in microseconds.

CREATE TABLE fleet (
  one             INTEGER PRIMARY KEY CHECK (one = 1),
  revision        INTEGER NOT NULL DEFAULT 0,
  outage_at       INTEGER,
  recovered_at    INTEGER,
  probe_at        INTEGER,
  probe_gap       INTEGER,
  held_at         INTEGER,
  throttled_until INTEGER,
  paused_at       INTEGER,
  paused_until    INTEGER
) STRICT;
INSERT INTO fleet (one) VALUES (1);

-- One automatic login at a time for each account, and what its last ones came to.
CREATE TABLE logins (
  email      TEXT PRIMARY KEY,
  owner      TEXT,             -- who is logging in now
  failed_at  BLOB NOT NULL,    -- the failed tries of the last hour
  not_before INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX auth_sessions_suspected ON auth_sessions (id) WHERE status = 'suspected';
CREATE INDEX auth_sessions_ended     ON auth_sessions (ended_at) WHERE status = 'ended';
-- Doubt is worth hurrying for while it is fresh: that is how long upstreams forgive.
DROP INDEX auth_sessions_in_doubt;
CREATE INDEX auth_sessions_in_doubt  ON auth_sessions (COALESCE(doubt_at, due_at)) WHERE owner IS NULL AND status = 'in_doubt';
