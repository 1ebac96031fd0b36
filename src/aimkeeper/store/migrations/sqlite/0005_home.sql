-- A database knows where it is at home: the tokens of a restored or copied one may be spent elsewhere (docs/decisions/0021).

ALTER TABLE fleet ADD COLUMN copied_at INTEGER;  -- since when this is known to be a copy; NULL = it is the one
ALTER TABLE fleet ADD COLUMN moved_to  TEXT;     -- which database keeps its sessions now

-- For people, on the register: where a process runs, and which keys it has, the sealing one first.
ALTER TABLE owners ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE owners ADD COLUMN keys TEXT NOT NULL DEFAULT '';
