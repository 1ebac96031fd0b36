-- The embedded store. Instants are whole microseconds since 1970, UTC.

CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

-- The first fifteen columns are those AimHarder apps on Supabase already have (docs/upstream.md), the rest is ours.
CREATE TABLE auth_sessions (
  id                      TEXT PRIMARY KEY,
  user_email              TEXT NOT NULL,
  fingerprint             TEXT NOT NULL,
  aimharder_token         TEXT NOT NULL DEFAULT '',    -- stays empty: the token is in `sealed`
  aimharder_cookies       TEXT NOT NULL DEFAULT '[]',  -- likewise
  session_type            TEXT,
  created_at              INTEGER NOT NULL,
  updated_at              INTEGER NOT NULL,
  last_refresh_date       INTEGER,                     -- the last setrefresh
  refresh_count           INTEGER NOT NULL DEFAULT 0,
  last_refresh_error      TEXT,
  auto_refresh_enabled    INTEGER NOT NULL DEFAULT 1,
  last_token_update_date  INTEGER NOT NULL,            -- when the present token came
  token_update_count      INTEGER NOT NULL DEFAULT 0,
  last_token_update_error TEXT,

  ref                     TEXT UNIQUE,                 -- the platform's own user id
  account_key             TEXT NOT NULL,               -- the token's text before its first `|`
  sealed                  BLOB NOT NULL,               -- token, jar, password, handouts
  status                  TEXT NOT NULL,
  cause                   TEXT,
  generation              INTEGER NOT NULL,            -- how many tokens were committed
  revision                INTEGER NOT NULL,            -- how often the row was written
  due_at                  INTEGER,                     -- NULL: nothing to do
  deadline_at             INTEGER NOT NULL,
  ended_at                INTEGER,
  wipe_at                 INTEGER,
  attempt                 INTEGER NOT NULL DEFAULT 0,
  doubt_at                INTEGER,
  suspicion               BLOB,
  alive_at                INTEGER,
  setrefresh_due          INTEGER NOT NULL DEFAULT 0,
  settled_in              INTEGER NOT NULL DEFAULT 0,
  spares                  INTEGER NOT NULL DEFAULT 0,
  ring                    BLOB NOT NULL,               -- the last 16 exchanges
  owner                   TEXT,                        -- who holds it now
  claim_id                TEXT,
  claimed_at              INTEGER,                     -- microseconds on the machine's clock that stands still in sleep
  last_rotation_id        TEXT,                        -- the claim that brought the present token
  UNIQUE (user_email, fingerprint)
) STRICT;

CREATE INDEX auth_sessions_due      ON auth_sessions (due_at)      WHERE owner IS NULL AND due_at IS NOT NULL;
CREATE INDEX auth_sessions_deadline ON auth_sessions (deadline_at) WHERE owner IS NULL AND due_at IS NOT NULL;
CREATE INDEX auth_sessions_in_doubt ON auth_sessions (due_at)      WHERE owner IS NULL AND status = 'in_doubt';
CREATE INDEX auth_sessions_owned    ON auth_sessions (owner)       WHERE owner IS NOT NULL;
CREATE INDEX auth_sessions_wipe     ON auth_sessions (wipe_at)     WHERE wipe_at IS NOT NULL;
CREATE INDEX auth_sessions_status   ON auth_sessions (status, user_email, fingerprint);
CREATE INDEX auth_sessions_failing  ON auth_sessions (id)          WHERE attempt > 0 AND status <> 'ended';
CREATE INDEX auth_sessions_rotated  ON auth_sessions (last_token_update_date) WHERE status <> 'ended';
CREATE INDEX auth_sessions_account  ON auth_sessions (account_key, fingerprint);

-- Counts are kept, never scanned for.
CREATE TABLE status_counts (
  status TEXT PRIMARY KEY,
  count  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER auth_sessions_counted_in AFTER INSERT ON auth_sessions BEGIN
  INSERT INTO status_counts VALUES (new.status, 1) ON CONFLICT (status) DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER auth_sessions_counted_out AFTER DELETE ON auth_sessions BEGIN
  UPDATE status_counts SET count = count - 1 WHERE status = old.status;
END;
CREATE TRIGGER auth_sessions_recounted AFTER UPDATE OF status ON auth_sessions WHEN old.status <> new.status BEGIN
  UPDATE status_counts SET count = count - 1 WHERE status = old.status;
  INSERT INTO status_counts VALUES (new.status, 1) ON CONFLICT (status) DO UPDATE SET count = count + 1;
END;

-- Real tokens that lost their commit: tried before an end is declared.
CREATE TABLE spares (
  id         TEXT PRIMARY KEY,
  session_id TEXT NOT NULL REFERENCES auth_sessions (id) ON DELETE CASCADE,
  sealed     BLOB NOT NULL,
  issued_at  INTEGER NOT NULL,
  kept_at    INTEGER NOT NULL,
  generation INTEGER NOT NULL
) STRICT;
CREATE INDEX spares_of ON spares (session_id, issued_at);

CREATE TRIGGER spares_counted_in AFTER INSERT ON spares BEGIN
  UPDATE auth_sessions SET spares = spares + 1 WHERE id = new.session_id;
END;
CREATE TRIGGER spares_counted_out AFTER DELETE ON spares BEGIN
  UPDATE auth_sessions SET spares = spares - 1 WHERE id = old.session_id;
END;

-- History, outbox and feed in one.
CREATE TABLE events (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  session_id TEXT,
  email      TEXT,
  data       TEXT NOT NULL
) STRICT;
CREATE INDEX events_of ON events (session_id, id);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_ends ON events (id) WHERE kind = 'ended';

-- What rotations brought, a row a minute and word.
CREATE TABLE tallies (
  minute INTEGER NOT NULL,  -- whole minutes since 1970
  what   TEXT NOT NULL,
  count  INTEGER NOT NULL,
  PRIMARY KEY (minute, what)
) STRICT, WITHOUT ROWID;

-- Processes that claim. The proof of life is a file lock, not this row.
CREATE TABLE owners (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  role       TEXT NOT NULL,   -- worker: rotates what is due; visitor: one command
  pid        INTEGER NOT NULL,
  version    TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  tick_at    INTEGER,         -- when it last looked for work
  dead_at    INTEGER          -- the mark: its claims were taken from it
) STRICT;

-- One-time sign-in links, by hash.
CREATE TABLE sign_ins (
  hash       TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
