-- What is asked for often must not lead past what it does not want.

-- In a backlog, those whose next try is put off are passed over without a look at their rows.
DROP INDEX auth_sessions_deadline;
CREATE INDEX auth_sessions_deadline ON auth_sessions (deadline_at, due_at) WHERE owner IS NULL AND due_at IS NOT NULL;

DROP INDEX events_ends;
CREATE INDEX events_ends ON events (at) WHERE kind = 'ended';

CREATE INDEX logins_owned ON logins (owner) WHERE owner IS NOT NULL;
