-- What is asked for often must not lead past what it does not want.

-- In a backlog, those whose next try is put off are passed over without a look at their rows.
DROP INDEX public.auth_sessions_deadline;
CREATE INDEX auth_sessions_deadline ON public.auth_sessions (deadline_at, due_at)
  WHERE owner IS NULL AND due_at IS NOT NULL;

DROP INDEX aimkeeper.events_ends;
CREATE INDEX events_ends ON aimkeeper.events (at) WHERE kind = 'ended';

CREATE INDEX logins_owned ON aimkeeper.logins (owner) WHERE owner IS NOT NULL;
