-- A table auth_sessions that another program made gets what aimkeeper needs beside what is there: columns, indexes,
-- triggers. No value, no type and no rule that is there is changed.

ALTER TABLE public.auth_sessions
  -- What some versions of the app have and others lack.
  ADD COLUMN IF NOT EXISTS fingerprint             text,
  ADD COLUMN IF NOT EXISTS session_type            text,
  ADD COLUMN IF NOT EXISTS protected               boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS created_at              timestamptz DEFAULT now(),
  ADD COLUMN IF NOT EXISTS updated_at              timestamptz DEFAULT now(),
  ADD COLUMN IF NOT EXISTS last_refresh_date       timestamptz,
  ADD COLUMN IF NOT EXISTS refresh_count           integer NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS last_refresh_error      text,
  ADD COLUMN IF NOT EXISTS auto_refresh_enabled    boolean NOT NULL DEFAULT true,
  ADD COLUMN IF NOT EXISTS last_token_update_date  timestamptz,
  ADD COLUMN IF NOT EXISTS token_update_count      integer NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS last_token_update_error text,
  -- Ours, as migration 1 has them. Every one has a default: the app writes rows that do not name them.
  ADD COLUMN ref              text UNIQUE,
  ADD COLUMN account_key      text COLLATE "C" NOT NULL DEFAULT '',
  ADD COLUMN sealed           bytea NOT NULL DEFAULT '',
  ADD COLUMN status           text COLLATE "C" NOT NULL DEFAULT 'active',
  ADD COLUMN cause            text,
  ADD COLUMN generation       bigint NOT NULL DEFAULT 1,
  ADD COLUMN revision         bigint NOT NULL DEFAULT 0,  -- 0: not yet taken in
  ADD COLUMN due_at           timestamptz,
  ADD COLUMN deadline_at      timestamptz NOT NULL DEFAULT 'epoch',
  ADD COLUMN ended_at         timestamptz,
  ADD COLUMN wipe_at          timestamptz,
  ADD COLUMN attempt          integer NOT NULL DEFAULT 0,
  ADD COLUMN doubt_at         timestamptz,
  ADD COLUMN suspicion        bytea,
  ADD COLUMN alive_at         timestamptz,
  ADD COLUMN setrefresh_due   boolean NOT NULL DEFAULT false,
  ADD COLUMN settled_in       boolean NOT NULL DEFAULT false,
  ADD COLUMN spares           integer NOT NULL DEFAULT 0,
  ADD COLUMN ring             bytea NOT NULL DEFAULT '\x90',  -- no exchange yet
  ADD COLUMN owner            text COLLATE "C",
  ADD COLUMN claim_id         text COLLATE "C",
  ADD COLUMN claimed_at       bigint,
  ADD COLUMN last_rotation_id text COLLATE "C",
  -- Here only: hashes of the last tokens that others came after. Whoever writes one of them writes an old copy back.
  ADD COLUMN spent            bytea[] NOT NULL DEFAULT '{}';

ALTER TABLE public.auth_sessions SET (
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);

-- People's e-mails as they typed them, found by what they are in lower case.
CREATE INDEX auth_sessions_lower ON public.auth_sessions (lower(user_email), fingerprint);
-- Those that are yet to be taken in.
CREATE INDEX auth_sessions_new ON public.auth_sessions (id) WHERE revision = 0;
