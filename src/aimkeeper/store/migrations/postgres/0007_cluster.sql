-- By which cluster this is, a restored database is told from the one it comes from (docs/decisions/0021). Some hosts let
-- nobody ask that: then the numbers of database and tables must do.
CREATE FUNCTION aimkeeper.cluster() RETURNS text LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
  RETURN (SELECT system_identifier::text FROM pg_catalog.pg_control_system());
EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
  RETURN '-';
END $$;
