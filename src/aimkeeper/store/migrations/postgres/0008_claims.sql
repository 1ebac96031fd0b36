-- A claim writes its row where it stands (docs/decisions/0033). PostgreSQL can do that, without a word to any index, as
-- long as nothing that the claim changes stands in one: so no index knows who holds what any more.

-- Which sessions a claim took. The sessions' rows say who holds them now; this says where to look.
CREATE TABLE aimkeeper.claims (
  id       text COLLATE "C" PRIMARY KEY,
  owner    text COLLATE "C" NOT NULL,
  sessions uuid[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
ALTER TABLE aimkeeper.claims ALTER COLUMN sessions SET STORAGE MAIN;
CREATE INDEX claims_of ON aimkeeper.claims (owner);
ALTER TABLE aimkeeper.claims ENABLE ROW LEVEL SECURITY;

INSERT INTO aimkeeper.claims (id, owner, sessions)
SELECT COALESCE(claim_id, owner), min(owner), array_agg(id) FROM public.auth_sessions WHERE owner IS NOT NULL GROUP BY 1;

DROP INDEX public.auth_sessions_owned;
DROP INDEX public.auth_sessions_due;
DROP INDEX public.auth_sessions_deadline;
DROP INDEX public.auth_sessions_in_doubt;
CREATE INDEX auth_sessions_due      ON public.auth_sessions (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX auth_sessions_deadline ON public.auth_sessions (deadline_at, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX auth_sessions_in_doubt ON public.auth_sessions (COALESCE(doubt_at, due_at)) WHERE status = 'in_doubt';

-- Nearly all are active, and most have no name of the platform's: no rotation need write that down again.
DROP INDEX public.auth_sessions_status;
CREATE INDEX auth_sessions_status ON public.auth_sessions (status, user_email, fingerprint) WHERE status <> 'active';
ALTER TABLE public.auth_sessions DROP CONSTRAINT auth_sessions_ref_key;
CREATE UNIQUE INDEX auth_sessions_ref ON public.auth_sessions (ref) WHERE ref IS NOT NULL;
