-- What is told to people and programs elsewhere, and by whom.

-- One row a channel. No address stands here: there are secrets in it.
CREATE TABLE outbox (
  channel      TEXT PRIMARY KEY,            -- discord, webhook, apprise-1, …
  epoch        INTEGER NOT NULL,            -- the place in the feed up to which everything is told
  place        INTEGER NOT NULL,
  until_epoch  INTEGER,                     -- the end of what is being told, or is to be told again
  until_place  INTEGER,
  attempt      INTEGER NOT NULL DEFAULT 0,  -- failed tries of it
  not_before   INTEGER,                     -- when to try again
  told_at      INTEGER,                     -- when something was told last
  problem      TEXT,                        -- why the last try failed
  created_at   INTEGER NOT NULL,
  owner        TEXT                         -- the one process that tells
) STRICT;

-- What holds for the whole fleet and is told once: whoever writes the row tells.
CREATE TABLE alarms (
  what      TEXT PRIMARY KEY,
  raised_at INTEGER NOT NULL
) STRICT;
