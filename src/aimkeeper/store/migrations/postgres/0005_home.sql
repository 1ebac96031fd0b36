-- A database knows where it is at home: the tokens of a restored or copied one may be spent elsewhere (docs/decisions/0021).

ALTER TABLE aimkeeper.fleet ADD COLUMN copied_at timestamptz;  -- since when this is known to be a copy; NULL = it is the one
ALTER TABLE aimkeeper.fleet ADD COLUMN moved_to  text;         -- which database keeps its sessions now

-- For people, on the register: where a process runs, and which keys it has, the sealing one first.
ALTER TABLE aimkeeper.owners ADD COLUMN host text NOT NULL DEFAULT '';
ALTER TABLE aimkeeper.owners ADD COLUMN keys text NOT NULL DEFAULT '';
