-- The table is again as the app had it: every column, index, trigger and rule of ours goes, and what gave way comes back.

DO $$
DECLARE
  rules jsonb := (SELECT value FROM aimkeeper.meta WHERE key = 'adopted');
  gone text;
  rule jsonb;
BEGIN
  -- With the functions in it go the triggers that call them.
  DROP SCHEMA aimkeeper CASCADE;
  ALTER TABLE public.auth_sessions DROP CONSTRAINT IF EXISTS auth_sessions_kept_once;
  DROP INDEX IF EXISTS public.auth_sessions_lower;
  -- With the columns go the indexes that speak of them.
  FOR gone IN
    SELECT attname FROM pg_catalog.pg_attribute
     WHERE attrelid = 'public.auth_sessions'::regclass AND attnum > 0 AND NOT attisdropped
       AND rules -> 'added' ? attname::text
  LOOP
    EXECUTE format('ALTER TABLE public.auth_sessions DROP COLUMN %I', gone);
  END LOOP;
  FOR rule IN SELECT * FROM jsonb_array_elements(COALESCE(rules -> 'dropped', '[]')) LOOP
    IF (rule ->> 'is_constraint')::boolean THEN
      EXECUTE format('ALTER TABLE public.auth_sessions ADD CONSTRAINT %I UNIQUE (user_email)', rule ->> 'name');
    ELSE
      EXECUTE format('CREATE UNIQUE INDEX %I ON public.auth_sessions (user_email)', rule ->> 'name');
    END IF;
  END LOOP;
END $$;

ALTER TABLE public.auth_sessions RESET (
  autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor, autovacuum_vacuum_cost_delay);
