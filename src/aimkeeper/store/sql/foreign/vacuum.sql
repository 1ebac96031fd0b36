-- The old versions of rows, in which tokens stood readable, go from the table's files.
VACUUM (FULL, ANALYZE) public.auth_sessions;
