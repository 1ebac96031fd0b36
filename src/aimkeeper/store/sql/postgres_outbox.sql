-- Channels of notifications, and alarms of the whole fleet. Written as `postgres.sql` says.

-- name: enter_outbox
-- A channel that was never heard of begins with what happens from now on.
INSERT INTO aimkeeper.outbox (channel, epoch, place, created_at) VALUES (:channel, :epoch, :place, :now)
ON CONFLICT (channel) DO NOTHING;

-- name: outbox
SELECT channel, owner, epoch, place, until_epoch, until_place, attempt, not_before, told_at, problem, created_at
  FROM aimkeeper.outbox WHERE channel = :channel;

-- name: all_of_outbox
SELECT channel, owner, epoch, place, until_epoch, until_place, attempt, not_before, told_at, problem, created_at
  FROM aimkeeper.outbox ORDER BY channel;

-- name: take_outbox
-- No row back: another process tells, or we were marked dead.
WITH alive AS MATERIALIZED (
       SELECT id FROM aimkeeper.owners WHERE id = :owner AND dead_at IS NULL FOR KEY SHARE)
UPDATE aimkeeper.outbox AS box SET owner = alive.id FROM alive
 WHERE box.channel = :channel AND (box.owner IS NULL OR box.owner = alive.id) RETURNING box.channel;

-- name: write_outbox
-- No row back: another process tells now.
UPDATE aimkeeper.outbox SET
  epoch = :epoch, place = :place, until_epoch = :until_epoch, until_place = :until_place, attempt = :attempt,
  not_before = :not_before, told_at = :told_at, problem = :problem
 WHERE channel = :channel AND owner = :owner RETURNING channel;

-- name: give_up_outbox
UPDATE aimkeeper.outbox SET owner = NULL WHERE channel = :channel AND owner = :owner;

-- name: free_outbox_of
-- A dead process tells nobody anything.
UPDATE aimkeeper.outbox SET owner = NULL WHERE owner = :owner;

-- name: beat_outbox
-- For what is told at intervals. No row back: some process did so lately.
UPDATE aimkeeper.outbox SET told_at = :now
 WHERE channel = :channel AND (told_at IS NULL OR told_at <= :before) RETURNING channel;

-- name: raise_alarm
-- No row back: it is raised already.
INSERT INTO aimkeeper.alarms (what, raised_at) VALUES (:what, :now) ON CONFLICT (what) DO NOTHING RETURNING what;

-- name: clear_alarm
-- No row back: nobody raised it, or it was cleared already.
DELETE FROM aimkeeper.alarms WHERE what = :what RETURNING raised_at;

-- name: alarms
SELECT what, raised_at FROM aimkeeper.alarms;

-- name: count_at_risk
-- Sessions that should have been rotated since, by their deadline. Those that AimHarder refuses, or whose end is held
-- back, were told of by themselves.
SELECT count(*) FROM public.auth_sessions
 WHERE owner IS NULL AND due_at IS NOT NULL AND deadline_at < :deadline AND status IN ('active', 'in_doubt');
