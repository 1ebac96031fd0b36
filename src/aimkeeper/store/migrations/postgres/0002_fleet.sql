-- What holds for all sessions at once, and the accounts' automatic logins. Durations in microseconds.

CREATE TABLE aimkeeper.fleet (
  one             integer PRIMARY KEY CHECK (one = 1),
  revision        bigint NOT NULL DEFAULT 0,
  outage_at       timestamptz,
  recovered_at    timestamptz,
  probe_at        timestamptz,
  probe_gap       bigint,
  held_at         timestamptz,
  throttled_until timestamptz,
  paused_at       timestamptz,
  paused_until    timestamptz
);
INSERT INTO aimkeeper.fleet (one) VALUES (1);

-- One automatic login at a time for each account, and what its last ones came to.
CREATE TABLE aimkeeper.logins (
  email      text COLLATE "C" PRIMARY KEY,
  owner      text COLLATE "C",   -- who is logging in now
  failed_at  bytea NOT NULL,     -- the failed tries of the last hour
  not_before timestamptz
);

ALTER TABLE aimkeeper.fleet  ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.logins ENABLE ROW LEVEL SECURITY;

CREATE INDEX auth_sessions_suspected ON public.auth_sessions (id) WHERE status = 'suspected';
CREATE INDEX auth_sessions_ended     ON public.auth_sessions (ended_at) WHERE status = 'ended';
-- Doubt is worth hurrying for while it is fresh: that is how long upstreams forgive.
DROP INDEX public.auth_sessions_in_doubt;
CREATE INDEX auth_sessions_in_doubt  ON public.auth_sessions (COALESCE(doubt_at, due_at))
  WHERE owner IS NULL AND status = 'in_doubt';
