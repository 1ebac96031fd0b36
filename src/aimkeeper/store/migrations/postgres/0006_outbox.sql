-- What is told to people and programs elsewhere, and by whom.

-- One row a channel. No address stands here: there are secrets in it.
CREATE TABLE aimkeeper.outbox (
  channel      text COLLATE "C" PRIMARY KEY,  -- discord, webhook, apprise-1, …
  epoch        bigint NOT NULL,               -- the place in the feed up to which everything is told
  place        bigint NOT NULL,
  until_epoch  bigint,                        -- the end of what is being told, or is to be told again
  until_place  bigint,
  attempt      integer NOT NULL DEFAULT 0,    -- failed tries of it
  not_before   timestamptz,                   -- when to try again
  told_at      timestamptz,                   -- when something was told last
  problem      text,                          -- why the last try failed
  created_at   timestamptz NOT NULL,
  owner        text COLLATE "C"               -- the one process that tells
);

-- What holds for the whole fleet and is told once: whoever writes the row tells.
CREATE TABLE aimkeeper.alarms (
  what      text COLLATE "C" PRIMARY KEY,
  raised_at timestamptz NOT NULL
);

ALTER TABLE aimkeeper.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE aimkeeper.alarms ENABLE ROW LEVEL SECURITY;
