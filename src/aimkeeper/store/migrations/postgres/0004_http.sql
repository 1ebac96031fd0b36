-- Who comes over HTTP: those who may act for one session, and tries that are counted.

-- A member's cookie, or the bearer of a bot on another machine: by hash, good for one session.
CREATE TABLE aimkeeper.tickets (
  hash       text COLLATE "C" PRIMARY KEY,   -- SHA-256 of the secret
  kind       text COLLATE "C" NOT NULL,      -- member, bot
  session_id uuid NOT NULL REFERENCES public.auth_sessions (id) ON DELETE CASCADE,
  created_at timestamptz NOT NULL,
  expires_at timestamptz NOT NULL
);
CREATE INDEX tickets_of     ON aimkeeper.tickets (session_id, kind, created_at);
CREATE INDEX tickets_expiry ON aimkeeper.tickets (expires_at);

-- Counted tries, by what they are counted for (a hash, for there is an address in it).
CREATE TABLE aimkeeper.limits (
  bucket     text COLLATE "C" PRIMARY KEY,
  hits       bytea NOT NULL,                 -- the instants of those that still count
  expires_at timestamptz NOT NULL
);
CREATE INDEX limits_expiry ON aimkeeper.limits (expires_at);

ALTER TABLE aimkeeper.tickets ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.limits  ENABLE ROW LEVEL SECURITY;
