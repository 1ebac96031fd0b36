-- The table that was shared is ours alone from now on: an account may have several sessions, each with its fingerprint.

DO $$
DECLARE
  rule record;
  rules jsonb := (SELECT value FROM aimkeeper.meta WHERE key = 'adopted');
  dropped jsonb := '[]';
BEGIN
  -- What makes an e-mail unique goes, unless a foreign key of another table rests on it.
  FOR rule IN
    SELECT thing.relname, way.indexrelid::regclass AS place, own.oid IS NOT NULL AS is_constraint
      FROM pg_catalog.pg_index AS way
      JOIN pg_catalog.pg_class AS thing ON thing.oid = way.indexrelid
      LEFT JOIN pg_catalog.pg_constraint AS own ON own.conindid = way.indexrelid AND own.contype = 'u'
     WHERE way.indrelid = 'public.auth_sessions'::regclass AND way.indisunique AND way.indpred IS NULL
       AND pg_get_indexdef(way.indexrelid, 1, true) = 'user_email' AND way.indnkeyatts = 1
       AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint AS other
                        WHERE other.conindid = way.indexrelid AND other.contype = 'f')
  LOOP
    IF rule.is_constraint THEN
      EXECUTE format('ALTER TABLE public.auth_sessions DROP CONSTRAINT %I', rule.relname);
    ELSE
      EXECUTE format('DROP INDEX %s', rule.place);
    END IF;
    dropped := dropped || jsonb_build_object('name', rule.relname, 'is_constraint', rule.is_constraint);
  END LOOP;
  UPDATE aimkeeper.meta SET value = (rules || jsonb_build_object('mode', 'exclusive', 'dropped', dropped,
      'one_per_email', (rules ->> 'one_per_email')::boolean AND dropped = '[]'))::text
   WHERE key = 'adopted';
END $$;

ALTER TABLE public.auth_sessions ADD CONSTRAINT auth_sessions_kept_once UNIQUE (user_email, fingerprint);
