-- The shared store. The sessions stand where AimHarder apps on Supabase have them, everything else in a schema of our own
-- (docs/decisions/0011). Names are written out, so that no connection's search_path matters.

CREATE SCHEMA IF NOT EXISTS aimkeeper;
REVOKE ALL ON SCHEMA aimkeeper FROM PUBLIC;

CREATE TABLE aimkeeper.meta (
  key   text PRIMARY KEY,
  value text NOT NULL
);

-- made here: a table that another program made gets what it lacks of all this by `db adopt` (sql/foreign/share.sql).
-- The first fifteen columns are those the apps already have (docs/upstream.md), the rest is ours. "C": pages follow the
-- order of bytes, whatever language the database speaks.
CREATE TABLE public.auth_sessions (
  id                      uuid PRIMARY KEY DEFAULT gen_random_uuid() CHECK (id <> '00000000-0000-0000-0000-000000000000'),
  user_email              text COLLATE "C" NOT NULL,
  fingerprint             text COLLATE "C" NOT NULL,
  aimharder_token         text NOT NULL DEFAULT '',           -- stays empty: the token is in `sealed`
  aimharder_cookies       jsonb NOT NULL DEFAULT '[]',        -- likewise
  session_type            text,
  created_at              timestamptz NOT NULL DEFAULT now(),
  updated_at              timestamptz NOT NULL DEFAULT now(),
  last_refresh_date       timestamptz,                        -- the last setrefresh
  refresh_count           integer NOT NULL DEFAULT 0,
  last_refresh_error      text,
  auto_refresh_enabled    boolean NOT NULL DEFAULT true,
  last_token_update_date  timestamptz NOT NULL,               -- when the present token came
  token_update_count      integer NOT NULL DEFAULT 0,
  last_token_update_error text,

  ref                     text UNIQUE,                        -- the platform's own user id
  account_key             text COLLATE "C" NOT NULL,          -- the token's text before its first `|`
  sealed                  bytea NOT NULL,                     -- token, jar, password, handouts
  status                  text COLLATE "C" NOT NULL,
  cause                   text,
  generation              bigint NOT NULL,                    -- how many tokens were committed
  revision                bigint NOT NULL,                    -- how often the row was written
  due_at                  timestamptz,                        -- NULL: nothing to do
  deadline_at             timestamptz NOT NULL,
  ended_at                timestamptz,
  wipe_at                 timestamptz,
  attempt                 integer NOT NULL DEFAULT 0,
  doubt_at                timestamptz,
  suspicion               bytea,
  alive_at                timestamptz,
  setrefresh_due          boolean NOT NULL DEFAULT false,
  settled_in              boolean NOT NULL DEFAULT false,
  spares                  integer NOT NULL DEFAULT 0,
  ring                    bytea NOT NULL,                     -- the last 16 exchanges
  owner                   text COLLATE "C",                   -- who holds it now
  claim_id                text COLLATE "C",
  claimed_at              bigint,                             -- microseconds on the holder's own clock: for people to read
  last_rotation_id        text COLLATE "C",                   -- the claim that brought the present token
  UNIQUE (user_email, fingerprint)
) WITH (
  -- Every rotation writes its row twice: dead rows are many and must be swept up while they are few.
  fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05,
  autovacuum_vacuum_cost_delay = 1
);
COMMENT ON TABLE public.auth_sessions IS 'Made and kept by aimkeeper. Secrets are sealed: aimharder_token stays empty.';
-- end of what is made here
-- Sealed bytes do not shrink, to try would be waste; they stay in the row.
ALTER TABLE public.auth_sessions ALTER COLUMN sealed SET STORAGE EXTERNAL, ALTER COLUMN ring SET STORAGE EXTERNAL;

CREATE INDEX auth_sessions_due      ON public.auth_sessions (due_at)      WHERE owner IS NULL AND due_at IS NOT NULL;
CREATE INDEX auth_sessions_deadline ON public.auth_sessions (deadline_at) WHERE owner IS NULL AND due_at IS NOT NULL;
CREATE INDEX auth_sessions_in_doubt ON public.auth_sessions (due_at)      WHERE owner IS NULL AND status = 'in_doubt';
CREATE INDEX auth_sessions_owned    ON public.auth_sessions (owner)       WHERE owner IS NOT NULL;
CREATE INDEX auth_sessions_wipe     ON public.auth_sessions (wipe_at)     WHERE wipe_at IS NOT NULL;
CREATE INDEX auth_sessions_status   ON public.auth_sessions (status, user_email, fingerprint);
CREATE INDEX auth_sessions_failing  ON public.auth_sessions (id)          WHERE attempt > 0 AND status <> 'ended';
CREATE INDEX auth_sessions_rotated  ON public.auth_sessions (last_token_update_date) WHERE status <> 'ended';
CREATE INDEX auth_sessions_account  ON public.auth_sessions (account_key, fingerprint);

-- Counts are kept, never scanned for. A ledger and no counter: whoever changes a status adds lines and waits for nobody
-- (docs/decisions/0012). A count is the sum of its lines; they are folded into one by the minute.
CREATE TABLE aimkeeper.status_counts (
  status text COLLATE "C" NOT NULL,
  count  bigint NOT NULL
);

-- Whoever writes a session, an app's own role too, may keep the count.
CREATE FUNCTION aimkeeper.count_in() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO aimkeeper.status_counts SELECT status, count(*) FROM fresh GROUP BY status;
  RETURN NULL;
END $$;
CREATE FUNCTION aimkeeper.count_out() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO aimkeeper.status_counts SELECT status, -count(*) FROM gone GROUP BY status;
  RETURN NULL;
END $$;
CREATE FUNCTION aimkeeper.recount() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  INSERT INTO aimkeeper.status_counts VALUES (OLD.status, -1), (NEW.status, 1);
  RETURN NULL;
END $$;
CREATE TRIGGER counted_in AFTER INSERT ON public.auth_sessions REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION aimkeeper.count_in();
CREATE TRIGGER counted_out AFTER DELETE ON public.auth_sessions REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION aimkeeper.count_out();
CREATE TRIGGER recounted AFTER UPDATE OF status ON public.auth_sessions
  FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION aimkeeper.recount();

-- Real tokens that lost their commit: tried before an end is declared.
CREATE TABLE aimkeeper.spares (
  id         text COLLATE "C" PRIMARY KEY,
  session_id uuid NOT NULL REFERENCES public.auth_sessions (id) ON DELETE CASCADE,
  sealed     bytea NOT NULL,
  issued_at  timestamptz NOT NULL,
  kept_at    timestamptz NOT NULL,
  generation bigint NOT NULL
);
CREATE INDEX spares_of ON aimkeeper.spares (session_id, issued_at);

CREATE FUNCTION aimkeeper.count_spare() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    UPDATE public.auth_sessions SET spares = spares + 1 WHERE id = NEW.session_id;
  ELSE
    UPDATE public.auth_sessions SET spares = spares - 1 WHERE id = OLD.session_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER spares_counted AFTER INSERT OR DELETE ON aimkeeper.spares
  FOR EACH ROW EXECUTE FUNCTION aimkeeper.count_spare();

-- History, outbox and feed in one. Ids are given before the commit, so their order is not that of commits: the feed goes
-- by the transaction first, and shows none that is younger than the oldest one still running.
CREATE TABLE aimkeeper.events (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  epoch      bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
  at         timestamptz NOT NULL,
  kind       text COLLATE "C" NOT NULL,
  session_id uuid,
  email      text,
  data       text NOT NULL  -- JSON; not of the type, which can't hold every text that JSON can
);
CREATE INDEX events_of ON aimkeeper.events (session_id, id);
CREATE INDEX events_at ON aimkeeper.events (at);
CREATE INDEX events_feed ON aimkeeper.events (epoch, id);
CREATE INDEX events_ends ON aimkeeper.events (id) WHERE kind = 'ended';

-- What rotations brought, by minute and word. A ledger like status_counts: every commit of every worker adds to it.
CREATE TABLE aimkeeper.tallies (
  minute bigint NOT NULL,                 -- whole minutes since 1970
  what   text COLLATE "C" NOT NULL,
  count  bigint NOT NULL,
  folded boolean NOT NULL DEFAULT false   -- a line for all of its minute
);
CREATE INDEX tallies_by_minute ON aimkeeper.tallies (minute);
CREATE INDEX tallies_unfolded ON aimkeeper.tallies (minute) WHERE NOT folded;

-- Processes that claim.
CREATE TABLE aimkeeper.owners (
  id         text COLLATE "C" PRIMARY KEY,
  name       text NOT NULL,
  role       text NOT NULL,       -- worker: rotates what is due; visitor: one command
  pid        integer NOT NULL,
  version    text NOT NULL,
  started_at timestamptz NOT NULL,
  tick_at    timestamptz,         -- when it last looked for work
  dead_at    timestamptz,         -- the mark: its claims were taken from it
  beat       bigint NOT NULL DEFAULT 0,  -- the proof of life: it grows by the second
  beat_at    timestamptz NOT NULL DEFAULT clock_timestamp(), -- on the database's own clock, for people to read
  -- Makes the mark a change of a key: a claim, which locks the key of its owner's row, is held off by it and sees it
  -- after; a beat changes no key, and the two do not wait for one another.
  UNIQUE (id, dead_at)
) WITH (fillfactor = 50);

-- One-time sign-in links, by hash.
CREATE TABLE aimkeeper.sign_ins (
  hash       text COLLATE "C" PRIMARY KEY,
  expires_at timestamptz NOT NULL
);

-- Nobody but the owner of the tables sees a row: there is no policy, and there shall be none for roles of a public API.
-- made here
ALTER TABLE public.auth_sessions    ENABLE ROW LEVEL SECURITY;
-- end of what is made here
ALTER TABLE aimkeeper.meta          ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.status_counts ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.spares        ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.events        ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.tallies       ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.owners        ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.sign_ins      ENABLE ROW LEVEL SECURITY;
