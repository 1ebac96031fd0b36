-- Who comes over HTTP: those who may act for one session, and tries that are counted. Instants as in 0001.

-- A member's cookie, or the bearer of a bot on another machine: by hash, good for one session.
CREATE TABLE tickets (
  hash       TEXT PRIMARY KEY,   -- SHA-256 of the secret
  kind       TEXT NOT NULL,      -- member, bot
  session_id TEXT NOT NULL REFERENCES auth_sessions (id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tickets_of     ON tickets (session_id, kind, created_at);
CREATE INDEX tickets_expiry ON tickets (expires_at);

-- Counted tries, by what they are counted for (a hash, for there is an address in it).
CREATE TABLE limits (
  bucket     TEXT PRIMARY KEY,
  hits       BLOB NOT NULL,      -- the instants of those that still count
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX limits_expiry ON limits (expires_at);
